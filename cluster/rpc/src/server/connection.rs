//! One connection, from its first byte to its last.

use super::gate::{Place, Source};
use super::{Line, Served, Shared};
use crate::message::control::SessionEnd;
use crate::pulse::{self, Beats, Pulse, Unheard, WINDOW};
use crate::server::stream::{self, Peer};
use crate::tls::Current;
use crate::{Keepalive, Purpose, Reason};
use arc_swap::ArcSwap;
use bytes::Bytes;
use h2::PingPong;
use h2::server::Connection;
use rustls::pki_types::CertificateDer;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_security::{Identity, Role};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

type Encrypted = TlsStream<Pulse>;

/// What a stranger may send ahead of our reading, per stream and per connection; more than a request for a certificate.
const SMALL_WINDOW: u32 = 64 * 1024;
/// Answers that wait in the connection, per stream.
const SEND_BUFFER: usize = 512 * 1024;
/// A request's head: a path and no headers that matter.
const HEAD: u32 = 8 * 1024;
/// Calls that their caller gave up before we looked at them. Managers give up many at once when a leader is lost.
const GIVEN_UP: usize = 4096;

/// What still answers so long after its connection has ended does not look at its stream, and is dropped.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection that has said who it is.
struct Known {
    stream: Encrypted,
    from: SocketAddr,
    purpose: Purpose,
    identity: Option<Identity>,
    chain: Vec<CertificateDer<'static>>,
    /// What we trusted at the handshake.
    believed_by: Arc<Current>,
    beats: Beats,
    /// Its place among unfinished handshakes, until HTTP/2 has begun.
    greeting: Place,
    /// Its place among connections.
    place: Place,
}

impl Shared {
    /// The handshake; what comes of it is served where it belongs.
    pub(super) async fn greet(self: Arc<Self>, stream: TcpStream, from: SocketAddr, place: Place) {
        let evicted = place.evicted();
        let known = tokio::select! {
            () = self.closing.cancelled() => return,
            () = evicted.cancelled() => {
                let reason = "its place is needed";
                return self.complaints.complain(Some(from), "TLS", reason);
            }
            known = timeout(self.limits.handshake, self.meet(stream, from, place)) => known,
        };
        let known = match known {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => return self.complaints.complain(Some(from), "TLS", error),
            Err(_) => return self.complaints.complain(Some(from), "TLS", "too slow"),
        };
        let Served { runtime, .. } = self.served(known.purpose);
        let serving = self.clone().serve(known);
        self.tasks.spawn_on(serving, runtime);
    }

    async fn meet(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        greeting: Place,
    ) -> io::Result<Known> {
        let pulse = Pulse::new(stream)?;
        let beats = pulse.beats();
        let current = self.credentials.current();
        let server = current
            .server
            .clone()
            .ok_or_else(|| io::Error::other("we have no certificate"))?;
        let stream = TlsAcceptor::from(server).accept(pulse).await?;
        let (_, session) = stream.get_ref();
        let purpose = Purpose::of_protocol(session.alpn_protocol());
        let purpose = purpose.ok_or_else(|| io::Error::other("not one of our protocols"))?;
        let chain = session.peer_certificates().unwrap_or_default();
        let chain: Vec<_> = chain.iter().map(|one| one.clone().into_owned()).collect();
        let certificate = chain.first();
        let identity = certificate.map(|certificate| Identity::from_der(certificate));
        let identity = identity.transpose().map_err(io::Error::other)?;
        let place = match &identity {
            Some(identity) => self.members.enter(Source::Node(identity.node_id.clone())),
            None => self.anonymous.enter(Source::address(from.ip())),
        };
        let place = place.ok_or_else(|| io::Error::other("too many connections"))?;
        Ok(Known {
            stream,
            from,
            purpose,
            identity,
            chain,
            believed_by: current,
            beats,
            greeting,
            place,
        })
    }

    /// Serves a connection until it ends, on its own runtime.
    async fn serve(self: Arc<Self>, known: Known) {
        let from = known.from;
        let ended = tokio::select! {
            () = self.killed.cancelled() => return,
            ended = self.hold(known) => ended,
        };
        if let Err(reason) = ended {
            self.complaints.complain(Some(from), "HTTP/2", reason);
        }
    }

    async fn hold(self: &Arc<Self>, mut known: Known) -> Result<(), String> {
        let settled = known.stream.get_mut().0.settle();
        settled.map_err(|error| error.to_string())?;
        let begun = self.begin(known.stream, known.identity.as_ref());
        let evicted = known.greeting.evicted();
        let begun = tokio::select! {
            () = evicted.cancelled() => return Err("its place is needed".into()),
            begun = timeout(self.limits.handshake, begun) => begun,
        };
        let mut connection = begun
            .map_err(|_| "too slow")?
            .map_err(|error| error.to_string())?;
        drop(known.greeting);
        let pings = connection.ping_pong().ok_or("no pings")?;
        let life = match known.identity {
            Some(_) => None,
            None => Some(self.limits.anonymous_life),
        };
        let line = Line::default();
        let peer = Arc::new(Peer {
            from: known.from,
            purpose: known.purpose,
            identity: known.identity,
            chain: known.chain,
            believed_by: ArcSwap::new(known.believed_by),
            line: line.clone(),
            shared: self.clone(),
        });
        let mut answers = JoinSet::new();
        let ended = tokio::select! {
            ended = streams(connection, &peer, &mut answers) => {
                ended.map_err(|error| error.to_string())
            }
            ended = until_misfit(&peer, &line) => ended,
            // A node that fell silent is for its manager to judge, not for this log.
            () = until_silent(pings, known.beats, self.keepalive, &line) => Ok(()),
            () = after(life) => Ok(()),
        };
        drop(known.place);
        // Their streams are broken, and they come to their own end by that: how a session ended is told behind it.
        let all = async { while answers.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, all).await;
        ended
    }

    async fn begin(
        &self,
        stream: Encrypted,
        identity: Option<&Identity>,
    ) -> Result<Connection<Encrypted, Bytes>, h2::Error> {
        let (window, streams) = match identity.map(|identity| identity.role) {
            Some(Role::Manager) => (WINDOW, self.limits.streams),
            Some(Role::Worker) => (WINDOW, self.limits.streams_of_workers),
            None => (SMALL_WINDOW, self.limits.streams_of_strangers),
        };
        let mut builder = h2::server::Builder::new();
        if identity.is_some_and(|identity| identity.role == Role::Manager) {
            // What arrives for calls that both gave up is no offence.
            builder.max_local_error_reset_streams(None);
        }
        builder
            .initial_window_size(window)
            .initial_connection_window_size(2 * window)
            .max_concurrent_streams(streams)
            .max_header_list_size(HEAD)
            .max_send_buffer_size(SEND_BUFFER)
            .max_pending_accept_reset_streams(GIVEN_UP)
            .handshake(stream)
            .await
    }
}

/// Answers the streams of a connection until it ends.
async fn streams(
    mut connection: Connection<Encrypted, Bytes>,
    peer: &Arc<Peer>,
    answers: &mut JoinSet<()>,
) -> Result<(), h2::Error> {
    let mut closing = pin!(peer.shared.closing.cancelled());
    let mut is_closing = false;
    loop {
        tokio::select! {
            next = connection.accept() => match next {
                Some(Ok((request, respond))) => {
                    answers.spawn(stream::answer(peer.clone(), request, respond));
                }
                Some(Err(error)) if quiet(&error) => return Ok(()),
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            Some(_) = answers.join_next() => {}
            () = &mut closing, if !is_closing => {
                is_closing = true;
                connection.graceful_shutdown();
            }
        }
    }
}

/// How connections of good nodes end too: their process or their machine is gone.
fn quiet(error: &h2::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, HostUnreachable, TimedOut, UnexpectedEof};
    let Some(io) = error.get_io() else {
        return false;
    };
    [
        BrokenPipe,
        ConnectionReset,
        HostUnreachable,
        TimedOut,
        UnexpectedEof,
    ]
    .contains(&io.kind())
}

/// Comes back when the peer is none of the swarm's any more by what it showed.
///
/// A node renews its certificate long before the end, and comes back by the one that it has now: that is as if it had ended
/// its sessions itself. Who has no other is complained of when it comes.
async fn until_misfit(peer: &Peer, line: &Line) -> Result<(), String> {
    let refusal = peer.misfit().await;
    match refusal.reason {
        Reason::Expired => {
            line.end(SessionEnd::Goodbye);
            Ok(())
        }
        _ => Err(refusal.to_string()),
    }
}

async fn after(life: Option<Duration>) {
    match life {
        Some(life) => sleep(life).await,
        None => pending().await,
    }
}

/// Comes back when nothing is heard any more; whoever speaks over the line may know by then why it ends.
async fn until_silent(pings: PingPong, beats: Beats, keepalive: Keepalive, line: &Line) {
    if pulse::watch(pings, beats, keepalive).await == Unheard::Silent {
        line.end(SessionEnd::Silence);
    }
}
