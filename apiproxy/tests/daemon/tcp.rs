//! TCP ports in clear: only when asked for, and without our own API.

use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Daemon, Place, get};

/// Where the daemon says that it listens.
fn port(daemon: &mut Daemon) -> String {
    let logged = daemon.logs("address=");
    let (_, rest) = logged.rsplit_once("address=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

fn asked(address: &str, target: &str) -> String {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    get(stream, target)
}

#[test]
fn our_own_api_is_not_for_the_net_unless_it_is_asked_for() {
    for (further, status) in [(None, "403"), (Some("--swarmrs-api-on-tcp"), "200")] {
        let place = Place::new();
        let mut flags = vec!["--tls=false", "--host", "tcp://127.0.0.1:0"];
        flags.extend(further);
        let mut daemon = place.start_with(&flags);
        let address = port(&mut daemon);
        assert!(asked(&address, "/v1.41/nodes").contains(" 503 "));
        for target in [
            "/swarmrs/v1/read/version",
            "/v1.41/x/../swarmrs/v1/read/version",
        ] {
            let answer = asked(&address, target);
            assert!(
                answer.contains(&format!(" {status} ")),
                "{target}: {answer}"
            );
        }
        assert!(place.get("/swarmrs/v1/read/version").contains(" 200 "));
    }
}

#[test]
fn ipv6_is_served_and_a_port_in_clear_is_warned_of() {
    let place = Place::new();
    let mut daemon = place.start_with(&["--tls=false", "--host", "tcp://[::1]:0"]);
    let warned = daemon.logs("Binding to IP address without --tlsverify is insecure");
    assert!(warned.contains("host=tcp://[::1]:0"), "{warned}");
    let address = port(&mut daemon);
    assert!(address.starts_with("[::1]:"), "{address}");
    assert!(asked(&address, "/v1.41/nodes").contains(" 503 "));
}
