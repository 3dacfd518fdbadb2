//! Asking another node.
//!
//! A [`Client`] keeps one connection and dials again when there is none, or when what we show or trust has been replaced
//! since. All calls share it; what is under way on an old connection ends there.

mod dial;
mod keeper;
mod root;

pub use keeper::Keeper;
pub use root::fetch_root;

use crate::codec::{Frame, Malformed};
use crate::conversation::Outgoing;
use crate::tls::{self, Current, TlsError};
use crate::{CallError, Conversation, Credentials, FrameReceiver, FrameSender, Keepalive, Method};
use crate::{Purpose, Shape};
use bytes::Bytes;
use dial::{Dial, Live};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

/// A connection comes about within this time or not at all: one lost packet and its repetition, and a handshake.
const CONNECT: Duration = Duration::from_secs(2);

/// How another node is asked; clones share the connection.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    latest: Mutex<Option<Attempt>>,
}

/// Whom it asks, and how it gets there.
#[derive(Clone, Debug)]
struct Target {
    address: String,
    /// The name that its certificate must carry.
    name: String,
    purpose: Purpose,
    credentials: Credentials,
    keepalive: Keepalive,
    connect: Duration,
    /// Who shares the connection's socket.
    keeper: Option<Arc<dyn Keeper>>,
    /// Where the connection lives; without it, where the first of its callers is.
    runtime: Option<Handle>,
}

/// A connection, or one that is on its way.
#[derive(Clone, Debug)]
struct Attempt {
    /// What it was made with.
    credentials: Arc<Current>,
    outcome: Shared<BoxFuture<'static, Result<Live, CallError>>>,
}

impl Attempt {
    /// Whether a call may still use it.
    fn is_good(&self, credentials: &Arc<Current>) -> bool {
        let usable = match self.outcome.peek() {
            None => true,
            Some(Ok(live)) => !live.is_over(),
            Some(Err(_)) => false,
        };
        usable && Arc::ptr_eq(&self.credentials, credentials)
    }
}

impl Client {
    /// A client for the manager at `address` (`host:port`). Does not connect.
    pub fn new(address: impl Into<String>, credentials: Credentials, purpose: Purpose) -> Self {
        Self::to(Target {
            address: address.into(),
            name: tls::MANAGER.to_owned(),
            purpose,
            credentials,
            keepalive: Keepalive::default(),
            connect: CONNECT,
            keeper: None,
            runtime: None,
        })
    }

    fn to(target: Target) -> Self {
        Client(Arc::new(Inner {
            target,
            latest: Mutex::default(),
        }))
    }

    /// Speaks to no other node than this one.
    pub fn expecting(self, node_id: &str) -> Result<Self, TlsError> {
        tls::server_name(node_id)?;
        Ok(self.with(|target| target.name = node_id.to_owned()))
    }

    /// Keeps its connection on this runtime, which must have IO; needed where the callers' has none.
    pub fn on(self, runtime: Handle) -> Self {
        self.with(|target| target.runtime = Some(runtime))
    }

    /// Has somebody share the connection's socket.
    pub fn kept_by(self, keeper: Arc<dyn Keeper>) -> Self {
        self.with(|target| target.keeper = Some(keeper))
    }

    /// How a silent peer is found.
    pub fn keepalive(self, keepalive: Keepalive) -> Self {
        self.with(|target| target.keepalive = keepalive)
    }

    /// How long a connection may take to come about.
    pub fn connect_within(self, connect: Duration) -> Self {
        self.with(|target| target.connect = connect)
    }

    fn with(self, change: impl FnOnce(&mut Target)) -> Self {
        let mut target = self.0.target.clone();
        change(&mut target);
        Self::to(target)
    }

    /// The peer's `host:port`.
    pub fn address(&self) -> &str {
        &self.0.target.address
    }

    /// Asks, and waits for the answer no longer than `within`, connecting included. Dropped, it tells the peer to stop.
    pub async fn call(
        &self,
        method: Method,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        debug_assert_eq!(method.shape(), Shape::Call);
        if body.len() > method.request_limit() {
            let length = body.len();
            return Err(CallError::TooLong { method, length });
        }
        let deadline = Instant::now() + within;
        let opened = self.open_before(method, deadline, within).await?;
        let answer = timeout_at(deadline, exchange(opened, body)).await;
        answer.unwrap_or(Err(CallError::TimedOut(within)))
    }

    /// Begins a conversation; a refusal comes here if the peer judged by the method and the certificate, later if its
    /// service refuses.
    pub async fn converse(
        &self,
        method: Method,
        within: Duration,
    ) -> Result<Conversation, CallError> {
        debug_assert_eq!(method.shape(), Shape::Conversation);
        let deadline = Instant::now() + within;
        let (outgoing, mut receiver) = self.open_before(method, deadline, within).await?;
        let sender = FrameSender::asking(outgoing, method);
        let begun = timeout_at(deadline, receiver.begin()).await;
        begun.unwrap_or(Err(CallError::TimedOut(within)))?;
        Ok(Conversation { sender, receiver })
    }

    /// Makes sure that there is a connection.
    pub async fn connect(&self) -> Result<(), CallError> {
        self.live().await.map(drop)
    }

    /// A new stream. Without one nothing was asked, and it is said so.
    async fn open_before(
        &self,
        method: Method,
        deadline: Instant,
        within: Duration,
    ) -> Result<(Outgoing, FrameReceiver), CallError> {
        let opened = timeout_at(deadline, self.open(method)).await;
        opened.unwrap_or_else(|_| Err(CallError::not_within(self.address(), within)))
    }

    /// A new stream. A connection that turns out to be over has not seen the request, so another is made.
    async fn open(&self, method: Method) -> Result<(Outgoing, FrameReceiver), CallError> {
        match self.live().await?.open(method).await {
            Ok(opened) => Ok(opened),
            Err(_) => self.live().await?.open(method).await,
        }
    }

    async fn live(&self) -> Result<Live, CallError> {
        let attempt = self.attempt();
        attempt.outcome.await
    }

    /// The kept connection, or a new dial that all who come meanwhile wait for.
    fn attempt(&self) -> Attempt {
        let target = &self.0.target;
        let current = target.credentials.current();
        let mut latest = self.latest();
        if let Some(attempt) = latest.as_ref().filter(|one| one.is_good(&current)) {
            return attempt.clone();
        }
        let dial = Dial {
            address: target.address.clone(),
            name: target.name.clone(),
            tls: current.client(target.purpose),
            keepalive: target.keepalive,
            within: target.connect,
            keeper: target.keeper.clone(),
        };
        let runtime = target.runtime.clone().unwrap_or_else(Handle::current);
        let address = target.address.clone();
        // In a task of its own: a caller that gives up does not end it for the others.
        let dialling = runtime.spawn(dial.dial());
        let outcome = async move {
            let ended = |error| CallError::unreachable(&address, error);
            dialling.await.map_err(ended)?
        };
        let attempt = Attempt {
            credentials: current,
            outcome: outcome.boxed().shared(),
        };
        *latest = Some(attempt.clone());
        attempt
    }

    fn latest(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One frame out, one frame in.
async fn exchange(
    (outgoing, mut receiver): (Outgoing, FrameReceiver),
    body: Bytes,
) -> Result<Bytes, CallError> {
    // The peer may refuse before it has the whole body.
    let mut sending = pin!(outgoing.send(Frame::Message(body), true));
    let mut is_sent = false;
    let mut answer = pin!(receiver.next());
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer?,
            // If it failed, the answer says why.
            _ = &mut sending, if !is_sent => is_sent = true,
        }
    };
    answer.ok_or(CallError::Malformed(Malformed::Missing))
}
