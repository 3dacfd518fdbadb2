//! Giving up tasks on which nobody will report any more: their node was removed, or it is down for a day.
//!
//! The request that removes a node orphans as many of its tasks as one command holds; the rest is
//! done here, a plan at a time. A task that is wanted still waits for its node however long it takes.

use crate::plan::Draft;
use crate::state::State;
use std::sync::Arc;
use swarmrs_types::default::NODE_DOWN_PERIOD;
use swarmrs_types::object::{NodeState, Task};
use swarmrs_types::{ClusterTime, ServiceId, TaskState};

/// Docker's message for the tasks of a node that was removed.
pub(crate) const REMOVED: &str = "Task belonged to a node that has been deleted";
/// And our own for those of one that is down.
const LOST: &str = "Task belonged to a node that has been down for a day";

/// Orphans the service's tasks on which no node will report.
pub fn give_up(draft: &mut Draft<'_>, service: ServiceId) {
    let bound = |task: &&Arc<Task>| {
        task.status.state >= TaskState::Assigned && !task.status.state.is_terminal()
    };
    let tasks = draft.tasks_of_service(service).filter(bound);
    for task in tasks.cloned().collect::<Vec<_>>() {
        if draft.is_full() {
            break;
        }
        match waits_until(draft, &task) {
            Some(at) if at > draft.now => draft.wake_at(at),
            Some(_) => orphan(draft, &task, LOST),
            None if !is_on_a_node(draft, &task) => orphan(draft, &task, REMOVED),
            None => {}
        }
    }
}

fn orphan(draft: &mut Draft<'_>, task: &Task, message: &str) {
    let now = draft.now;
    draft.update_task(task.id, |task| {
        task.status.state = TaskState::Orphaned;
        task.status.message = message.to_owned();
        task.status.at = now.shown();
        task.ended = Some(now);
    });
}

/// Until when a task that is to end may still be reported on by its node, which is down.
fn waits_until(state: &State, task: &Task) -> Option<ClusterTime> {
    let node = task.node.and_then(|id| state.nodes().get(&id))?;
    let lost = node.status.state == NodeState::Down && !task.desired.is_runnable();
    let since = node.status.since.filter(|_| lost)?;
    Some(since.after(NODE_DOWN_PERIOD))
}

/// Whether the node a task is bound to exists.
pub fn is_on_a_node(state: &State, task: &Task) -> bool {
    task.node.is_some_and(|node| state.nodes().contains(&node))
}
