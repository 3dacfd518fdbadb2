//! Nodes: update and remove. How they come and leave stands in [`join`], what keeps a manager in [`leave`].

pub mod join;
pub mod leave;

use super::text::quoted;
use super::{MOST_TASKS, expect_version};
use crate::change::Key;
use crate::orchestrator::orphan::REMOVED;
use crate::plan::{Draft, Plan};
use crate::roles::{self, Member};
use crate::state::{State, find};
use std::sync::Arc;
use swarmrs_types::object::{Node, NodeState, TaskStatus};
use swarmrs_types::spec::{Availability, NodeSpec, Role};
use swarmrs_types::{ClusterTime, Code, Fault, NodeId, TaskState, Timestamp};

/// Gives the node `term` names a new spec: its label set, name, availability and wanted role, whole.
/// `members` are those of the log now. A promotion or demotion begins here; [`roles`] carries it on.
pub fn update(
    state: &State,
    term: &str,
    version: u64,
    spec: NodeSpec,
    members: &[Member],
    now: ClusterTime,
) -> Result<Plan, Fault> {
    let spec = convert(spec)?;
    let node = look_up(state, term)?;
    if node.spec.role == Role::Manager && spec.role == Role::Worker {
        may_demote(state, &node, members)?;
    }
    expect_version(version, node.meta.version)?;
    let mut new = (*node).clone();
    if spec.role == Role::Manager {
        // From now on its certificates are a manager's.
        new.role = Role::Manager;
    }
    new.spec = spec;
    let mut draft = Draft::new(state, now);
    draft.put_node(new);
    Ok(draft.finish())
}

/// Removes the node `term` names. Nobody will report on its tasks any more: those that have not
/// ended become ORPHANED, at `wall` by the clock users see.
pub fn remove(
    state: &State,
    term: &str,
    force: bool,
    now: ClusterTime,
    wall: Timestamp,
) -> Result<(NodeId, Plan), Fault> {
    let node = look_up(state, term)?;
    may_remove(&node, force)?;
    let mut draft = Draft::new(state, now);
    let tasks = state.tasks_of_node(node.id);
    let live = tasks.filter(|task| task.status.state < TaskState::Complete);
    for task in live.take(MOST_TASKS) {
        draft.update_task(task.id, |task| {
            task.status = orphaned(wall);
            task.ended = Some(now);
        });
    }
    draft.remove(Key::Node(node.id));
    Ok((node.id, draft.finish()))
}

fn orphaned(at: Timestamp) -> TaskStatus {
    TaskStatus {
        at,
        state: TaskState::Orphaned,
        message: REMOVED.to_owned(),
        ..TaskStatus::default()
    }
}

fn look_up(state: &State, term: &str) -> Result<Arc<Node>, Fault> {
    let id: NodeId = find(state, term)?;
    let node = state.nodes().get(&id);
    node.cloned().ok_or_else(|| Fault::no_such("node", term))
}

/// Words in any case; none is not a word.
fn convert(mut spec: NodeSpec) -> Result<NodeSpec, Fault> {
    spec.role = match Role::from(spec.role.as_str().to_lowercase().as_str()) {
        Role::Other(_) => {
            let word = quoted(spec.role.as_str());
            return Err(Fault::invalid(format!("invalid Role: {word}")));
        }
        known => known,
    };
    spec.availability = availability(&spec.availability)
        .ok_or_else(|| Fault::invalid(invalid_availability(spec.availability.as_str())))?;
    Ok(spec)
}

/// The availability a word names, in any case.
pub(super) fn availability(word: &Availability) -> Option<Availability> {
    match Availability::from(word.as_str().to_lowercase().as_str()) {
        Availability::Other(_) => None,
        known => Some(known),
    }
}

pub(super) fn invalid_availability(word: &str) -> String {
    format!("invalid Availability: {}", quoted(word))
}

/// Somebody must be left to manage, and enough of the log's members to agree. A node that is no member
/// yet, or no more, may always become a worker: otherwise a promotion that its host cannot carry out
/// could not be taken back.
fn may_demote(state: &State, node: &Node, members: &[Member]) -> Result<(), Fault> {
    let mut others = state.nodes().iter().filter(|other| {
        other.role == Role::Manager && other.spec.role == Role::Manager && other.id != node.id
    });
    if others.next().is_none() {
        return Err(precondition(
            "attempting to demote the last manager of the swarm",
        ));
    }
    let Some(raft_id) = node.raft_id else {
        return Ok(());
    };
    let staying: Vec<_> = roles::wanted(state, members).cloned().collect();
    if roles::may_lose(&staying, raft_id) && roles::may_lose(members, raft_id) {
        return Ok(());
    }
    Err(precondition(
        "can't remove member from the raft: this would result in a loss of quorum",
    ))
}

fn may_remove(node: &Node, force: bool) -> Result<(), Fault> {
    if node.spec.role == Role::Manager && node.manager_addr.is_some() {
        return Err(precondition(format!(
            "node {} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal",
            node.id
        )));
    }
    if !force && node.status.state == NodeState::Ready {
        return Err(precondition(format!(
            "node {} is not down and can't be removed",
            node.id
        )));
    }
    Ok(())
}

fn precondition(text: impl Into<String>) -> Fault {
    Fault::manager(Code::FailedPrecondition, text)
}
