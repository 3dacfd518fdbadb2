//! A daemon in a folder of its own, in which no engine ever listens.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A daemon's folder, in which no engine ever listens.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swarmrsd"));
        let address = |name| format!("unix://{}", self.path(name).display());
        command.args(["--engine", &address("engine.sock")]);
        command.arg("--data-root").arg(self.path("data"));
        command.arg("--exec-root").arg(self.path("exec"));
        command.arg("--pidfile").arg(self.path("swarmrsd.pid"));
        command
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// The address of the socket that most tests use.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("api.sock").display())
    }

    /// Starts the daemon and waits until it takes connections.
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// The same with further options.
    pub fn start_with(&self, further: &[&str]) -> Daemon {
        let mut command = self.command();
        let child = command
            .args(["--host", &self.host()])
            .args(further)
            .spawn()
            .unwrap();
        let socket = self.path("api.sock");
        until("the daemon listens", || {
            UnixStream::connect(&socket).is_ok()
        });
        Daemon(child)
    }

    /// Runs it to its end, which must come by itself.
    pub fn refused(&self, further: &[&str]) -> String {
        let mut command = self.command();
        let mut child = command
            .args(["--host", &self.host()])
            .args(further)
            .spawn()
            .unwrap();
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

    pub fn get(&self, target: &str) -> String {
        let stream = UnixStream::connect(self.path("api.sock")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        get(stream, target)
    }
}

/// Asks over a fresh connection and reads all of the answer.
pub fn get(stream: impl Read + Write, target: &str) -> String {
    ask(stream, "GET", target)
}

/// The same by another method.
pub fn ask(mut stream: impl Read + Write, method: &str, target: &str) -> String {
    write!(stream, "{method} {target} HTTP/1.0\r\nHost: docker\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Killed when the test is over.
pub struct Daemon(pub Child);

impl Daemon {
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Reads the log until a line has this text, and returns all that was read; the next call goes on from there.
    pub fn logs(&mut self, text: &str) -> String {
        let log = self.0.stderr.as_mut().unwrap();
        let (mut read, mut byte) = (Vec::new(), [0]);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < deadline, "not in time: {text:?}");
            let n = log.read(&mut byte).unwrap();
            read.extend_from_slice(&byte[..n]);
            let so_far = String::from_utf8_lossy(&read);
            assert!(n > 0, "the log ended without {text:?}: {so_far}");
            if byte == *b"\n"
                && so_far
                    .lines()
                    .next_back()
                    .is_some_and(|line| line.contains(text))
            {
                return so_far.into_owned();
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the end of the process", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

pub fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
