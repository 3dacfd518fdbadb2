//! Ports of the host that lead to containers, held by sockets so that nothing else takes them.
//!
//! IPv4 packets never come to these sockets: rules lead them on before. IPv6 clients are carried on from here.

pub(crate) mod carry;

use crate::inherited::{self, Address, Sort};
use crate::mesh::Transport;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockname, listen,
    setsockopt, socket, sockopt,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A carrier lets go of its socket when its runtime comes round to it: at once, unless the machine is busy.
const LETTING_GO: Duration = Duration::from_millis(500);

/// A port that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// Which port it is.
    pub port: u16,
    fourth: Option<OwnedFd>,
    sixth: Option<OwnedFd>,
    carrier: Option<AbortHandle>,
}

impl Reservation {
    /// Holds a port on one address or on all, in both families; with port 0, one that is free.
    ///
    /// # Errors
    /// `AddrInUse` if a process has it.
    pub(crate) fn take(
        transport: Transport,
        host: Option<IpAddr>,
        port: u16,
    ) -> io::Result<Reservation> {
        let mut held = Reservation {
            port,
            fourth: None,
            sixth: None,
            carrier: None,
        };
        if transport == Transport::Sctp {
            // No socket of SCTP without its kernel module, which nothing else needs.
            return Ok(held);
        }
        let v4 = host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        if v4.is_ipv4() {
            let (fd, port) = hold(transport, SocketAddr::new(v4, held.port))?;
            held.fourth = Some(fd);
            held.port = port;
        }
        let v6 = host.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        if v6.is_ipv6() {
            match hold(transport, SocketAddr::new(v6, held.port)) {
                Ok((fd, port)) => {
                    held.sixth = Some(fd);
                    held.port = port;
                }
                Err(error) if host.is_none() && without_v6(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(held)
    }

    /// The same for a port that this process had just now. A program that another thread starts at that moment has a copy
    /// of its socket until it becomes that program.
    pub(crate) fn take_back(
        transport: Transport,
        host: Option<IpAddr>,
        port: u16,
    ) -> io::Result<Reservation> {
        let patience = Instant::now() + LETTING_GO;
        loop {
            match Reservation::take(transport, host, port) {
                Err(error) if is_in_use(&error) && Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                taken => return taken,
            }
        }
    }

    /// Carries IPv6 clients on to where the port leads.
    pub(crate) fn carry(&mut self, transport: Transport, target: SocketAddr, runtime: &Handle) {
        let Some(fd) = self.sixth.take() else {
            return;
        };
        let task = match transport {
            Transport::Tcp => runtime.spawn(carry::connections(fd, target)),
            Transport::Udp => runtime.spawn(carry::datagrams(fd, target)),
            Transport::Sctp => return,
        };
        self.carrier = Some(task.abort_handle());
    }
}

impl Drop for Reservation {
    /// Once this is done the port is free: whoever publishes it anew does not find it taken by us.
    fn drop(&mut self) {
        let Some(carrier) = &self.carrier else {
            return;
        };
        carrier.abort();
        let patience = Instant::now() + LETTING_GO;
        while !carrier.is_finished() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// The host has no IPv6.
fn without_v6(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(libc::EAFNOSUPPORT) || code == Some(libc::EADDRNOTAVAIL)
}

/// A socket on the address that no other can share, and its port.
fn hold(transport: Transport, address: SocketAddr) -> io::Result<(OwnedFd, u16)> {
    let sort = match transport {
        Transport::Tcp => Sort::Connections,
        Transport::Udp | Transport::Sctp => Sort::Datagrams,
    };
    if let Some(fd) = inherited::here(sort, |at| *at == Address::Ip(address)) {
        return Ok((fd, address.port()));
    }
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let kind = match transport {
        Transport::Tcp => SockType::Stream,
        Transport::Udp | Transport::Sctp => SockType::Datagram,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, kind, flags, None)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    if transport == Transport::Tcp {
        // Connections of before that wait for their end do not keep the port; that it listens keeps others out.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    if transport == Transport::Tcp {
        listen(&fd, Backlog::new(128)?)?;
    }
    let bound: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    let port = match (bound.as_sockaddr_in(), bound.as_sockaddr_in6()) {
        (Some(v4), _) => v4.port(),
        (_, Some(v6)) => v6.port(),
        (None, None) => address.port(),
    };
    Ok((fd, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_port_is_refused_to_others_and_free_again_after() {
        let held = Reservation::take(Transport::Tcp, None, 0).unwrap();
        let other = std::net::TcpListener::bind(("0.0.0.0", held.port));
        assert_eq!(other.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let port = held.port;
        drop(held);
        assert!(std::net::TcpListener::bind(("0.0.0.0", port)).is_ok());
    }

    #[test]
    fn a_port_that_a_process_has_is_not_taken() {
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let refused = Reservation::take(Transport::Udp, None, port).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(Reservation::take(Transport::Tcp, None, port).is_ok());
    }

    #[test]
    fn a_port_on_one_address_leaves_the_others() {
        let one = Ipv4Addr::new(127, 0, 0, 2).into();
        let held = Reservation::take(Transport::Tcp, Some(one), 0).unwrap();
        assert!(std::net::TcpListener::bind(("127.0.0.3", held.port)).is_ok());
        assert!(std::net::TcpListener::bind(("127.0.0.2", held.port)).is_err());
    }
}
