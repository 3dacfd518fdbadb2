//! Our own API, `/swarmrs/v1/…`.

use http::{Method, Response, StatusCode};
use swarmrs_types::Fault;
use swarmrs_types::report::VersionReport;

use super::{Handlers, answer};
use crate::refusal::refusal;
use crate::server::Body;

pub(super) async fn answer(
    handlers: &Handlers,
    method: &Method,
    path: &str,
) -> Result<Response<Body>, Fault> {
    match (method, path) {
        (&Method::GET, "v1/read/version") => Ok(answer::ok(&version(handlers).await)),
        _ => Ok(refusal(StatusCode::NOT_FOUND, "page not found")),
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
