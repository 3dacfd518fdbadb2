//! `/secrets` and `/configs`: there are none yet.
//!
//! Reads and removals are answered as by a swarm that has none, which is the truth, and what a generic `docker inspect` goes
//! by. Only making one is refused.

use http::Response;
use serde_json::Value;
use swarmrs_node::Node;
use swarmrs_types::Fault;
use swarmrs_types::spec::{ConfigSpec, SecretSpec};

use super::answer::ok;
use super::request::Call;
use crate::route::Endpoint;
use crate::server::Body;

const SECRET_FILTERS: [&str; 4] = ["id", "label", "name", "names"];
const CONFIG_FILTERS: [&str; 3] = ["id", "label", "name"];

pub(super) async fn answer(
    node: &Node,
    endpoint: Endpoint,
    mut call: Call,
) -> Result<Response<Body>, Fault> {
    let missing = |kind: &str, id: &str| Err(Fault::not_found(format!("{kind} {id} not found")));
    match endpoint {
        Endpoint::SecretList => none(node, &call, &SECRET_FILTERS),
        Endpoint::ConfigList => none(node, &call, &CONFIG_FILTERS),
        Endpoint::SecretCreate => {
            call.json::<SecretSpec>().await?;
            node.require_manager()?;
            Err(Fault::not_built("making a secret"))
        }
        Endpoint::ConfigCreate => {
            call.json::<ConfigSpec>().await?;
            node.require_manager()?;
            Err(Fault::not_built("making a config"))
        }
        Endpoint::SecretUpdate { id } => {
            call.json::<SecretSpec>().await?;
            invalid_version(&call, "secret")?;
            node.require_manager()?;
            missing("secret", &id)
        }
        Endpoint::ConfigUpdate { id } => {
            call.json::<ConfigSpec>().await?;
            invalid_version(&call, "config")?;
            node.require_manager()?;
            missing("config", &id)
        }
        Endpoint::SecretInspect { id } | Endpoint::SecretRemove { id } => {
            node.require_manager()?;
            missing("secret", &id)
        }
        Endpoint::ConfigInspect { id } | Endpoint::ConfigRemove { id } => {
            node.require_manager()?;
            missing("config", &id)
        }
        _ => Err(Fault::not_built("this call")),
    }
}

fn none(node: &Node, call: &Call, known: &[&str]) -> Result<Response<Body>, Fault> {
    call.query.filters(known)?;
    node.require_manager()?;
    Ok(ok(&Vec::<Value>::new()))
}

/// These two do not say what is wrong with the number.
fn invalid_version(call: &Call, kind: &str) -> Result<(), Fault> {
    let version = call.query.version(kind);
    version
        .map(drop)
        .map_err(|_| Fault::invalid(format!("invalid {kind} version")))
}
