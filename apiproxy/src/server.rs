//! Listeners, connections and their end.
//!
//! One task per connection, all owned by [`serve`]. A connection reads a head, asks [`route`](crate::route) whose call it is,
//! and either forwards it raw or lets the [`Api`] answer; then it reads the next. It keeps one engine connection of its own,
//! so that a client with keep-alive costs the engine what it would cost without us, and two clients never share one.
//!
//! On shutdown no connection is accepted any more and idle ones close. Requests under way finish, within a bound; hijacked
//! connections have no end to wait for and are cut when the last request is through.

mod answer;
mod connection;
mod tls;
mod traffic;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::forward::Engine;
use crate::route::Route;
use crate::stream::{Socket, UnixSocket};
use connection::Connection;
pub use tls::{Tls, TlsError};
pub use traffic::Traffic;

/// An answer's body.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// What answers the calls that are not the engine's alone.
pub trait Api: Send + Sync + 'static {
    /// Whether a call can have another answer than the engine's own. Those that cannot are passed on like raw ones, which is
    /// faster. Asked for merged and rewritten calls; must be cheap.
    fn concerns(&self, _route: &Route) -> bool {
        true
    }

    /// Where what passes is counted; asked for once.
    fn traffic(&self) -> Arc<Traffic> {
        Arc::default()
    }

    /// Answers one call, or hands it back. Dropped half-way when the client hangs up.
    ///
    /// Called for what it [concerns](Api::concerns), and not for paths that are ours without being a call. `request` is the client's, its
    /// headers in their case; a handler that reads the body bounds it.
    fn call(&self, route: Route, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

/// What becomes of a call.
#[derive(Debug)]
pub enum Reply {
    /// This is the answer.
    Answer(Response<Body>),
    /// The engine shall answer the request as the client sent it, byte for byte, also if its body has been read.
    ///
    /// For merged and rewritten calls only: one of ours is answered with 501 instead, whatever a handler says.
    Forward,
}

/// Where clients come in.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket.
    Unix(UnixListener),
    /// A TCP port.
    Tcp(Tcp),
}

/// A TCP port, and what is open to those who reach it.
#[derive(Debug)]
pub struct Tcp {
    pub listener: TcpListener,
    /// `None`: in clear.
    pub tls: Option<Tls>,
    /// Whether `/swarmrs` is served here.
    pub swarmrs_api: bool,
}

impl Listener {
    fn serves_swarmrs_api(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(tcp) => tcp.swarmrs_api,
        }
    }
}

/// How long requests under way may take to finish after a shutdown began.
pub const DRAIN: Duration = Duration::from_secs(5);

/// A pause after a failed accept (too many open files), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Held by each request under way. Once `serve` has let go of its own, the channel's end is the end of the last request.
type Busy = mpsc::Sender<()>;

/// What all connections of a listener share.
struct Shared<A> {
    api: Arc<A>,
    engine: Engine,
    traffic: Arc<Traffic>,
    busy: mpsc::WeakSender<()>,
    shutdown: watch::Receiver<bool>,
    /// Whether `/swarmrs` is served on this listener.
    swarmrs_api: bool,
}

impl<A> Clone for Shared<A> {
    fn clone(&self) -> Self {
        Self {
            api: self.api.clone(),
            engine: self.engine.clone(),
            traffic: self.traffic.clone(),
            busy: self.busy.clone(),
            shutdown: self.shutdown.clone(),
            swarmrs_api: self.swarmrs_api,
        }
    }
}

/// Serves a listener until `shutdown` becomes true (or its sender is gone), then drains and returns.
pub async fn serve<A: Api>(
    listener: Listener,
    api: Arc<A>,
    engine: Engine,
    mut shutdown: watch::Receiver<bool>,
) {
    let (busy, mut all_done) = mpsc::channel::<()>(1);
    let shared = Shared {
        traffic: api.traffic(),
        api,
        engine,
        busy: busy.downgrade(),
        shutdown: shutdown.clone(),
        swarmrs_api: listener.serves_swarmrs_api(),
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener) => match accepted {
                Ok(Accepted::Unix(stream)) => drop(connections.spawn(speak(stream, shared.clone()))),
                Ok(Accepted::Tcp(stream, None)) => drop(connections.spawn(speak(stream, shared.clone()))),
                Ok(Accepted::Tcp(stream, Some(tls))) => drop(connections.spawn(speak_tls(stream, tls, shared.clone()))),
                Err(error) => {
                    warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drop(busy);
    // Ready when every request has let go; a longer one is cut below.
    let _ = tokio::time::timeout(DRAIN, all_done.recv()).await;
    connections.shutdown().await;
}

/// Waits for the word to stop; nobody left to say it is that word too.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn speak<S: Socket, A: Api>(client: S, shared: Shared<A>) -> impl Future<Output = ()> {
    Connection::new(client, shared).run()
}

async fn speak_tls<A: Api>(client: TcpStream, tls: Tls, shared: Shared<A>) {
    match tls.accept(client).await {
        Ok(client) => speak(client, shared).await,
        Err(error) => debug!(%error, "TLS handshake failed"),
    }
}

enum Accepted {
    Unix(UnixSocket),
    Tcp(TcpStream, Option<Tls>),
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Unix(listener) => listener
            .accept()
            .await
            .and_then(|(stream, _)| stream.try_into())
            .map(Accepted::Unix),
        Listener::Tcp(tcp) => {
            let (stream, _) = tcp.listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Accepted::Tcp(stream, tcp.tls.clone()))
        }
    }
}
