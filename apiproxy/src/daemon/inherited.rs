//! Sockets that a service manager has opened and hands down (socket activation).
//!
//! Such a socket outlives us: clients that connect while we restart wait instead of being refused, and a container that has
//! mounted the socket's file keeps it, because it stays the same file.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt,
};

use super::Error;
use crate::config::Inherited as Which;

/// The first descriptor that is handed down.
const FIRST: RawFd = 3;

/// What was handed down and is not claimed yet.
#[derive(Debug)]
pub(super) struct Inherited(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    number: RawFd,
    name: String,
    descriptor: OwnedFd,
}

/// One of them, claimed.
#[derive(Debug)]
pub(super) enum Claimed {
    Unix(UnixListener),
    Tcp(std::net::TcpListener),
}

impl Inherited {
    /// Takes what the environment says was handed to this process. To be called once.
    pub fn take() -> Self {
        let text = |name| std::env::var(name).unwrap_or_default();
        if text("LISTEN_PID") != std::process::id().to_string() {
            return Self(Vec::new());
        }
        let count: RawFd = text("LISTEN_FDS").parse().unwrap_or(0);
        let names = text("LISTEN_FDNAMES");
        let mut names = names.split(':');
        let sockets = (FIRST..FIRST + count).filter_map(|number| {
            let name = names.next().unwrap_or_default().to_owned();
            let descriptor = own(number)?;
            Some(Socket {
                number,
                name,
                descriptor,
            })
        });
        Self(sockets.collect())
    }

    /// The sockets that an address means; each can be claimed once.
    pub fn claim(&mut self, which: &Which) -> Result<Vec<Claimed>, Error> {
        let meant = |socket: &Socket| match which {
            Which::All => true,
            Which::One(text) => socket.name == *text || socket.number.to_string() == *text,
        };
        let found: Vec<Socket> = self.0.extract_if(.., |socket| meant(socket)).collect();
        if found.is_empty() {
            return Err(Error::NothingInherited(which.clone()));
        }
        found.into_iter().map(claimed).collect()
    }
}

/// A descriptor that nobody else in this process has, and that no child gets; `None` if there is none of that number.
#[expect(
    unsafe_code,
    reason = "a descriptor that comes by number has no owner yet"
)]
fn own(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the service manager opened it for us, and `take` is called once, before anything else opens descriptors that
    // could have this number.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    match fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        Ok(_) => Some(descriptor),
        Err(_) => {
            // Not open: closing it would be an error.
            std::mem::forget(descriptor);
            None
        }
    }
}

fn claimed(socket: Socket) -> Result<Claimed, Error> {
    let unfit = || Error::UnfitInherited(socket.number);
    let descriptor = socket.descriptor.as_fd();
    let listens = getsockopt(&descriptor, sockopt::AcceptConn).unwrap_or(false);
    let streams = getsockopt(&descriptor, sockopt::SockType) == Ok(SockType::Stream);
    let address = getsockname::<SockaddrStorage>(descriptor.as_raw_fd()).ok();
    let family = address.and_then(|address| address.family());
    if !(listens && streams) {
        return Err(unfit());
    }
    match family {
        Some(AddressFamily::Unix) => Ok(Claimed::Unix(socket.descriptor.into())),
        Some(AddressFamily::Inet | AddressFamily::Inet6) => {
            Ok(Claimed::Tcp(socket.descriptor.into()))
        }
        _ => Err(unfit()),
    }
}
