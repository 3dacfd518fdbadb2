//! Our own API, `/swarmrs/v1/…`: what is seen from outside. It asks no other node and waits for no quorum.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use swarmrs_types::Fault;
use swarmrs_types::report::{Aspect, EngineReport, VersionReport};
use tokio::time::timeout;

use super::{Handlers, Query, answer};
use crate::metrics;
use crate::refusal::refusal;
use crate::server::Body;
use crate::view::{self, Seen};

/// An engine, and a holder of networks, that is silent for longer counts as away here: whoever asks wants to know now.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn answer(
    handlers: &Handlers,
    method: &Method,
    path: &str,
    query: &Query,
) -> Result<Response<Body>, Fault> {
    match (method, path) {
        (&Method::GET, "v1/read/version") => Ok(answer::ok(&version(handlers).await)),
        (&Method::GET, "v1/read/health") => handlers.health(query).await,
        (&Method::GET, "v1/read/status") => Ok(answer::ok(&view::status(&seen(handlers).await))),
        (&Method::GET, "v1/read/metrics") => Ok(handlers.metrics()),
        (&Method::GET, "v1/read/recorder") => Ok(recorder(handlers)),
        _ => Ok(refusal(StatusCode::NOT_FOUND, "page not found")),
    }
}

impl Handlers {
    /// Whether the node lives, is ready, has a quorum: 200 with the whole report. A probe names what it is after with
    /// `for`, and is answered 503 where that is not so.
    pub(crate) async fn health(&self, query: &Query) -> Result<Response<Body>, Fault> {
        let aspect = match query.get("for") {
            "" => Aspect::Live,
            word => Aspect::parse(word).ok_or_else(|| {
                Fault::invalid(format!(
                    "invalid value for for: {word}: must be live, ready or quorum"
                ))
            })?,
        };
        let report = view::health(&seen(self).await);
        let status = match report.is(aspect) {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        Ok(answer::json(status, &report))
    }

    /// What Prometheus reads.
    pub(crate) fn metrics(&self) -> Response<Body> {
        text(
            metrics::render(&self.node, &self.traffic),
            metrics::CONTENT_TYPE,
        )
    }
}

fn recorder(handlers: &Handlers) -> Response<Body> {
    text(handlers.node.recorder().dump(), "application/x-ndjson")
}

fn text(text: String, kind: &'static str) -> Response<Body> {
    let mut response = answer::bytes(StatusCode::OK, text.into());
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

async fn seen(handlers: &Handlers) -> Seen {
    let version = handlers.node.engine().version();
    let networks = handlers.node.networks().warnings(PATIENCE);
    let (version, networks) = tokio::join!(timeout(PATIENCE, version), networks);
    let version = version.ok().and_then(Result::ok);
    Seen {
        standing: handlers.node.standing(),
        engine: EngineReport {
            answers: version.is_some(),
            version: version.map(|found| found.version).unwrap_or_default(),
        },
        networks: networks.map_err(|error| error.to_string()),
        manager: handlers.node.glance(),
    }
}

/// An engine that does not answer is told by an empty version.
async fn version(handlers: &Handlers) -> VersionReport {
    let engine = handlers.node.engine().version().await;
    VersionReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine_version: engine.map(|engine| engine.version).unwrap_or_default(),
        api_version: handlers.offers.current().await.newest.to_string(),
        swarm: handlers.node.standing().state.as_str().to_owned(),
    }
}
