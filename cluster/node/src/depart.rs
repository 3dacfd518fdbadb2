//! Leaving a swarm of several: what is said on the way out.

use crate::role::{Node, Role};
use crate::way::Way;
use std::time::Duration;
use swarmrs_core::State;
use swarmrs_core::control::node::join::departed;
use swarmrs_core::roles;
use swarmrs_rpc::Method;
use swarmrs_rpc::message::control::{LeaveRequest, Left};
use tracing::{info, warn};

/// How long the swarm may take to hear of it; the node goes in any case.
const SAY: Duration = Duration::from_secs(3);
/// How long the others may take to let a member go.
const LET_GO: Duration = Duration::from_secs(10);

/// Says that the node leaves. A manager is let go by the others first, if they can do without it: else
/// they would go on counting it.
pub async fn say(node: &Node, way: &Way) {
    let role = node.0.role.load_full();
    let Role::Manager(manager) = &*role else {
        return ask_leave(way).await;
    };
    let raft_id = manager.record.raft_id;
    let members = manager.members();
    if members.len() < 2 || !roles::may_lose(&members, raft_id) {
        return;
    }
    let me = manager.record.node;
    let decide = |state: &State, now| Ok(((), departed(state, me, now)));
    let said = tokio::time::timeout(SAY, manager.desk.decide(decide)).await;
    if !matches!(said, Ok(Ok(_))) {
        return warn!("the swarm was not told that this manager leaves");
    }
    let mut dismissed = manager.desk.store.dismissed();
    match tokio::time::timeout(LET_GO, dismissed.wait_for(|gone| *gone)).await {
        Ok(_) => info!("the other managers let this one go"),
        Err(_) => warn!("the other managers still count this one"),
    }
}

/// Says that a node leaves that is no member of the log, or never became one.
pub async fn ask_leave(way: &Way) {
    let left: Result<Left, _> = way.ask(Method::Leave, &LeaveRequest::default(), SAY).await;
    if let Err(error) = left {
        warn!(%error, "the swarm was not told that this node leaves");
    }
}
