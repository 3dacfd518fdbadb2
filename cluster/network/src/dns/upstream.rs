//! Questions that others may know, passed on as they are.
//!
//! The query's bytes go on and the reply's come back, but for the id, which is drawn anew: what clients say of themselves
//! (EDNS) and what a server answers is between the two. Sockets are of the host's namespace, so a resolver on the host's
//! own loopback works as any other.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::packet::{self, Carriage, LARGEST_MESSAGE, Query};
use super::resolvers::Resolvers;

/// How long one server of the host may take. Clients give up after five seconds: two servers are asked before.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions on their way at once, of all containers. Each holds a socket.
const MOST_UNDER_WAY: usize = 1024;

/// The servers of the host, as one.
#[derive(Debug)]
pub struct Upstream {
    resolvers: Resolvers,
    under_way: Semaphore,
    /// How long one server may take.
    patience: Duration,
    /// What our packets are marked with, so that rules tell them from others'; 0: with nothing.
    mark: u32,
}

impl Upstream {
    pub fn new(resolvers: Resolvers) -> Arc<Self> {
        Self::marked(resolvers, PATIENCE, 0)
    }

    /// One whose packets carry a mark. Its sockets are opened in the namespace of the thread that asks.
    pub fn marked(resolvers: Resolvers, patience: Duration, mark: u32) -> Arc<Self> {
        Arc::new(Upstream {
            resolvers,
            under_way: Semaphore::new(MOST_UNDER_WAY),
            patience,
            mark,
        })
    }

    /// The reply to a packet that [`Query::read`] takes; none if no server has one.
    pub async fn ask(&self, packet: &[u8], carriage: Carriage) -> Option<Vec<u8>> {
        let servers = self.resolvers.now();
        self.ask_of(&servers, packet, carriage).await
    }

    /// As [`Upstream::ask`], of other servers.
    pub async fn ask_of(
        &self,
        servers: &[SocketAddr],
        packet: &[u8],
        carriage: Carriage,
    ) -> Option<Vec<u8>> {
        let _turn = self.under_way.try_acquire().ok()?;
        let mut sent = packet.to_vec();
        let id = draw().to_be_bytes();
        sent.get_mut(..2)?.copy_from_slice(&id);
        let query = Query::read(&sent).ok()?;
        for server in servers {
            let asked = timeout(self.patience, self.ask_one(*server, &query, carriage));
            if let Ok(Ok(mut reply)) = asked.await {
                reply[..2].copy_from_slice(&packet[..2]);
                return Some(reply);
            }
        }
        None
    }

    /// Over TCP if the client came so; if the server does not listen there, over UDP after all.
    async fn ask_one(
        &self,
        server: SocketAddr,
        query: &Query<'_>,
        carriage: Carriage,
    ) -> io::Result<Vec<u8>> {
        match carriage {
            Carriage::Udp => self.over_udp(server, query).await,
            Carriage::Tcp => match self.over_tcp(server, query).await {
                Ok(reply) => Ok(reply),
                Err(_) => self.over_udp(server, query).await,
            },
        }
    }

    async fn over_udp(&self, server: SocketAddr, query: &Query<'_>) -> io::Result<Vec<u8>> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        self.mark(&socket)?;
        socket.connect(server).await?;
        socket.send(query.packet()).await?;
        let mut reply = vec![0; LARGEST_MESSAGE];
        loop {
            let length = socket.recv(&mut reply).await?;
            // Somebody guessing, or a late answer to somebody else's question: the right one may still come.
            if packet::answers(query, &reply[..length]) {
                reply.truncate(length);
                return Ok(reply);
            }
        }
    }

    async fn over_tcp(&self, server: SocketAddr, query: &Query<'_>) -> io::Result<Vec<u8>> {
        let socket = match server {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        self.mark(&socket)?;
        let mut stream = socket.connect(server).await?;
        let length = query.packet().len() as u16;
        let framed = [&length.to_be_bytes(), query.packet()].concat();
        stream.write_all(&framed).await?;
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        match packet::answers(query, &reply) {
            true => Ok(reply),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn mark(&self, socket: &impl AsFd) -> io::Result<()> {
        match self.mark {
            0 => Ok(()),
            mark => Ok(setsockopt(socket, sockopt::Mark, &mark)?),
        }
    }
}

/// A number that nobody can guess: it is half of what protects an answer.
fn draw() -> u16 {
    let mut bytes = [0; 2];
    // The kernel's randomness does not fail once the machine is up.
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests;
