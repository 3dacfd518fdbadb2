//! Tells the service manager how far we are: the datagrams of systemd's `sd_notify`.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::time::{ClockId, clock_gettime};
use tracing::debug;

/// Clients are answered from now on.
pub(super) fn ready() {
    tell("READY=1\n");
}

/// The end has begun.
pub(super) fn stopping() {
    tell("STOPPING=1\n");
}

/// The configuration is being read again; [`ready`] follows.
pub(super) fn reloading() {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    let micros = now.map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000);
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
}

/// Without a service manager, nobody is told.
fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return;
    };
    let told = address(path.as_bytes())
        .and_then(|manager| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &manager));
    if let Err(error) = told {
        debug!(%error, "the service manager was not told");
    }
}

/// A path, or with `@` in front a name in the abstract namespace.
fn address(path: &[u8]) -> io::Result<SocketAddr> {
    match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    }
}
