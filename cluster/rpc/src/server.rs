//! The port on which a node hears the others.
//!
//! ```text
//!   accept ─▶ gate ─▶ TLS ─▶ HTTP/2 ─▶ ┌ stream ─▶ judge ─▶ body ─▶ answer
//!    (general runtime)        │        ├ stream ─▶ judge ─▶ converse
//!                     ALPN: on which   └ ping
//!                     runtime
//! ```
//!
//! Everything that a stranger can make us hold is bounded: unfinished handshakes, in all and per source, connections,
//! streams, bodies, and how long each of them may take.

mod complaint;
mod connection;
mod door;
mod gate;
mod stream;

use crate::message::control::SessionEnd;
use crate::{Conversation, Credentials, Keepalive, Method, Purpose, Refusal};
use async_trait::async_trait;
use bytes::Bytes;
use complaint::Complaints;
use gate::{Full, Gate, Source};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use swarmrs_security::{Identity, Role};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What the certificate says, if there was one and it was judged good: valid, of our cluster, of a member.
    pub identity: Option<Identity>,
    pub from: SocketAddr,
    pub line: Line,
}

/// The connection that a caller speaks over.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<OnceLock<SessionEnd>>);

impl Line {
    /// What the end of the connection is to a session on it; none while it lasts, and if it was not ended here.
    pub fn ended(&self) -> Option<SessionEnd> {
        self.0.get().copied()
    }

    fn end(&self, how: SessionEnd) {
        let _ = self.0.set(how);
    }
}

/// What answers.
///
/// A call whose caller has gone is dropped where it waits.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Answers a method of [`Shape::Call`](crate::Shape::Call). Its needs are met and its body is within its limit.
    async fn answer(&self, caller: Caller, method: Method, body: Bytes) -> Result<Bytes, Refusal>;

    /// Holds a conversation; when it comes back the stream is ended, by a refusal if that is what came back.
    async fn converse(
        &self,
        caller: Caller,
        method: Method,
        conversation: Conversation,
    ) -> Result<(), Refusal>;
}

/// What a server may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A stranger that has not said who it is by then is sent away.
    pub handshake: Duration,
    /// Unfinished handshakes in all; one more ends the oldest.
    pub handshakes: usize,
    /// Unfinished handshakes from one address (IPv6: from one /64); one more is refused.
    pub handshakes_per_source: usize,
    /// Connections with a certificate.
    pub connections: usize,
    /// Connections with one node's certificate.
    pub connections_per_node: usize,
    /// Connections without one.
    pub anonymous: usize,
    /// Connections without one from one address.
    pub anonymous_per_source: usize,
    /// How long a connection without a certificate may last.
    pub anonymous_life: Duration,
    /// Streams at once on the connection of a manager.
    pub streams: u32,
    /// Streams at once on the connection of a worker.
    pub streams_of_workers: u32,
    /// Streams at once on a connection without a certificate.
    pub streams_of_strangers: u32,
    /// How long the body of a call may take to arrive, and an answer to be taken.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake: Duration::from_secs(5),
            handshakes: 512,
            // A few hundred nodes behind one address come back within a second after a failover.
            handshakes_per_source: 128,
            connections: 8192,
            // A few clients of each purpose, and what they leave behind when a certificate is renewed.
            connections_per_node: 64,
            anonymous: 128,
            anonymous_per_source: 64,
            anonymous_life: Duration::from_secs(60),
            streams: 1024,
            // A session, log streams, and what is asked between them.
            streams_of_workers: 64,
            streams_of_strangers: 4,
            body: Duration::from_secs(10),
        }
    }
}

/// The role in which the cluster has the node of a certificate; none if it does not belong to it any more. Nobody is more
/// than the certificate says. Asked for each call, and with each ping for the streams under way; cheap.
pub type RoleOf = dyn Fn(&Identity) -> Option<Role> + Send + Sync;

/// What a server is made of.
pub struct ServerConfig {
    pub listener: TcpListener,
    /// Must hold a certificate.
    pub credentials: Credentials,
    pub limits: Limits,
    pub keepalive: Keepalive,
    pub role_of: Arc<RoleOf>,
}

/// A service and where it runs.
pub struct Served {
    pub service: Arc<dyn Service>,
    pub runtime: Handle,
}

/// A running server. Dropping it ends everything at once.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What all connections share.
struct Shared {
    credentials: Credentials,
    limits: Limits,
    keepalive: Keepalive,
    role_of: Arc<RoleOf>,
    general: Served,
    raft: Served,
    complaints: Complaints,
    handshakes: Gate,
    members: Gate,
    anonymous: Gate,
    tasks: TaskTracker,
    /// No more connections and calls; what is under way may finish.
    closing: CancellationToken,
    /// All ends.
    killed: CancellationToken,
}

impl Server {
    /// Serves the listener: methods of [`Purpose::General`] by one service, those of [`Purpose::Raft`] by the other.
    ///
    /// # Errors
    /// If the listener is not one.
    pub fn start(config: ServerConfig, general: Served, raft: Served) -> io::Result<Server> {
        let address = config.listener.local_addr()?;
        config.listener.set_nonblocking(true)?;
        let limits = config.limits;
        let shared = Arc::new(Shared {
            credentials: config.credentials,
            limits,
            keepalive: config.keepalive,
            role_of: config.role_of,
            general,
            raft,
            complaints: Complaints::default(),
            handshakes: Gate::new(limits.handshakes, limits.handshakes_per_source, Full::Evict),
            members: Gate::new(
                limits.connections,
                limits.connections_per_node,
                Full::Refuse,
            ),
            anonymous: Gate::new(limits.anonymous, limits.anonymous_per_source, Full::Refuse),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            killed: CancellationToken::new(),
        });
        let runtime = shared.general.runtime.clone();
        let accepting = shared.clone().accept(config.listener);
        shared.tasks.spawn_on(accepting, &runtime);
        Ok(Server { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more, lets what is under way finish for as long as `grace`, and ends it then. Nothing is left when it
    /// comes back.
    pub async fn shutdown(self, grace: Duration) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        if timeout(grace, self.shared.tasks.wait()).await.is_err() {
            self.shared.killed.cancel();
            self.shared.tasks.wait().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closing.cancel();
        self.shared.killed.cancel();
    }
}

/// After an error that is ours, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Shared {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "cannot listen for nodes"),
        };
        loop {
            let accepted = tokio::select! {
                () = self.closing.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => self.admit(stream, from),
                Err(error) => {
                    self.complaints.complain(None, "accept", &error);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let Some(place) = self.handshakes.enter(Source::address(from.ip())) else {
            let reason = "too many unfinished handshakes";
            return self.complaints.complain(Some(from), "connection", reason);
        };
        let runtime = &self.general.runtime;
        let greeting = self.clone().greet(stream, from, place);
        self.tasks.spawn_on(greeting, runtime);
    }

    fn served(&self, purpose: Purpose) -> &Served {
        match purpose {
            Purpose::General => &self.general,
            Purpose::Raft => &self.raft,
        }
    }
}
