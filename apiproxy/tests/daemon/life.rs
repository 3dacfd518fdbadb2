//! Its start, its end, and what it does without an engine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Daemon, Place, ended, mode, until};

#[test]
fn without_an_engine_our_calls_are_answered_and_its_calls_name_its_socket() {
    let place = Place::new();
    let _daemon = place.start();
    assert_eq!(mode(&place.path("api.sock")), 0o660);
    // The socket is there before the node has started; an answer comes after.
    let ours = place.get("/v1.41/nodes");
    assert_eq!(mode(&place.path("data")), 0o700);
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
    let logged = daemon.logs("SIGHUP: log level changed");
    assert!(logged.contains("waiting for the engine"), "{logged}");
    assert!(place.get("/v1.41/nodes").contains(" 503 "));
}

/// Gives the daemon a reason for a debug line: a client of the metrics port that does not speak HTTP.
fn babble(log: &str) {
    let address = log.rsplit("addr=").next().unwrap().trim();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"babble\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn debug_lines_are_there_after_debug_and_between_one_sighup_and_the_next() {
    const LINE: &str = "connection to the metrics port ended";
    let place = Place::new();
    let metrics = ["--metrics-addr", "127.0.0.1:0"];
    let mut daemon = place.start_with(&metrics);
    let started = daemon.logs("metrics and health are served");
    babble(&started);
    daemon.signal(Signal::SIGHUP);
    let logged = daemon.logs("SIGHUP: log level changed level=debug");
    assert!(!logged.contains(LINE), "{logged}");
    babble(&started);
    daemon.logs(LINE);
    daemon.signal(Signal::SIGHUP);
    daemon.logs("SIGHUP: log level changed level=info");
    babble(&started);
    daemon.signal(Signal::SIGHUP);
    let logged = daemon.logs("SIGHUP: log level changed level=debug");
    assert!(!logged.contains(LINE), "{logged}");
    drop(daemon);
    let mut daemon = place.start_with(&[&metrics[..], &["--debug"]].concat());
    babble(&daemon.logs("metrics and health are served"));
    daemon.logs(LINE);
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
    assert!(text.contains("listening on TCP needs TLS"), "{text}");
    let text = place.refused(&["--group", "no-such-group"]);
    assert!(
        text.contains("there is no group \"no-such-group\""),
        "{text}"
    );
    assert!(!place.path("swarmrsd.pid").exists());
}

#[test]
fn it_leaves_no_core_whatever_the_limits_say() {
    let place = Place::new();
    let mut shell = std::process::Command::new("sh");
    let command = place.command();
    shell.args(["-c", "ulimit -c unlimited && exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
        .args(["--host", &place.host()])
        .current_dir(place.path(""))
        .arg0("sh");
    let mut daemon = Daemon(shell.stderr(Stdio::null()).spawn().unwrap());
    until("the daemon listens", || place.path("api.sock").exists());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.0.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    daemon.signal(Signal::SIGABRT);
    assert!(!ended(&mut daemon.0).core_dumped());
}
