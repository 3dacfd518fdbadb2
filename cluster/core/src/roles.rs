//! Which managers are members of the log, and which step comes next on the way there.
//!
//! What is wanted stands in the objects: `spec.role`, and the member a manager asks to become. What is
//! stands with the members of the log. Of the two follows what is due; nothing is remembered between
//! steps, so after a crash at any point, and under another leader, the next look finds the rest.
//!
//! ```text
//!   promote   spec.role ─▶ role ─▶ node gets a manager's certificate, asks ─▶ candidate ─▶ Admit ─▶ raft_id
//!   demote    spec.role ─▶ (HandOver, if it leads) ─▶ Dismiss ─▶ raft_id none, role ─▶ node gets a worker's
//!   left, removed          nobody claims the member any more ─▶ Dismiss
//! ```
//!
//! A member counts only if a node that is wanted as a manager claims it. That is safe because the claim
//! is in the log before its member is. For the same reason, look at the state first and at the members
//! after it; and as a new leader only once all is applied that was in the log when the lead was taken.

use crate::plan::{Draft, Plan};
use crate::state::State;
use swarmrs_types::object::Node;
use swarmrs_types::spec::Role;
use swarmrs_types::{ClusterTime, NodeId};

/// A member of the log, as the leader's store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub raft_id: u64,
    /// `host:port`.
    pub address: String,
    /// It has a vote; otherwise it is catching up.
    pub voter: bool,
    /// It answered lately. The leader is.
    pub reachable: bool,
}

/// One thing to be done. Each is whole by itself, and doing it twice does no harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nodes' objects follow what has become of their members.
    Note(Plan),
    /// The member is not wanted any more: it loses its vote and is forgotten.
    Dismiss { raft_id: u64 },
    /// The leader itself is not wanted any more, and another has to dismiss it.
    HandOver,
    /// The member listens elsewhere.
    Readdress { raft_id: u64, address: String },
    /// A learner first, a voter once it has caught up.
    Admit {
        node: NodeId,
        raft_id: u64,
        address: String,
    },
}

/// All that is due, first things first; `leader` is the member that leads and asks. Carry out the
/// first, then look again; the next only if that one failed for now.
pub fn due(state: &State, members: &[Member], leader: u64, now: ClusterTime) -> Vec<Step> {
    let note = note(state, members, leader, now);
    if !note.is_empty() {
        return vec![Step::Note(note)];
    }
    let mut steps = dismissals(state, members, leader);
    steps.extend(moves(state, members));
    steps.extend(admissions(state, members));
    steps
}

/// Whether the members could go on without this one: a majority of the others answers.
pub fn may_lose(members: &[Member], raft_id: u64) -> bool {
    let others = members.iter().filter(|member| member.raft_id != raft_id);
    has_quorum(others)
}

/// The members that are to stay: those that nodes claim which are wanted as managers.
pub(crate) fn wanted<'a>(
    state: &'a State,
    members: &'a [Member],
) -> impl Iterator<Item = &'a Member> + use<'a> {
    members
        .iter()
        .filter(|member| is_claimed(state, member.raft_id))
}

/// Whether a node with this certificate has to ask for another, because its role has changed.
pub fn must_renew(node: &Node, certified: &Role) -> bool {
    node.role != *certified
}

fn has_quorum<'a>(members: impl Iterator<Item = &'a Member>) -> bool {
    let voters: Vec<_> = members.filter(|member| member.voter).collect();
    let reachable = voters.iter().filter(|member| member.reachable).count();
    reachable > voters.len() / 2
}

fn is_voter(members: &[Member], raft_id: u64) -> bool {
    let mut voters = members.iter().filter(|member| member.voter);
    voters.any(|member| member.raft_id == raft_id)
}

/// What the nodes' objects do not say yet.
fn note(state: &State, members: &[Member], leader: u64, now: ClusterTime) -> Plan {
    let nobody_stays = nobody_stays(state, members);
    let mut draft = Draft::new(state, now);
    for node in state.nodes().iter() {
        let mut node_now = (**node).clone();
        if nobody_stays && node.raft_id == Some(leader) {
            node_now.spec.role = Role::Manager;
        }
        let noted = noted(node_now, members);
        if noted != **node && !draft.is_full() {
            draft.put_node(noted);
        }
    }
    draft.finish()
}

fn noted(mut node: Node, members: &[Member]) -> Node {
    let is_member = |id: u64| members.iter().any(|member| member.raft_id == id);
    if node.raft_id.is_some_and(|id| !is_member(id)) {
        node.raft_id = None;
        node.manager_addr = None;
    }
    if let (None, Some(asked)) = (node.raft_id, node.candidate.clone())
        && is_voter(members, asked.raft_id)
    {
        node.raft_id = Some(asked.raft_id);
        node.manager_addr = Some(asked.address);
        node.candidate = None;
    }
    if node.spec.role == Role::Manager {
        node.role = Role::Manager;
    } else if node.raft_id.is_none() && node.manager_addr.is_none() {
        // A candidate may be a learner already: without its claim it is dismissed.
        node.role = Role::Worker;
        node.candidate = None;
    }
    node
}

/// Whether a node that is wanted as a manager, and stays, is that member, or asks to be. One that asks
/// to become another member has lost its log: what it was before is dead.
fn is_claimed(state: &State, raft_id: u64) -> bool {
    let mut managers = state
        .nodes()
        .iter()
        .filter(|node| node.spec.role == Role::Manager && !node.left);
    managers.any(|node| match &node.candidate {
        Some(asked) => asked.raft_id == raft_id,
        None => node.raft_id == Some(raft_id),
    })
}

/// Whether all that were to stay have left while others were on their way to be workers. A swarm without a
/// manager is none: the leader's demotion is taken back.
fn nobody_stays(state: &State, members: &[Member]) -> bool {
    let mut voters = members.iter().filter(|member| member.voter);
    let stays = voters.any(|member| is_claimed(state, member.raft_id));
    !stays && !state.nodes().iter().any(|node| is_unsettled(node))
}

/// Whether a manager has not said yet which member it is: until then nobody is a stranger.
fn is_unsettled(node: &Node) -> bool {
    node.manager_addr.is_some() && node.raft_id.is_none()
}

/// Members that nobody claims, the leader last: it has to hand over before.
fn dismissals(state: &State, members: &[Member], leader: u64) -> Vec<Step> {
    if state.nodes().iter().any(|node| is_unsettled(node)) {
        return Vec::new();
    }
    let unclaimed = |member: &&Member| !is_claimed(state, member.raft_id);
    let mut leaving: Vec<_> = members.iter().filter(unclaimed).collect();
    leaving.retain(|member| !member.voter || may_dismiss(members, member.raft_id));
    leaving.sort_by_key(|member| (member.raft_id == leader, member.raft_id));
    let step = |member: &Member| match member.raft_id {
        id if id == leader => Step::HandOver,
        raft_id => Step::Dismiss { raft_id },
    };
    leaving.into_iter().map(step).collect()
}

/// The members agree now and will agree then.
fn may_dismiss(members: &[Member], raft_id: u64) -> bool {
    has_quorum(members.iter()) && may_lose(members, raft_id)
}

fn moves(state: &State, members: &[Member]) -> Vec<Step> {
    let moved = members.iter().filter_map(|member| {
        let node = state.node_of_member(member.raft_id)?;
        let address = node.manager_addr.as_ref()?;
        (*address != member.address).then(|| Step::Readdress {
            raft_id: member.raft_id,
            address: address.clone(),
        })
    });
    moved.collect()
}

/// Those that ask and are wanted. One that was a member before waits until that one is dismissed.
fn admissions(state: &State, members: &[Member]) -> Vec<Step> {
    let asking = state.nodes().iter().filter_map(|node| {
        let asked = node.candidate.as_ref()?;
        let wanted = node.spec.role == Role::Manager && node.role == Role::Manager;
        let waits = node.raft_id.is_none() && !is_voter(members, asked.raft_id);
        (wanted && waits).then(|| Step::Admit {
            node: node.id,
            raft_id: asked.raft_id,
            address: asked.address.clone(),
        })
    });
    asking.collect()
}

#[cfg(test)]
mod tests;
