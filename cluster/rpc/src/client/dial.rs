//! How a connection comes about, and how it is kept.

use super::Keeper;
use crate::conversation::Outgoing;
use crate::pulse::{self, Beats, Pulse, WINDOW};
use crate::tls::server_name;
use crate::{CallError, FrameReceiver, Keepalive, Method};
use bytes::Bytes;
use h2::PingPong;
use h2::client::{Connection, SendRequest};
use http::Request;
use rustls::ClientConfig;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Encrypted = TlsStream<Pulse>;

/// What we may have waiting in the connection, per stream.
const SEND_BUFFER: usize = 512 * 1024;
/// An answer's head: a status.
const HEAD: u32 = 16 * 1024;
/// Calls given up that are remembered for a moment, because their answers may be under way.
const GIVEN_UP: usize = 1024;

/// What a connection is to be.
pub(super) struct Dial {
    pub(super) address: String,
    /// The name that the peer's certificate must carry.
    pub(super) name: String,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) keepalive: Keepalive,
    pub(super) within: Duration,
    pub(super) keeper: Option<Arc<dyn Keeper>>,
}

/// A connection that works. It ends when the last of its holders and streams is gone.
#[derive(Clone, Debug)]
pub(super) struct Live {
    requests: SendRequest<Bytes>,
    over: Arc<OnceLock<CallError>>,
}

impl Live {
    pub(super) fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    /// A new stream. If there is none, no more requests can be made of the connection, and the peer has not seen this one.
    pub(super) async fn open(
        &self,
        method: Method,
    ) -> Result<(Outgoing, FrameReceiver), CallError> {
        let opened = request(self.requests.clone(), method).await;
        opened.map_err(|error| {
            let error = self.over.get_or_init(|| CallError::lost(&error));
            error.clone()
        })
    }
}

async fn request(
    requests: SendRequest<Bytes>,
    method: Method,
) -> Result<(Outgoing, FrameReceiver), h2::Error> {
    let mut requests = requests.ready().await?;
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = method.uri();
    let (answer, stream) = requests.send_request(request, false)?;
    let receiver = FrameReceiver::asking(answer, method);
    Ok((Outgoing::new(stream), receiver))
}

impl Dial {
    /// Connects. What is wrong with our certificate in the peer's eyes is known here too: the peer answers a ping
    /// only after it has judged it.
    pub(super) async fn dial(self) -> Result<Live, CallError> {
        let connecting = timeout(self.within, self.connect()).await;
        connecting.unwrap_or_else(|_| Err(CallError::not_within(&self.address, self.within)))
    }

    async fn connect(&self) -> Result<Live, CallError> {
        let failed = |error: io::Error| CallError::connecting(&self.address, &error);
        let stream = TcpStream::connect(&self.address).await.map_err(failed)?;
        let shared = self.shared(&stream).map_err(failed)?;
        let pulse = Pulse::new(stream).map_err(failed)?;
        let beats = pulse.beats();
        let connector = TlsConnector::from(self.tls.clone());
        let name = server_name(&self.name).map_err(io::Error::other);
        let stream = connector.connect(name.map_err(failed)?, pulse);
        let stream = stream.await.map_err(failed)?;
        if stream.get_ref().1.alpn_protocol().is_none() {
            return Err(failed(io::Error::other("not a node of a swarm")));
        }
        let begun = begin(stream).await.map_err(io_error).map_err(failed)?;
        let (requests, mut connection) = begun;
        let Some(mut pings) = connection.ping_pong() else {
            return Err(failed(io::Error::other("no pings")));
        };
        tokio::select! {
            ended = &mut connection => return Err(failed(why(ended))),
            answer = pulse::ping(&mut pings, &beats, self.within) => {
                answer.map_err(io::Error::other).map_err(failed)?;
            }
        }
        let over = Arc::new(OnceLock::new());
        let keeping = keep(connection, pings, beats, self.keepalive, over.clone());
        let held = shared.map(|(keeper, socket)| keeper.keep(socket));
        tokio::spawn(async move {
            keeping.await;
            // The peer is to see the end.
            drop(held);
        });
        Ok(Live { requests, over })
    }

    /// The socket once more, for whoever shares it.
    fn shared(&self, stream: &TcpStream) -> io::Result<Option<(Arc<dyn Keeper>, OwnedFd)>> {
        let Some(keeper) = &self.keeper else {
            return Ok(None);
        };
        let socket = stream.as_fd().try_clone_to_owned()?;
        Ok(Some((keeper.clone(), socket)))
    }
}

async fn begin(
    stream: Encrypted,
) -> Result<(SendRequest<Bytes>, Connection<Encrypted>), h2::Error> {
    h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .max_header_list_size(HEAD)
        .max_send_buffer_size(SEND_BUFFER)
        // What still arrives for calls that were given up is no offence, however many they are.
        .max_concurrent_reset_streams(GIVEN_UP)
        .max_local_error_reset_streams(None)
        .enable_push(false)
        .handshake(stream)
        .await
}

/// Drives the connection until it ends, and notes why it did.
async fn keep(
    connection: Connection<Encrypted>,
    pings: PingPong,
    beats: Beats,
    keepalive: Keepalive,
    over: Arc<OnceLock<CallError>>,
) {
    let reason = tokio::select! {
        ended = connection => CallError::Lost(why(ended).to_string()),
        unheard = pulse::watch(pings, beats, keepalive) => CallError::Lost(unheard.to_string()),
    };
    let _ = over.set(reason);
}

fn why(ended: Result<(), h2::Error>) -> io::Error {
    match ended {
        Ok(()) => io::Error::new(io::ErrorKind::ConnectionAborted, "closed by the peer"),
        Err(error) => io_error(error),
    }
}

fn io_error(error: h2::Error) -> io::Error {
    let text = error.to_string();
    error.into_io().unwrap_or_else(|| io::Error::other(text))
}
