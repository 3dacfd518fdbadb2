//! Carries IPv6 clients on to where a port leads.
//!
//! The networks that ports are carried on have IPv4: the container sees the host as its client. Connections that are open
//! when this process becomes another build go along, each as its two sockets, with nothing of them left in between.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A silent client of datagrams is forgotten after this long; below the kernel's own two minutes.
const SILENCE: Duration = Duration::from_secs(60);
/// Clients of datagrams that one port remembers at once.
const CLIENTS: usize = 1024;
/// The largest datagram there is.
const DATAGRAM: usize = 65_535;
/// What is read of a connection at once, in bytes.
const PIECE: usize = 8 * 1024;
/// How long what was read may take to be written before its connection cannot go along.
const UNWRITTEN: Duration = Duration::from_millis(200);
/// After an accept that failed for want of something.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections that are carried, each as the client's and the one to the port's target. They outlive their port.
struct Carried {
    leave: watch::Sender<bool>,
    open: Mutex<JoinSet<Option<[TcpStream; 2]>>>,
}

/// Of all ports of this process.
static CARRIED: LazyLock<Carried> = LazyLock::new(Carried::new);

pub(super) async fn connections(fd: OwnedFd, target: SocketAddr) {
    let Ok(listener) = TcpListener::from_std(fd.into()) else {
        return;
    };
    loop {
        // Out of files: those that are carried end some time.
        if let Err(_full) = poll_fn(|context| CARRIED.accept(&listener, target, context)).await {
            sleep(PAUSE).await;
        }
    }
}

/// Carries on what a former program of this process carried.
pub(crate) fn go_on(pairs: Vec<[OwnedFd; 2]>) {
    CARRIED.go_on(pairs);
}

/// Carries nothing any more, and takes no more connections; those that are open then.
pub(crate) async fn leave() -> Vec<[OwnedFd; 2]> {
    CARRIED.leave().await
}

impl Carried {
    fn new() -> Self {
        Carried {
            leave: watch::Sender::new(false),
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, JoinSet<Option<[TcpStream; 2]>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection and carries it; what is left is left to the listener's next owner.
    fn accept(
        &self,
        listener: &TcpListener,
        target: SocketAddr,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        // Under one lock: no connection is taken and not known when all are to be left.
        let mut open = self.open();
        if *self.leave.borrow() {
            return Poll::Pending;
        }
        let (client, _) = ready!(listener.poll_accept(context))?;
        while open.try_join_next().is_some() {}
        let leave = self.leave.subscribe();
        open.spawn(async move { carry(connect(client, target).await?, leave).await });
        Poll::Ready(Ok(()))
    }

    fn go_on(&self, pairs: Vec<[OwnedFd; 2]>) {
        let stream = |socket: OwnedFd| TcpStream::from_std(socket.into()).ok();
        for [client, server] in pairs {
            if let (Some(client), Some(server)) = (stream(client), stream(server)) {
                let leave = self.leave.subscribe();
                self.open().spawn(carry([client, server], leave));
            }
        }
    }

    async fn leave(&self) -> Vec<[OwnedFd; 2]> {
        let mut open = {
            let mut open = self.open();
            self.leave.send_replace(true);
            std::mem::take(&mut *open)
        };
        let deadline = Instant::now() + UNWRITTEN;
        let socket = |stream: TcpStream| stream.into_std().map(OwnedFd::from).ok();
        let mut pairs = Vec::new();
        while let Ok(Some(left)) = timeout_at(deadline, open.join_next()).await {
            if let Ok(Some([client, server])) = left
                && let (Some(client), Some(server)) = (socket(client), socket(server))
            {
                pairs.push([client, server]);
            }
        }
        pairs
    }
}

/// A target that refuses resets the client.
async fn connect(client: TcpStream, target: SocketAddr) -> Option<[TcpStream; 2]> {
    let Ok(server) = TcpStream::connect(target).await else {
        let _ = client.set_zero_linger();
        return None;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    Some([client, server])
}

/// Until both have closed, or one is broken. If they are left before that, here they are, with nothing in between.
async fn carry(
    [mut client, mut server]: [TcpStream; 2],
    leave: watch::Receiver<bool>,
) -> Option<[TcpStream; 2]> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let carried = tokio::try_join!(
        one_way(from_client, to_server, leave.clone()),
        one_way(from_server, to_client, leave)
    );
    match carried {
        Ok((Way::Closed, Way::Closed)) | Err(_) => None,
        Ok(_) => Some([client, server]),
    }
}

/// How one direction of a connection ended.
enum Way {
    Closed,
    Left,
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut leave: watch::Receiver<bool>,
) -> io::Result<Way> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = tokio::select! {
            biased;
            _ = leave.wait_for(|leave| *leave) => return Ok(Way::Left),
            length = from.read(&mut piece) => length?,
        };
        if length == 0 {
            to.shutdown().await?;
            return Ok(Way::Closed);
        }
        to.write_all(&piece[..length]).await?;
    }
}

type Clients = Arc<Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>>;

pub(super) async fn datagrams(fd: OwnedFd, target: SocketAddr) {
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
    while let Ok(Ok(length)) = timeout(SILENCE, server.recv(&mut buffer)).await {
        if back.send_to(&buffer[..length], client).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::Transport;
    use crate::reserve::Reservation;
    use tokio::runtime::Handle;

    #[tokio::test]
    async fn an_ipv6_client_is_carried_on() {
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

    /// A client and a server that are carried, in both directions a little already.
    async fn carried(by: &'static Carried) -> [TcpStream; 2] {
        let (listener, target) = (
            TcpListener::bind("[::1]:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let at = target.local_addr().unwrap();
        poll_fn(|context| by.accept(&listener, at, context))
            .await
            .unwrap();
        let (mut server, _) = target.accept().await.unwrap();
        says(&mut client, &mut server).await;
        says(&mut server, &mut client).await;
        [client, server]
    }

    async fn says(from: &mut TcpStream, to: &mut TcpStream) {
        from.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        to.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }

    fn a_carrier() -> &'static Carried {
        Box::leak(Box::new(Carried::new()))
    }

    #[tokio::test]
    async fn what_is_left_is_carried_on_by_another() {
        let (one, other) = (a_carrier(), a_carrier());
        let [mut client, mut server] = carried(one).await;
        let [mut ending, mut ended] = carried(one).await;
        ending.shutdown().await.unwrap();
        assert_eq!(ended.read(&mut [0]).await.unwrap(), 0);
        let left = one.leave().await;
        assert_eq!(left.len(), 2);
        client.write_all(b"meanwhile").await.unwrap();
        other.go_on(left);
        let mut got = [0; 9];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"meanwhile");
        says(&mut server, &mut client).await;
        says(&mut ended, &mut ending).await;
    }

    #[tokio::test]
    async fn nothing_is_taken_once_all_are_left() {
        let one = a_carrier();
        assert!(one.leave().await.is_empty());
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let _client = TcpStream::connect(at).await.unwrap();
        let taken = poll_fn(|context| one.accept(&listener, at, context));
        assert!(timeout(UNWRITTEN, taken).await.is_err());
        listener.accept().await.unwrap();
    }

    /// Its reader does not read: what is in between has nowhere to go.
    #[tokio::test]
    async fn a_connection_that_is_stuck_is_not_left() {
        let one = a_carrier();
        let [client, _server] = carried(one).await;
        let stuck = async {
            loop {
                client.writable().await.unwrap();
                let _ = client.try_write(&[0; 65_536]);
            }
        };
        assert!(timeout(UNWRITTEN, stuck).await.is_err());
        assert!(one.leave().await.is_empty());
    }
}
