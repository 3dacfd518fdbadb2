//! `/swarm`: making, changing, leaving.

use http::Response;
use swarmrs_node::{Node, Rotation};
use swarmrs_types::Fault;
use swarmrs_types::spec::{InitRequest, JoinRequest, SwarmSpec, UnlockRequest};

use super::answer::{done, ok};
use super::request::Call;
use crate::server::Body;
use crate::version::version;
use crate::view;

pub(super) async fn inspect(node: &Node) -> Result<Response<Body>, Fault> {
    let view = node.view().await?;
    Ok(ok(&view::swarm(&view.state, view.local)?))
}

pub(super) async fn init(node: &Node, mut call: Call) -> Result<Response<Body>, Fault> {
    let mut request: InitRequest = call.json().await?.value;
    if call.version < version(1, 39) {
        request.default_addr_pool.clear();
        request.subnet_size = 0;
    }
    if call.version < version(1, 40) {
        request.data_path_port = 0;
    }
    let id = node.init(request).await?;
    Ok(ok(&id.as_str()))
}

pub(super) async fn join(node: &Node, mut call: Call) -> Result<Response<Body>, Fault> {
    let request: JoinRequest = call.json().await?.value;
    node.join(request).await?;
    Ok(done())
}

pub(super) async fn leave(node: &Node, call: Call) -> Result<Response<Body>, Fault> {
    node.leave(call.query.flag("force")).await?;
    Ok(done())
}

pub(super) async fn update(node: &Node, mut call: Call) -> Result<Response<Body>, Fault> {
    let spec: SwarmSpec = call.json().await?.value;
    let version = call.query.version("swarm")?;
    let rotation = Rotation {
        worker: call.query.rotation("rotateWorkerToken")?,
        manager: call.query.rotation("rotateManagerToken")?,
        unlock_key: call.query.rotation("rotateManagerUnlockKey")?,
    };
    node.update_swarm(version, spec, rotation).await?;
    Ok(done())
}

/// The key that unlocks managers; empty if they are not locked.
pub(super) async fn unlock_key(node: &Node) -> Result<Response<Body>, Fault> {
    let view = node.view().await?;
    let key = view
        .state
        .cluster()
        .and_then(|cluster| cluster.unlock_key.clone());
    let unlock_key = key.unwrap_or_default();
    Ok(ok(&UnlockRequest { unlock_key }))
}

pub(super) async fn unlock(node: &Node, mut call: Call) -> Result<Response<Body>, Fault> {
    let request: UnlockRequest = call.json().await?.value;
    node.unlock(&request.unlock_key).await?;
    Ok(done())
}
