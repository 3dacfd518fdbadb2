//! The engine's socket: one pool of kept-alive HTTP/1 connections for bollard and for our own calls.
//!
//! bollard is plugged in as a user of this pool. Its URL builder joins absolute paths and thereby loses the version that
//! it negotiated (`/v1.41/containers/x` becomes `/containers/x`, which an engine answers in its newest version), so the
//! version is put in front here, for every request alike.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::{BollardRequest, Docker};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tower_service::Service;

use crate::error::BoxError;
use crate::version::ApiVersion;

pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Long enough for a burst of creates to find warm connections, short enough not to hold sockets of an idle node.
const IDLE: Duration = Duration::from_secs(30);

/// What bollard waits for the head of an answer, in seconds: never the shorter limit, for we set our own per call.
const BOLLARD_WAITS: u64 = u32::MAX as u64;

/// The pool. Clones share it.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client<Dial, Body>,
    socket: Arc<Path>,
}

impl Transport {
    pub(crate) fn new(socket: &Path) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(Dial {
                socket: socket.to_owned(),
            });
        Self {
            client,
            socket: socket.into(),
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends one request; `api` of `None` asks without a version, as the negotiation must.
    pub(crate) async fn send(
        &self,
        api: Option<ApiVersion>,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, SendError> {
        *request.uri_mut() = target(api, request.uri())?;
        Ok(self.client.request(request).await?)
    }

    /// A bollard client on this pool. It asks without a version until `api` is set.
    pub(crate) fn bollard(
        &self,
        api: Arc<OnceLock<ApiVersion>>,
    ) -> Result<Docker, bollard::errors::Error> {
        let transport = self.clone();
        let send = move |request: BollardRequest| {
            let transport = transport.clone();
            let api = api.get().copied();
            async move {
                let request = request.map(BodyExt::boxed_unsync);
                transport
                    .send(api, request)
                    .await
                    .map_err(SendError::into_bollard)
            }
        };
        Docker::connect_with_custom_transport(
            send,
            Some("http://docker"),
            BOLLARD_WAITS,
            bollard::API_DEFAULT_VERSION,
        )
    }
}

/// The request could not be addressed, or not be sent.
#[derive(Debug)]
pub(crate) enum SendError {
    Address(http::Error),
    Pool(legacy::Error),
}

impl SendError {
    fn into_bollard(self) -> bollard::errors::Error {
        match self {
            Self::Address(err) => err.into(),
            Self::Pool(err) => err.into(),
        }
    }
}

impl From<http::Error> for SendError {
    fn from(error: http::Error) -> Self {
        Self::Address(error)
    }
}

impl From<legacy::Error> for SendError {
    fn from(error: legacy::Error) -> Self {
        Self::Pool(error)
    }
}

/// The same path and query under the version's prefix. The host only fills the `Host` header, which Go's server demands.
fn target(api: Option<ApiVersion>, uri: &Uri) -> Result<Uri, http::Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let versioned = match api {
        Some(api) => format!("/v{api}{path}"),
        None => path.to_owned(),
    };
    Uri::builder()
        .scheme("http")
        .authority("docker")
        .path_and_query(versioned)
        .build()
}

/// Opens connections to the socket, whatever the request's host says.
#[derive(Clone)]
struct Dial {
    socket: PathBuf,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let socket = self.socket.clone();
        Box::pin(async move { Ok(TokioIo::new(UnixStream::connect(socket).await?)) })
    }
}
