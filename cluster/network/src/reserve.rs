//! Ports of the host that lead to containers, held by sockets so that nothing else takes them.
//!
//! IPv4 packets never come to these sockets: rules lead them on before. IPv6 clients are carried on from here,
//! because the networks that ports are carried on have IPv4: the container then sees the host as
//! its client.

use crate::mesh::Transport;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockname, listen,
    setsockopt, socket, sockopt,
};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A silent client of datagrams is forgotten after this long; below the kernel's own two minutes.
const SILENCE: Duration = Duration::from_secs(60);

/// Clients of datagrams that one port remembers at once.
const CLIENTS: usize = 1024;

/// A carrier lets go of its socket when its runtime comes round to it: at once, unless the machine is busy.
const LETTING_GO: Duration = Duration::from_millis(500);

/// The largest datagram there is.
const DATAGRAM: usize = 65_535;

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
            Transport::Tcp => runtime.spawn(carry_connections(fd, target)),
            Transport::Udp => runtime.spawn(carry_datagrams(fd, target)),
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

async fn carry_connections(fd: OwnedFd, target: SocketAddr) {
    let Ok(listener) = TcpListener::from_std(fd.into()) else {
        return;
    };
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(carry_connection(client, target));
            }
            // Out of files: those that are carried end some time.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Until both have closed; a target that refuses resets the client.
async fn carry_connection(mut client: TcpStream, target: SocketAddr) {
    match TcpStream::connect(target).await {
        Ok(mut server) => {
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
        Err(_) => {
            let _ = client.set_zero_linger();
        }
    }
}

type Clients = Arc<Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>>;

async fn carry_datagrams(fd: OwnedFd, target: SocketAddr) {
    let Ok(socket) = UdpSocket::from_std(fd.into()) else {
        return;
    };
    let socket = Arc::new(socket);
    let clients: Clients = Arc::default();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if let Ok(Some(server)) = server_of(&socket, &clients, client, target).await {
            let _ = server.send(&buffer[..length]).await;
        }
    }
}

/// The client's own socket towards the target, made with its first datagram. None: there are too many.
async fn server_of(
    socket: &Arc<UdpSocket>,
    clients: &Clients,
    client: SocketAddr,
    target: SocketAddr,
) -> io::Result<Option<Arc<UdpSocket>>> {
    let known = clients
        .lock()
        .map(|map| (map.get(&client).cloned(), map.len()));
    let (known, count) = known.unwrap_or((None, CLIENTS));
    if known.is_some() || count >= CLIENTS {
        return Ok(known);
    }
    let server = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    server.connect(target).await?;
    let server = Arc::new(server);
    if let Ok(mut map) = clients.lock() {
        map.insert(client, Arc::clone(&server));
    }
    let (back, clients) = (Arc::clone(socket), Arc::clone(clients));
    let from = Arc::clone(&server);
    tokio::spawn(async move {
        answer(&from, &back, client).await;
        if let Ok(mut map) = clients.lock() {
            map.remove(&client);
        }
    });
    Ok(Some(server))
}

/// Carries the target's datagrams back until it is silent.
async fn answer(server: &UdpSocket, back: &UdpSocket, client: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok(Ok(length)) = tokio::time::timeout(SILENCE, server.recv(&mut buffer)).await {
        if back.send_to(&buffer[..length], client).await.is_err() {
            return;
        }
    }
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

    #[tokio::test]
    async fn an_ipv6_client_is_carried_on() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut held = Reservation::take(Transport::Tcp, None, 0).unwrap();
        held.carry(
            Transport::Tcp,
            target.local_addr().unwrap(),
            &Handle::current(),
        );
        let mut client = TcpStream::connect(("::1", held.port)).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let (mut server, _) = target.accept().await.unwrap();
        let mut got = [0; 5];
        server.read_exact(&mut got).await.unwrap();
        server.write_all(&got).await.unwrap();
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }

    #[tokio::test]
    async fn an_ipv6_client_of_datagrams_is_answered() {
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut held = Reservation::take(Transport::Udp, None, 0).unwrap();
        held.carry(
            Transport::Udp,
            target.local_addr().unwrap(),
            &Handle::current(),
        );
        let client = UdpSocket::bind("[::1]:0").await.unwrap();
        client.connect(("::1", held.port)).await.unwrap();
        client.send(b"ping").await.unwrap();
        let mut got = [0; 4];
        let (_, from) = target.recv_from(&mut got).await.unwrap();
        target.send_to(b"pong", from).await.unwrap();
        client.recv(&mut got).await.unwrap();
        assert_eq!(&got, b"pong");
    }
}
