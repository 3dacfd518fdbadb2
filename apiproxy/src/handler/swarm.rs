//! `/swarm`: making, changing, leaving.

use http::Response;
use swarmrs_node::{Node, SwarmState, TokenRotation};
use swarmrs_types::spec::{InitRequest, JoinRequest, SwarmSpec, UnlockRequest};
use swarmrs_types::{Code, Fault};

use super::answer::{done, ok};
use super::request::Call;
use crate::server::Body;
use crate::version::version;
use crate::view;

/// Docker's answer to a second swarm. Source: moby `daemon/cluster/errors.go`.
const ALREADY_IN_SWARM: &str = "This node is already part of a swarm. Use \"docker swarm leave\" to leave this swarm and \
                                join another one.";

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

/// Refuses what Docker refuses, in its order; what would work with Docker is not built yet.
pub(super) async fn join(node: &Node, mut call: Call) -> Result<Response<Body>, Fault> {
    let request: JoinRequest = call.json().await?.value;
    if node.standing().state != SwarmState::Inactive {
        return Err(Fault::unavailable(ALREADY_IN_SWARM));
    }
    if request.listen_addr.is_empty() {
        return Err(Fault::invalid(
            "invalid ListenAddr \"\": invalid empty address",
        ));
    }
    match request.remote_addrs.first() {
        None => Err(Fault::invalid("at least 1 RemoteAddr is required to join")),
        Some(remote) if remote.is_empty() => Err(Fault::invalid(
            "invalid remoteAddr \"\": invalid empty address",
        )),
        Some(_) => Err(Fault::not_built("joining a swarm of several nodes")),
    }
}

pub(super) async fn leave(node: &Node, call: Call) -> Result<Response<Body>, Fault> {
    node.leave(call.query.flag("force")).await?;
    Ok(done())
}

pub(super) async fn update(node: &Node, mut call: Call) -> Result<Response<Body>, Fault> {
    let spec: SwarmSpec = call.json().await?.value;
    let version = call.query.version("swarm")?;
    let rotation = TokenRotation {
        worker: call.query.rotation("rotateWorkerToken")?,
        manager: call.query.rotation("rotateManagerToken")?,
    };
    // Without autolock there is no key to draw anew, and asking for it does nothing.
    call.query.rotation("rotateManagerUnlockKey")?;
    node.update_swarm(version, spec, rotation).await?;
    Ok(done())
}

/// The key that unlocks managers. None exists: autolock is refused where it would be switched on.
pub(super) async fn unlock_key(node: &Node) -> Result<Response<Body>, Fault> {
    node.view().await?;
    Ok(ok(&UnlockRequest::default()))
}

pub(super) async fn unlock(node: &Node, mut call: Call) -> Result<Response<Body>, Fault> {
    let _: UnlockRequest = call.json().await?.value;
    node.require_manager()?;
    Err(Fault::daemon(Code::AlreadyExists, "swarm is not locked"))
}
