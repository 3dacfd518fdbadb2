//! The engine's socket: raw connections for forwarding, and calls for handlers that edit a request or its answer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tracing::debug;

use crate::stream::UnixSocket;

/// Idle connections kept for handlers' calls.
const MAX_IDLE: usize = 8;

/// Why the engine gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens, or we may not connect.
    #[error(
        "cannot connect to the Docker engine at unix://{socket}: {source}. Is the docker daemon running?"
    )]
    Connect {
        /// The engine's socket.
        socket: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection ended before an answer came.
    #[error("the Docker engine at unix://{socket} closed the connection before it answered")]
    Closed {
        /// The engine's socket.
        socket: String,
    },
    /// The call broke on its way.
    #[error("the call to the Docker engine at unix://{socket} failed: {source}")]
    Call {
        /// The engine's socket.
        socket: String,
        /// What the client said.
        source: hyper::Error,
    },
}

/// A handle on the stock engine; clones share their idle connections.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    socket: PathBuf,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Engine {
    /// An engine that listens on this unix socket. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        let idle = Mutex::default();
        Self {
            inner: Arc::new(Inner { socket, idle }),
        }
    }

    /// The engine's socket.
    pub fn socket(&self) -> &Path {
        &self.inner.socket
    }

    /// Opens a connection of its own.
    ///
    /// # Errors
    /// [`Error::Connect`] if that fails.
    pub async fn connect(&self) -> Result<UnixSocket, Error> {
        let connected = UnixStream::connect(&self.inner.socket).await;
        let connected = connected.and_then(UnixSocket::try_from);
        connected.map_err(|source| Error::Connect {
            socket: self.name(),
            source,
        })
    }

    /// Sends one request and returns its answer's head; the body streams.
    ///
    /// The request's target must be in origin form, and its headers those that the engine shall see.
    ///
    /// # Errors
    /// If the engine cannot be reached or breaks off before it answers.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let mut request = request;
        while let Some(mut sender) = self.idle() {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.keep(sender, response)),
                // An idle connection may have been closed under us, and then the request comes back unsent.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken(failed.into_error())),
                },
            }
        }
        let mut sender = self.handshake().await?;
        let response = sender.send_request(request).await;
        response
            .map(|r| self.keep(sender, r))
            .map_err(|e| self.broken(e))
    }

    pub(crate) fn closed(&self) -> Error {
        Error::Closed {
            socket: self.name(),
        }
    }

    fn broken(&self, source: hyper::Error) -> Error {
        let socket = self.name();
        Error::Call { socket, source }
    }

    fn name(&self) -> String {
        self.inner.socket.display().to_string()
    }

    async fn handshake(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let stream = TokioIo::new(self.connect().await?);
        let handshake = http1::Builder::new()
            .preserve_header_case(true)
            .title_case_headers(true)
            .handshake(stream);
        let (sender, connection) = handshake.await.map_err(|e| self.broken(e))?;
        // Ends by itself once the sender and the last answer's body are gone.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "engine connection ended");
            }
        });
        Ok(sender)
    }

    /// A connection that can take a request at once, if one lies idle. Those still busy with an answer's body stay.
    fn idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self
            .inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.retain(|sender| !sender.is_closed());
        let at = idle.iter().position(SendRequest::is_ready)?;
        Some(idle.swap_remove(at))
    }

    fn keep(
        &self,
        sender: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
    ) -> Response<Incoming> {
        let mut idle = self
            .inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(sender);
        }
        response
    }
}
