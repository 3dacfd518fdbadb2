//! The program itself: its start, its end, and what it does without an engine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A daemon's folder, in which no engine ever listens.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swarmrsd"));
        let address = |name| format!("unix://{}", self.path(name).display());
        command.args([
            "--host",
            &address("api.sock"),
            "--engine",
            &address("engine.sock"),
        ]);
        command.arg("--data-root").arg(self.path("data"));
        command.arg("--exec-root").arg(self.path("exec"));
        command.arg("--pidfile").arg(self.path("swarmrsd.pid"));
        command
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the daemon and waits until it takes connections.
    fn start(&self) -> Daemon {
        let child = self.command().spawn().unwrap();
        let socket = self.path("api.sock");
        until("the daemon listens", || {
            UnixStream::connect(&socket).is_ok()
        });
        Daemon(child)
    }

    /// Runs it to its end, which must come by itself.
    fn refused(&self, further: &[&str]) -> String {
        let mut child = self.command().args(further).spawn().unwrap();
        let status = ended(&mut child);
        let mut text = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert!(!status.success(), "{text}");
        text
    }

    fn get(&self, target: &str) -> String {
        let mut stream = UnixStream::connect(self.path("api.sock")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(stream, "GET {target} HTTP/1.0\r\nHost: docker\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// Killed when the test is over.
struct Daemon(Child);

impl Daemon {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the end of the process", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn without_an_engine_our_calls_are_answered_and_its_calls_name_its_socket() {
    let place = Place::new();
    let _daemon = place.start();
    assert_eq!(mode(&place.path("api.sock")), 0o660);
    assert_eq!(mode(&place.path("data")), 0o700);
    let ours = place.get("/v1.41/nodes");
    assert!(ours.starts_with("HTTP/1.0 503 "), "{ours}");
    assert!(ours.contains("This node is not a swarm manager."), "{ours}");
    for target in [
        "/_ping",
        "/info",
        "/version",
        "/v1.41/events",
        "/v1.41/images/json",
    ] {
        let answer = place.get(target);
        assert!(answer.contains(" 503 "), "{target}: {answer}");
        assert!(answer.contains("engine.sock"), "{target}: {answer}");
    }
}

#[test]
fn sigterm_ends_it_in_order_and_leaves_nothing_behind() {
    let place = Place::new();
    let mut daemon = place.start();
    let since = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert!(ended(&mut daemon.0).success());
    assert!(since.elapsed() < Duration::from_secs(10));
    assert!(!place.path("api.sock").exists());
    assert!(!place.path("swarmrsd.pid").exists());
}

#[test]
fn sighup_does_not_end_it() {
    let place = Place::new();
    let mut daemon = place.start();
    daemon.signal(Signal::SIGHUP);
    let logged = {
        let mut log = daemon.0.stderr.take().unwrap();
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        until("a line that tells of it", || {
            let read = log.read(&mut piece).unwrap();
            text.extend_from_slice(&piece[..read]);
            String::from_utf8_lossy(&text).contains("SIGHUP: log level changed")
        });
        String::from_utf8(text).unwrap()
    };
    assert!(logged.contains("waiting for the engine"), "{logged}");
    assert!(place.get("/v1.41/nodes").contains(" 503 "));
}

#[test]
fn after_a_kill_it_starts_again_over_what_is_left() {
    let place = Place::new();
    let mut daemon = place.start();
    daemon.signal(Signal::SIGKILL);
    ended(&mut daemon.0);
    assert!(place.path("api.sock").exists() && place.path("swarmrsd.pid").exists());
    let _again = place.start();
    assert!(place.get("/v1.41/nodes").contains(" 503 "));
}

#[test]
fn a_second_one_is_refused_by_pidfile_and_by_socket() {
    let place = Place::new();
    let daemon = place.start();
    let text = place.refused(&[]);
    let expected = format!("swarmrsd runs already, as process {}", daemon.0.id());
    assert!(text.contains(&expected), "{text}");
    let other = Place::new();
    let host = format!("unix://{}", place.path("api.sock").display());
    let text = other.refused(&["--host", &host]);
    assert!(text.contains("somebody listens on"), "{text}");
    assert!(place.get("/v1.41/nodes").contains(" 503 "));
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    let place = Place::new();
    let text = place.refused(&["--host", "tcp://127.0.0.1:0"]);
    assert!(text.contains("needs TLS"), "{text}");
    let text = place.refused(&["--group", "no-such-group"]);
    assert!(
        text.contains("there is no group \"no-such-group\""),
        "{text}"
    );
    assert!(!place.path("swarmrsd.pid").exists());
}
