//! Networks that a spec names and only the engine knows.

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use swarmrs_core::control::networks;
use swarmrs_node::Node;
use swarmrs_types::Fault;
use swarmrs_types::spec::ServiceSpec;
use tracing::warn;

use crate::forward::Engine;

/// Of the engine's answer to a question for a network.
#[derive(Debug, Deserialize)]
struct Network {
    #[serde(rename = "Name")]
    name: String,
}

/// Asks the engine for the networks that the swarm does not know. Those that every engine has are named as the swarm names
/// them, others are refused, and what the engine does not know either stays as it is.
pub(super) async fn name_local(
    node: &Node,
    engine: &Engine,
    spec: &mut ServiceSpec,
) -> Result<(), Fault> {
    if spec.task_template.networks.is_empty() && spec.networks.is_empty() {
        return Ok(());
    }
    let unknown = networks::unknown(&node.view().await?.state, spec);
    for term in unknown {
        if let Some(name) = local_name(engine, &term).await {
            networks::name_local(spec, &term, &name)?;
        }
    }
    Ok(())
}

/// The whole name of the network that the engine finds by a name, an id or the beginning of one.
async fn local_name(engine: &Engine, term: &str) -> Option<String> {
    let mut request = Request::new(Full::<Bytes>::default());
    let escaped = utf8_percent_encode(term, NON_ALPHANUMERIC);
    // What is escaped so is a path.
    *request.uri_mut() = format!("/networks/{escaped}").parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("docker"));
    let answer = match engine.send(request).await {
        Ok(answer) => answer,
        Err(error) => {
            warn!(network = term, %error, "the engine does not say whether it knows a network");
            return None;
        }
    };
    if answer.status() != StatusCode::OK {
        return None;
    }
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    let found: Network = serde_json::from_slice(&body).ok()?;
    Some(found.name)
}
