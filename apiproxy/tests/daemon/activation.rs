//! Sockets that a service manager hands down, and what it is told.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Daemon, Place, ended, get};

/// Starts a daemon as a service manager does: the socket is descriptor 3, under the name `api`.
fn activated(place: &Place, host: &str, socket: OwnedFd) -> Daemon {
    let command = place.command();
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=api exec \"$@\" 3<&0 </dev/null",
        "sh",
    ]);
    shell
        .arg(command.get_program())
        .args(command.get_args())
        .args(["--host", host]);
    shell.env("NOTIFY_SOCKET", place.path("notify.sock"));
    Daemon(shell.stdin(socket).stderr(Stdio::piped()).spawn().unwrap())
}

/// The service manager's ear.
struct Manager(UnixDatagram);

impl Manager {
    fn of(place: &Place) -> Self {
        let socket = UnixDatagram::bind(place.path("notify.sock")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(socket)
    }

    fn hears(&self, expected: &str) {
        let mut told = [0; 256];
        let n = self.0.recv(&mut told).unwrap();
        let told = String::from_utf8_lossy(&told[..n]);
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_socket_that_is_handed_down_is_served_and_outlives_each_daemon() {
    let place = Place::new();
    let manager = Manager::of(&place);
    let path = place.path("api.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let inode = path.metadata().unwrap().ino();
    for host in ["fd://", "fd://api", "fd://3"] {
        let early = UnixStream::connect(&path).unwrap();
        let mut daemon = activated(&place, host, socket.try_clone().unwrap().into());
        manager.hears("READY=1\n");
        assert!(get(early, "/v1.41/nodes").contains(" 503 "), "{host}");
        daemon.signal(Signal::SIGHUP);
        manager.hears("RELOADING=1\nMONOTONIC_USEC=");
        manager.hears("READY=1\n");
        daemon.signal(Signal::SIGTERM);
        manager.hears("STOPPING=1\n");
        assert!(ended(&mut daemon.0).success());
        assert_eq!(path.metadata().unwrap().ino(), inode);
    }
}

#[test]
fn what_was_not_handed_down_cannot_be_served() {
    let place = Place::new();
    let text = place.refused(&["--host", "fd://"]);
    assert!(
        text.contains("no sockets found via socket activation"),
        "{text}"
    );
    let socket = || UnixListener::bind(place.path("other.sock")).unwrap();
    let mut daemon = activated(&place, "fd://web", socket().into());
    let text = daemon.logs("fd://web: no sockets found");
    assert!(!ended(&mut daemon.0).success(), "{text}");
    let datagram = UnixDatagram::unbound().unwrap();
    let mut daemon = activated(&place, "fd://", datagram.into());
    daemon.logs("fd://3: what the service manager handed down is no listening stream socket");
    assert!(!ended(&mut daemon.0).success());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut daemon = activated(&place, "fd://", port.into());
    daemon.logs("fd:// hands down a TCP port, and a TCP port needs TLS");
    assert!(!ended(&mut daemon.0).success());
}
