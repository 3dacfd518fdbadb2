//! Leaving a swarm of several: what is refused without force, and what is said on the way out.

use crate::manager::Manager;
use crate::role::{Node, Role};
use crate::way::Way;
use std::time::Duration;
use swarmrs_core::State;
use swarmrs_core::control::node::join::departed;
use swarmrs_core::roles;
use swarmrs_rpc::Method;
use swarmrs_rpc::message::control::{LeaveRequest, Left};
use tracing::{info, warn};

/// Docker's words. Source: moby `daemon/cluster/cluster.go`.
const AS_MANAGER: &str =
    "You are attempting to leave the swarm on a node that is participating as a manager. ";
const LAST: &str = "Removing the last manager erases all current state of the swarm. Use `--force` \
     to ignore this message. ";
const RESTORE: &str = "The only way to restore a swarm that has lost consensus is to reinitialize it \
     with `--force-new-cluster`. Use `--force` to suppress this message.";

/// How long the swarm may take to hear of it; the node goes in any case.
const SAY: Duration = Duration::from_secs(3);
/// How long the others may take to let a member go.
const LET_GO: Duration = Duration::from_secs(10);

/// Why a manager does not leave unless it is forced to.
pub fn refusal(manager: &Manager) -> String {
    let members = manager.members();
    let voters: Vec<_> = members.iter().filter(|member| member.voter).collect();
    let reachable = voters.iter().filter(|member| member.reachable).count();
    let unreachable = voters.len() - reachable;
    if voters.len() <= 1 {
        return format!("{AS_MANAGER}{LAST}");
    }
    if reachable.saturating_sub(2) <= unreachable {
        let left = reachable.saturating_sub(1);
        let all = voters.len() - 1;
        return format!(
            "{AS_MANAGER}Removing this node leaves {left} managers out of {all}. Without a Raft \
             quorum your swarm will be inaccessible. {RESTORE}"
        );
    }
    format!("{AS_MANAGER}{RESTORE}")
}

/// Says that the node leaves. A manager is let go by the others first, if they can do without it: else
/// they would go on counting it.
pub async fn say(node: &Node, way: &Way) {
    let role = node.0.role.load_full();
    let Role::Manager(manager) = &*role else {
        let left: Result<Left, _> = way.ask(Method::Leave, &LeaveRequest::default(), SAY).await;
        if let Err(error) = left {
            warn!(%error, "the swarm was not told that this node leaves");
        }
        return;
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
