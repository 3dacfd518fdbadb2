//! `--metrics-addr`: a port of its own for `/metrics` and `/health`, in clear, and for nothing else.
//!
//! Whoever reaches the port learns names of services and how they do, and can change nothing. It is off unless asked for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::handler::{Handlers, Query};
use crate::server::{Body, stopped};

/// Connections served at once; a scraper needs one.
const MOST: usize = 32;
/// A client that takes longer over its head, or between two requests, is let go.
const PATIENCE: Duration = Duration::from_secs(30);
/// A pause after a failed accept, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The port, taken.
#[derive(Debug)]
pub struct Metrics(TcpListener);

impl Metrics {
    /// Takes the port.
    ///
    /// # Errors
    /// If it cannot be had.
    pub async fn bind(addr: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        info!(addr = %listener.local_addr()?, "metrics and health are served");
        Ok(Self(listener))
    }

    /// Serves until `shutdown` becomes true.
    pub async fn serve(self, handlers: Arc<Handlers>, mut shutdown: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped(&mut shutdown) => return,
                Some(_) = connections.join_next() => {}
                accepted = self.0.accept(), if connections.len() < MOST => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(converse(stream, handlers.clone()))),
                    Err(error) => {
                        warn!(%error, "accept failed on the metrics port");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }
}

async fn converse(stream: TcpStream, handlers: Arc<Handlers>) {
    let service = service_fn(move |request| {
        let handlers = handlers.clone();
        async move { Ok::<_, Infallible>(answer(&handlers, &request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(%error, "connection to the metrics port ended");
    }
}

async fn answer(handlers: &Handlers, request: &Request<Incoming>) -> Response<Body> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let query = Query::parse(request.uri().query().unwrap_or_default());
    match request.uri().path() {
        _ if !is_read => plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is answered here\n",
        ),
        "/metrics" => handlers.metrics(),
        "/health" => match handlers.health(&query).await {
            Ok(answer) => answer,
            Err(fault) => plain(StatusCode::BAD_REQUEST, &format!("{fault}\n")),
        },
        _ => plain(
            StatusCode::NOT_FOUND,
            "only /metrics and /health are here\n",
        ),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
