//! `/secrets` and `/configs`.

mod config;
mod secret;

use http::Response;
use serde::Serialize;
use swarmrs_node::Node;
use swarmrs_types::Fault;
use swarmrs_types::spec::Driver;

use super::request::Call;
use crate::route::Endpoint;
use crate::server::Body;
use crate::version::version;

/// Answer to a create.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
}

pub(super) async fn answer(
    node: &Node,
    endpoint: Endpoint,
    call: Call,
) -> Result<Response<Body>, Fault> {
    match endpoint {
        Endpoint::SecretList => secret::list(node, call).await,
        Endpoint::SecretCreate => secret::create(node, call).await,
        Endpoint::SecretInspect { id } => secret::inspect(node, &id).await,
        Endpoint::SecretUpdate { id } => secret::update(node, &id, call).await,
        Endpoint::SecretRemove { id } => secret::remove(node, &id).await,
        Endpoint::ConfigList => config::list(node, call).await,
        Endpoint::ConfigCreate => config::create(node, call).await,
        Endpoint::ConfigInspect { id } => config::inspect(node, &id).await,
        Endpoint::ConfigUpdate { id } => config::update(node, &id, call).await,
        Endpoint::ConfigRemove { id } => config::remove(node, &id).await,
        _ => Err(Fault::not_built("this call")),
    }
}

/// These two do not say what is wrong with the number.
fn object_version(call: &Call, kind: &str) -> Result<u64, Fault> {
    let version = call.query.version(kind);
    version.map_err(|_| Fault::invalid(format!("invalid {kind} version")))
}

/// Templates are younger than secrets and configs.
fn may_be_template(call: &Call, kind: &str, templating: Option<&Driver>) -> Result<(), Fault> {
    if templating.is_none() || call.version >= version(1, 37) {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "{kind} templating is not supported on the specified API version: {}",
        call.version
    )))
}
