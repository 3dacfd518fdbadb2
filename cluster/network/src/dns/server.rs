//! One name server per network: its sockets, and the way of a query through them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::sched::{CloneFlags, setns};
use swarmrs_types::id::NetworkId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::ADDRESS;
use super::packet::{self, Carriage, Code, LARGEST_MESSAGE, Query, Unfit};
use super::upstream::Upstream;
use super::zone::{Answer, Asker, Zone};
use crate::inherited::{self, Address, Sort};

const PORT: u16 = 53;
/// Most that a query may have over UDP: larger ones are no questions.
const LARGEST_QUERY: usize = 4096;
/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(10);
/// Connections at once, per network.
const MOST_CONNECTIONS: usize = 256;
/// Questions of one network that wait for somebody else at once: no network takes all there is.
const MOST_FORWARDED: usize = 256;
/// After an error of a socket that is not a client's fault.
const PAUSE: Duration = Duration::from_millis(100);

/// What all servers answer from.
#[derive(Debug)]
pub struct Names {
    pub zone: ArcSwap<Zone>,
    /// Whom servers of networks ask.
    pub upstream: Arc<Upstream>,
    /// Answers in turns: no client gets the same order for ever.
    turn: AtomicU64,
}

impl Names {
    pub fn new(upstream: Arc<Upstream>) -> Arc<Self> {
        Arc::new(Names {
            zone: ArcSwap::default(),
            upstream,
            turn: AtomicU64::new(0),
        })
    }
}

/// Where a server stands, and so who asks it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In a network's namespace: whoever has the source address.
    Network(NetworkId),
    /// In a container's own: that container. The engine's resolver is behind it and knows names that are not ours.
    Container(Asker),
}

/// One server: how it answers.
#[derive(Debug)]
pub(super) struct Resolver {
    pub names: Arc<Names>,
    pub place: Place,
    pub upstream: Arc<Upstream>,
}

impl Resolver {
    fn asker(&self, client: SocketAddr) -> Asker {
        match self.place {
            Place::Network(network) => Asker {
                network,
                address: client.ip(),
            },
            Place::Container(asker) => asker,
        }
    }

    /// Answers at once what needs nobody else. False: somebody else must be asked.
    fn answer(&self, asker: &Asker, query: &Query<'_>, room: usize, out: &mut Vec<u8>) -> bool {
        let zone = self.names.zone.load();
        let answer = query.name().map_or(Answer::Elsewhere, |name| {
            zone.answer(asker, name, query.kind)
        });
        match answer {
            Answer::Addresses(mut addresses) => {
                let turn = self.names.turn.fetch_add(1, Ordering::Relaxed);
                shuffle(&mut addresses, turn);
                query.addresses(&addresses, room, out);
            }
            Answer::Pointer(name) => query.pointer(&name, out),
            Answer::Nothing => query.bare(Code::Success, out),
            Answer::NoSuchName => match self.place {
                Place::Network(_) => query.bare(Code::NoSuchName, out),
                Place::Container(_) => return false,
            },
            Answer::Elsewhere => return false,
        }
        true
    }

    /// Of the servers that the container's user named, else of the host's; behind a server in a container, of its engine.
    async fn ask_others(
        &self,
        asker: &Asker,
        packet: &[u8],
        carriage: Carriage,
    ) -> Option<Vec<u8>> {
        let named = match self.place {
            Place::Network(_) => self.names.zone.load().resolvers(asker),
            Place::Container(_) => Vec::new(),
        };
        if named.is_empty() {
            return self.upstream.ask(packet, carriage).await;
        }
        let servers: Vec<SocketAddr> = named
            .into_iter()
            .map(|server| (server, PORT).into())
            .collect();
        self.upstream.ask_of(&servers, packet, carriage).await
    }

    /// The whole answer, wherever it comes from.
    async fn answer_in_time(&self, asker: Asker, packet: &[u8], carriage: Carriage) -> Vec<u8> {
        let mut out = Vec::new();
        let query = match Query::read(packet) {
            Ok(query) => query,
            Err(Unfit::Drop) => return out,
            Err(Unfit::Refuse(code)) => {
                packet::refuse(packet, code, &mut out);
                return out;
            }
        };
        let room = query.room(carriage);
        if !self.answer(&asker, &query, room, &mut out) {
            match self.ask_others(&asker, packet, carriage).await {
                Some(reply) => return reply,
                None => query.bare(Code::ServerFailure, &mut out),
            }
        }
        out
    }
}

/// The servers of all networks.
#[derive(Debug)]
pub struct Servers {
    names: Arc<Names>,
    open: BTreeMap<NetworkId, Server>,
}

/// One network's: it ends with its parts.
#[derive(Debug)]
struct Server {
    parts: JoinSet<()>,
    /// The number of the namespace that its sockets are in.
    namespace: u64,
}

impl Servers {
    pub fn new(names: Arc<Names>) -> Self {
        Servers {
            names,
            open: BTreeMap::new(),
        }
    }

    /// Whether the network has one in that namespace. One that was built anew is another.
    pub fn has(&self, network: NetworkId, namespace: &Path) -> bool {
        let server = self.open.get(&network);
        let there = std::fs::metadata(namespace).map(|file| file.ino());
        server.is_some_and(|server| there.is_ok_and(|number| server.namespace == number))
    }

    /// Serves a network from within its namespace.
    ///
    /// # Errors
    /// If the namespace cannot be entered, or its address or port is not to be had.
    pub async fn open(&mut self, network: NetworkId, namespace: &Path) -> io::Result<()> {
        let namespace = File::open(namespace)?;
        let number = namespace.metadata()?.ino();
        // One in another namespace keeps that, and is of no use.
        self.close(network).await;
        let (udp, tcp) = tokio::task::spawn_blocking(move || bind_inside(namespace))
            .await
            .map_err(io::Error::other)??;
        self.serve(network, number, udp, tcp)
    }

    /// Serves a network on sockets that are open already, in the namespace of that number.
    fn serve(
        &mut self,
        network: NetworkId,
        namespace: u64,
        udp: StdSocket,
        tcp: StdListener,
    ) -> io::Result<()> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let udp = UdpSocket::from_std(udp)?;
        let tcp = TcpListener::from_std(tcp)?;
        let resolver = Arc::new(Resolver {
            names: self.names.clone(),
            place: Place::Network(network),
            upstream: self.names.upstream.clone(),
        });
        let mut parts = JoinSet::new();
        parts.spawn(datagrams(resolver.clone(), Arc::new(udp)));
        parts.spawn(connections(resolver, tcp));
        self.open.insert(network, Server { parts, namespace });
        Ok(())
    }

    /// Ends a network's server. On return its sockets are closed, so that nothing keeps its namespace.
    pub async fn close(&mut self, network: NetworkId) {
        if let Some(mut server) = self.open.remove(&network) {
            server.parts.shutdown().await;
        }
    }

    /// Ends them all.
    pub async fn close_all(&mut self) {
        for (_, mut server) in std::mem::take(&mut self.open) {
            server.parts.shutdown().await;
        }
    }
}

/// Opens the sockets in a thread of their own: a thread that has entered a namespace is of no use for anything else.
fn bind_inside(namespace: File) -> io::Result<(StdSocket, StdListener)> {
    let inside = std::thread::Builder::new()
        .name("dns-bind".to_owned())
        .spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            let address = SocketAddr::from((ADDRESS, PORT));
            let there = |sort| inherited::here(sort, |at| *at == Address::Ip(address));
            let udp = there(Sort::Datagrams).map(StdSocket::from);
            let tcp = there(Sort::Connections).map(StdListener::from);
            Ok((
                udp.map_or_else(|| StdSocket::bind(address), Ok)?,
                tcp.map_or_else(|| StdListener::bind(address), Ok)?,
            ))
        })?;
    let panicked = |_| io::Error::other("the thread that opens name server sockets panicked");
    inside.join().map_err(panicked)?
}

/// Answers what comes over UDP, for as long as it is polled.
pub(super) async fn datagrams(resolver: Arc<Resolver>, socket: Arc<UdpSocket>) {
    let mut packet = vec![0; LARGEST_QUERY];
    let mut out = Vec::with_capacity(LARGEST_QUERY);
    let mut forwarding = JoinSet::new();
    loop {
        let (length, client) = match socket.recv_from(&mut packet).await {
            Ok(received) => received,
            Err(error) => {
                // An answer that could not be delivered is reported on the next call.
                debug!(place = ?resolver.place, %error, "name server socket");
                tokio::task::yield_now().await;
                continue;
            }
        };
        while forwarding.try_join_next().is_some() {}
        let asker = resolver.asker(client);
        match here(&resolver, &asker, &packet[..length], &mut out) {
            Reply::Now => {
                // A client that does not take its answer asks again.
                let _ = socket.try_send_to(&out, client);
            }
            Reply::None => {}
            // The client asks again, and finds room or does not.
            Reply::Later if forwarding.len() >= MOST_FORWARDED => {}
            Reply::Later => {
                let (resolver, socket) = (resolver.clone(), socket.clone());
                let packet = packet[..length].to_vec();
                forwarding.spawn(async move {
                    let answer = resolver.answer_in_time(asker, &packet, Carriage::Udp);
                    let reply = answer.await;
                    let _ = socket.send_to(&reply, client).await;
                });
            }
        }
    }
}

enum Reply {
    Now,
    Later,
    None,
}

/// The short way: most questions are answered before the next is read.
fn here(resolver: &Resolver, asker: &Asker, packet: &[u8], out: &mut Vec<u8>) -> Reply {
    match Query::read(packet) {
        Ok(query) => match resolver.answer(asker, &query, query.room(Carriage::Udp), out) {
            true => Reply::Now,
            false => Reply::Later,
        },
        Err(Unfit::Refuse(code)) => {
            packet::refuse(packet, code, out);
            Reply::Now
        }
        Err(Unfit::Drop) => Reply::None,
    }
}

/// Answers whoever connects, for as long as it is polled.
pub(super) async fn connections(resolver: Arc<Resolver>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, client)) => {
                let resolver = resolver.clone();
                let asker = resolver.asker(client);
                open.spawn(async move {
                    // A client that misbehaves or goes away is no news.
                    let _ = converse(&resolver, asker, stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(place = ?resolver.place, %error, "name server takes no connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Query after query, each behind its length, until the client is silent or gone.
async fn converse(resolver: &Resolver, asker: Asker, mut stream: TcpStream) -> io::Result<()> {
    let mut packet = vec![0; LARGEST_MESSAGE];
    loop {
        let length = usize::from(timeout(IDLE, stream.read_u16()).await??);
        timeout(IDLE, stream.read_exact(&mut packet[..length])).await??;
        let query = &packet[..length];
        let reply = resolver.answer_in_time(asker, query, Carriage::Tcp).await;
        if reply.is_empty() {
            return Ok(());
        }
        let framed = [&(reply.len() as u16).to_be_bytes(), &reply[..]].concat();
        timeout(IDLE, stream.write_all(&framed)).await??;
    }
}

/// Puts addresses in an order that differs from turn to turn and favours none.
fn shuffle(addresses: &mut [std::net::IpAddr], turn: u64) {
    for last in (1..addresses.len()).rev() {
        let draw = mix(turn.wrapping_mul(0x1_0001).wrapping_add(last as u64));
        addresses.swap(last, (draw % (last as u64 + 1)) as usize);
    }
}

/// One number from another, with no pattern left. Source: Vigna's SplitMix64.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
