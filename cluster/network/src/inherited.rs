//! What this process had open before it became another build of the program: sockets, and the file that it has locked.
//!
//! A holder of another release does not end: its process executes the new program, and whatever waits for packets or
//! connections stays open over that. What comes meanwhile waits in the kernel, and no port is free for a moment. The new
//! program makes its sockets as ever, only that it asks here first whether one is there already: in the same
//! namespace, of the same sort, on the same address. With its lock goes that it is the only one: whoever else waits for the
//! lock must not come between.
//!
//! ```text
//!   keep() ─▶ the old one's parts end ─▶ execute() ══ exec ══▶ receive() ─▶ here() for each socket ─▶ forget()
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockname, getsockopt,
    sockopt,
};
use nix::sys::stat::fstat;

/// The numbers of the descriptors, with commas between them, and a plus between those of a pair.
const VARIABLE: &str = "SWARMRS_INHERITED";
/// A socket's network namespace. Source: `SIOCGSKNS` in Linux' `sockios.h`.
const NAMESPACE_OF: libc::Ioctl = 0x894c;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Connections,
    Datagrams,
    /// To the kernel: what ends with it is ended by nobody else.
    Netlink,
}

/// Where a socket is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Ip(SocketAddr),
    Path(PathBuf),
    None,
}

#[derive(Debug)]
struct Inherited {
    /// The number of its network namespace.
    namespace: u64,
    sort: Sort,
    address: Address,
    socket: OwnedFd,
}

/// Descriptors belong to the process, and so do these.
static SOCKETS: Mutex<Vec<Inherited>> = Mutex::new(Vec::new());
static FILES: Mutex<Vec<File>> = Mutex::new(Vec::new());
static PAIRS: Mutex<Vec<[OwnedFd; 2]>> = Mutex::new(Vec::new());

fn ours<T>(of: &'static Mutex<T>) -> MutexGuard<'static, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A second descriptor of the file and of each socket that waits: the first may be closed then.
pub(crate) fn keep(file: &File) -> io::Result<Vec<OwnedFd>> {
    let mut kept = vec![file.try_clone()?.into()];
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(socket) = second(number)
            && place(&socket).is_ok_and(|place| place.is_some())
        {
            kept.push(socket);
        }
    }
    Ok(kept)
}

/// None: it was closed meanwhile.
fn second(number: RawFd) -> Option<OwnedFd> {
    #[expect(
        unsafe_code,
        reason = "the number may be anybody's or nobody's: the kernel says so, and what it makes is ours alone"
    )]
    unsafe {
        let second = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        (second >= 0).then(|| OwnedFd::from_raw_fd(second))
    }
}

/// Becomes another program, which finds what was kept. Returns only if that cannot be.
pub(crate) fn execute(
    program: &Path,
    arguments: &[OsString],
    kept: &[OwnedFd],
    pairs: &[[OwnedFd; 2]],
) -> io::Error {
    for descriptor in kept.iter().chain(pairs.as_flattened()) {
        if let Err(error) = fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty())) {
            return error.into();
        }
    }
    let alone = kept.iter().map(|kept| kept.as_raw_fd().to_string());
    let together = pairs
        .iter()
        .map(|[one, other]| format!("{}+{}", one.as_raw_fd(), other.as_raw_fd()));
    let numbers: Vec<String> = alone.chain(together).collect();
    let mut command = Command::new(program);
    command.args(arguments).env(VARIABLE, numbers.join(","));
    command.exec()
}

/// Takes over what the former program kept, once.
pub(crate) fn receive() {
    let Some(numbers) = std::env::var_os(VARIABLE) else {
        return;
    };
    let descriptor = |number: &str| number.parse().ok().and_then(owned);
    for word in numbers.to_string_lossy().split(',') {
        if let Some((one, other)) = word.split_once('+') {
            let pair = descriptor(one).zip(descriptor(other));
            ours(&PAIRS).extend(pair.map(|(one, other)| [one, other]));
        } else if let Some(descriptor) = descriptor(word) {
            take_over(descriptor);
        }
    }
}

fn take_over(descriptor: OwnedFd) {
    let file = File::from(descriptor);
    if file.metadata().is_ok_and(|found| found.is_file()) {
        ours(&FILES).push(file);
        return;
    }
    let socket = OwnedFd::from(file);
    if let Ok(Some((sort, address))) = place(&socket)
        && let Ok(namespace) = namespace_of(&socket)
    {
        ours(&SOCKETS).push(Inherited {
            namespace,
            sort,
            address,
            socket,
        });
    }
}

/// A descriptor that was left to us, and is left to nobody else.
fn owned(number: RawFd) -> Option<OwnedFd> {
    let descriptor = second(number)?;
    #[expect(
        unsafe_code,
        reason = "whoever executed us says that the number is ours, and nobody has it yet"
    )]
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    Some(descriptor)
}

/// One in the calling thread's network namespace.
pub(crate) fn here(sort: Sort, wanted: impl Fn(&Address) -> bool) -> Option<OwnedFd> {
    let mut all = ours(&SOCKETS);
    if all.is_empty() {
        return None;
    }
    let namespace = fs::metadata("/proc/thread-self/ns/net").ok()?.ino();
    let found = all
        .iter()
        .position(|one| (one.namespace, one.sort) == (namespace, sort) && wanted(&one.address))?;
    Some(all.swap_remove(found).socket)
}

/// The file of that path, with whatever lock is on it.
pub(crate) fn file(path: &Path) -> Option<File> {
    let wanted = fs::metadata(path).ok()?;
    let same = |file: &File| {
        let file = file.metadata();
        file.is_ok_and(|file| (file.dev(), file.ino()) == (wanted.dev(), wanted.ino()))
    };
    let mut all = ours(&FILES);
    let found = all.iter().position(same)?;
    Some(all.swap_remove(found))
}

/// Pairs of connections that were carried, each the client's and the one to its target.
pub(crate) fn pairs() -> Vec<[OwnedFd; 2]> {
    std::mem::take(&mut *ours(&PAIRS))
}

/// Closes what nobody has asked for.
pub(crate) fn forget() {
    ours(&SOCKETS).clear();
    ours(&FILES).clear();
}

/// What a socket waits for, and where; none for one that is somebody's, or no socket.
fn place(socket: &OwnedFd) -> nix::Result<Option<(Sort, Address)>> {
    let raw = socket.as_raw_fd();
    let address = match getsockname::<SockaddrStorage>(raw) {
        Err(Errno::ENOTSOCK) => return Ok(None),
        address => address?,
    };
    let listens = || getsockopt(socket, sockopt::AcceptConn);
    let is_stream = getsockopt(socket, sockopt::SockType)? == SockType::Stream;
    let place = match address.family() {
        Some(AddressFamily::Inet | AddressFamily::Inet6) => {
            let at = ip(&address).filter(|at| at.port() != 0).map(Address::Ip);
            match is_stream {
                true if listens()? => at.map(|at| (Sort::Connections, at)),
                false if getpeername::<SockaddrStorage>(raw).is_err() => {
                    at.map(|at| (Sort::Datagrams, at))
                }
                _ => None,
            }
        }
        Some(AddressFamily::Unix) if is_stream && listens()? => {
            let path = address.as_unix_addr().and_then(|address| address.path());
            path.map(|path| (Sort::Connections, Address::Path(path.to_owned())))
        }
        Some(AddressFamily::Netlink) => Some((Sort::Netlink, Address::None)),
        _ => None,
    };
    Ok(place)
}

fn ip(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()));
    let v6 = || {
        address
            .as_sockaddr_in6()
            .map(|v6| SocketAddr::V6((*v6).into()))
    };
    v4.or_else(v6)
}

fn namespace_of(socket: &OwnedFd) -> nix::Result<u64> {
    #[expect(
        unsafe_code,
        reason = "no safe crate of ours asks that, and what the kernel makes is ours alone"
    )]
    let namespace = unsafe {
        let made = libc::ioctl(socket.as_raw_fd(), NAMESPACE_OF);
        OwnedFd::from_raw_fd(Errno::result(made)?)
    };
    Ok(fstat(&namespace)?.st_ino)
}

#[cfg(test)]
mod tests;
