//! Giving up tasks whose node was removed: nobody will report on them any more.
//!
//! The request that removes a node orphans as many of its tasks as one command holds; the rest is
//! done here, a plan at a time.

use crate::plan::Draft;
use crate::state::State;
use std::sync::Arc;
use swarmrs_types::object::Task;
use swarmrs_types::{ServiceId, TaskState};

/// Orphans the service's tasks that a node had taken which is no more.
pub fn give_up(draft: &mut Draft<'_>, service: ServiceId) {
    let lost: Vec<_> = draft
        .tasks_of_service(service)
        .filter(|task| has_no_reporter(draft, task))
        .map(|task| task.id)
        .collect();
    let now = draft.now;
    for id in lost {
        if draft.is_full() {
            break;
        }
        draft.update_task(id, |task| {
            task.status.state = TaskState::Orphaned;
            task.status.message = "Task belonged to a node that has been deleted".to_owned();
            task.status.at = now.shown();
            task.ended = Some(now);
        });
    }
}

fn has_no_reporter(state: &State, task: &Arc<Task>) -> bool {
    task.status.state >= TaskState::Assigned
        && !task.status.state.is_terminal()
        && !is_on_a_node(state, task)
}

/// Whether the node a task is bound to exists.
pub fn is_on_a_node(state: &State, task: &Task) -> bool {
    task.node.is_some_and(|node| state.nodes().contains(&node))
}
