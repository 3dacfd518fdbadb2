//! What an operator gets out of the program itself: a dump on a signal, and a port for metrics.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Place, ask, mode, until};

#[test]
fn sigusr1_writes_the_flight_recorder_for_root_only() {
    let place = Place::new();
    let mut daemon = place.start();
    let stream = UnixStream::connect(place.path("api.sock")).unwrap();
    let refused = ask(stream, "POST", "/swarm/leave?force=1");
    assert!(refused.contains(" 503 "), "{refused}");
    let mut text = String::new();
    daemon.signal(Signal::SIGUSR1);
    until("a file with the refused call", || {
        let files = std::fs::read_dir(place.path("exec")).unwrap();
        let mut paths = files.map(|entry| entry.unwrap().path());
        let dump = paths.find(|path| path.extension().is_some_and(|e| e == "jsonl"));
        dump.is_some_and(|path| {
            assert_eq!(mode(&path), 0o600);
            text = std::fs::read_to_string(path).unwrap();
            text.contains("SwarmLeave")
        })
    });
    assert!(text.ends_with("}\n"), "{text}");
    daemon.logs("SIGUSR1: flight recorder written path=");
    assert!(place.get("/v1.41/nodes").contains(" 503 "));
}

#[test]
fn the_metrics_port_has_metrics_and_health_and_nothing_else() {
    let place = Place::new();
    let mut daemon = place.start_with(&["--metrics-addr", "127.0.0.1:0"]);
    let log = daemon.logs("metrics and health are served");
    let line = log.lines().next_back().unwrap();
    let addr = line.split("addr=").nth(1).unwrap().trim().to_owned();
    let port = |method: &str, target: &str| {
        let stream = TcpStream::connect(&addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        ask(stream, method, target)
    };
    let metrics = port("GET", "/metrics");
    assert!(metrics.starts_with("HTTP/1.0 200 "), "{metrics}");
    assert!(
        metrics.contains("\nswarmrs_build_info{version=\""),
        "{metrics}"
    );
    assert!(port("GET", "/health").starts_with("HTTP/1.0 200 "));
    assert!(port("GET", "/health?for=ready").starts_with("HTTP/1.0 503 "));
    assert!(port("GET", "/health?for=luck").starts_with("HTTP/1.0 400 "));
    for none in [
        "/",
        "/info",
        "/v1.41/nodes",
        "/swarmrs/v1/read/recorder",
        "/metrics/x",
    ] {
        let answer = port("GET", none);
        assert!(answer.starts_with("HTTP/1.0 404 "), "{none}: {answer}");
    }
    assert!(port("POST", "/metrics").starts_with("HTTP/1.0 405 "));
}

#[test]
fn a_metrics_port_that_cannot_be_had_is_refused_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let text = Place::new().refused(&["--metrics-addr", &addr]);
    let expected = format!("cannot serve metrics on {addr}");
    assert!(text.contains(&expected), "{text}");
}
