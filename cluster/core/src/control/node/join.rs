//! Nodes that come and leave by their own word.
//!
//! ```text
//!   worker    token ─▶ join ─▶ session: Ready
//!   manager   token ─▶ join ─▶ its own, empty log ─▶ join_manager ─▶ admitted (roles)
//!   leaves    departed ─▶ Down at once; of a manager, its member is dismissed (roles)
//! ```

use super::precondition;
use crate::allocator;
use crate::change::Key;
use crate::control::swarm;
use crate::plan::{Draft, Plan};
use crate::state::State;
use std::net::IpAddr;
use swarmrs_types::object::{Candidate, Node, NodeState};
use swarmrs_types::spec::{NodeDescription, NodeSpec, Role};
use swarmrs_types::{ClusterTime, Code, Fault, NodeId, TaskState};

/// Docker's message for a node that is not heard of, for whatever reason.
pub const HEARTBEAT_FAILURE: &str = "heartbeat failure";

/// So many nodes may have a certificate and no session yet. A node opens its first one seconds after it joined, so that
/// even a whole swarm that is set up at once stays below; whoever has a token could otherwise use up the numbers that nodes
/// are given, of which there are 65,535.
pub const MOST_EXPECTED: usize = 1_000;

/// A node whose token was found good.
#[derive(Clone, Debug, PartialEq)]
pub struct Newcomer {
    /// Drawn for it; its certificate will say so.
    pub id: NodeId,
    /// By the token it brought.
    pub role: Role,
    /// In its user's words.
    pub availability: String,
    /// The address it was seen at, without a port.
    pub addr: String,
    /// Where its data traffic comes from, if that is elsewhere.
    pub data_path: Option<IpAddr>,
    /// As far as it said already what it is.
    pub description: NodeDescription,
}

/// Whether a node can join with this availability. 500 for an unknown word, as Docker has it.
pub fn check_availability(word: &str) -> Result<(), Fault> {
    swarm::availability(word).map(|_| ())
}

/// A new node of the swarm. It is `unknown` until its first session. Where too many are expected already it takes the place
/// of the one that has been down for longest, if there is such a one.
pub fn join(state: &State, newcomer: Newcomer, now: ClusterTime) -> Result<Plan, Fault> {
    let availability = swarm::availability(&newcomer.availability)?;
    if state.nodes().contains(&newcomer.id) {
        let id = newcomer.id;
        return Err(Fault::manager(
            Code::AlreadyExists,
            format!("node {id} exists already"),
        ));
    }
    let spec = NodeSpec {
        role: newcomer.role,
        availability,
        ..NodeSpec::default()
    };
    let mut node = Node::new(newcomer.id, spec);
    node.description = newcomer.description;
    node.status.addr = newcomer.addr;
    node.data_path = newcomer.data_path;
    let mut draft = Draft::new(state, now);
    make_room(&mut draft)?;
    allocator::node::give(&draft, &mut node);
    draft.put_node(node);
    Ok(draft.finish())
}

/// One more can be expected.
fn make_room(draft: &mut Draft<'_>) -> Result<(), Fault> {
    let nodes = draft.nodes().iter();
    let expected: Vec<_> = nodes.filter(|node| never_came(draft, node)).collect();
    if expected.len() < MOST_EXPECTED {
        return Ok(());
    }
    let down = expected
        .into_iter()
        .filter(|node| node.status.state == NodeState::Down);
    let Some(lost) = down.min_by_key(|node| node.status.since) else {
        return Err(precondition(format!(
            "{MOST_EXPECTED} nodes have joined this swarm and not come yet: try again in a minute"
        )));
    };
    let lost = lost.id;
    draft.remove(Key::Node(lost));
    Ok(())
}

/// A manager asks to be a member of the log, listening at `address` (`host:port`). Asked again, as after
/// a crash, it changes nothing; asked with another `raft_id`, that node has lost its log and the member
/// it was is given up. It is a manager once [`roles`](crate::roles) has admitted it. `level` is the feature level that it
/// knows: one that could not read what is written is refused.
pub fn join_manager(
    state: &State,
    node: NodeId,
    raft_id: u64,
    address: &str,
    level: u32,
    now: ClusterTime,
) -> Result<Plan, Fault> {
    if level < state.level() {
        let needed = state.level();
        return Err(precondition(format!(
            "this swarm needs managers of feature level {needed}, and the release of this one has {level}: upgrade swarmrsd there"
        )));
    }
    let Some(old) = state.nodes().get(&node) else {
        return Err(unknown(node));
    };
    if old.role != Role::Manager || old.spec.role != Role::Manager || old.left {
        return Err(precondition(format!("node {node} is not to be a manager")));
    }
    if claims(state, raft_id).any(|holder| holder != node) {
        return Err(precondition(format!(
            "another manager is raft member {raft_id}"
        )));
    }
    let mut new = (**old).clone();
    if old.raft_id == Some(raft_id) {
        if new.manager_addr.as_deref() != Some(address) {
            new.manager_addr = Some(address.to_owned());
            new.status.addr = swarm::host(address).to_owned();
        }
        new.candidate = None;
    } else {
        new.candidate = Some(Candidate {
            raft_id,
            address: address.to_owned(),
        });
    }
    let mut draft = Draft::new(state, now);
    if new != **old {
        draft.put_node(new);
    }
    Ok(draft.finish())
}

/// A node says that it leaves: it is down at once, and its member of the log is claimed by nobody any
/// more. It stays in the list until it is removed, as Docker has it; one of which nothing was ever heard, because its
/// attempt to join failed, is forgotten. Nothing happens if it is not known.
pub fn departed(state: &State, node: NodeId, now: ClusterTime) -> Plan {
    let mut draft = Draft::new(state, now);
    if let Some(old) = state.nodes().get(&node) {
        if never_came(state, old) {
            draft.remove(Key::Node(node));
            return draft.finish();
        }
        let mut new = (**old).clone();
        if new.status.state != NodeState::Down {
            new.status.since = Some(now);
        }
        new.status.state = NodeState::Down;
        new.status.message = HEARTBEAT_FAILURE.to_owned();
        new.candidate = None;
        new.left = true;
        if new != **old {
            draft.put_node(new);
        }
    }
    draft.finish()
}

/// Whether the node has a certificate and never had a session, in which it would have said whom it trusts. Tasks of global
/// services wait for it from the beginning; it was never given one.
fn never_came(state: &State, node: &Node) -> bool {
    node.status.state != NodeState::Ready
        && node.description.tls_info.trust_root.is_empty()
        && node.raft_id.is_none()
        && state
            .tasks_of_node(node.id)
            .all(|task| task.status.state < TaskState::Assigned)
}

/// Whether a certificate of this node is still good: a removed one is refused.
pub fn admitted(state: &State, node: NodeId) -> Result<(), Fault> {
    if state.nodes().contains(&node) {
        return Ok(());
    }
    Err(Fault::manager(
        Code::PermissionDenied,
        format!("Permission denied: node {node} was removed from swarm"),
    ))
}

fn unknown(node: NodeId) -> Fault {
    Fault::manager(Code::NotFound, format!("node {node} not found"))
}

fn claims(state: &State, raft_id: u64) -> impl Iterator<Item = NodeId> {
    let claiming = move |node: &&std::sync::Arc<Node>| {
        let asked = node.candidate.as_ref().map(|asked| asked.raft_id);
        node.raft_id == Some(raft_id) || asked == Some(raft_id)
    };
    state.nodes().iter().filter(claiming).map(|node| node.id)
}
