//! Rejecting tasks that do not fit their node any more, because the node changed.
//!
//! Looks at a node when it changed, and at all nodes when a manager takes the lead; never because a
//! service changed: that is for updates to roll out. The observed state is set, as if the node had
//! refused the task, so that the restart policy finds it another place. A drained node is emptied
//! by the orchestrators, a paused one keeps what it has.
//! Source: swarmkit `manager/orchestrator/constraintenforcer`.

use crate::change::Key;
use crate::orchestrator::restart;
use crate::plan::Draft;
use crate::scheduler::constraint;
use crate::scheduler::demand::reservations;
use crate::scheduler::resource::Free;
use crate::state::State;
use std::sync::Arc;
use swarmrs_types::object::{Node, Service, SpecVersion, Task, UpdateState};
use swarmrs_types::spec::Availability;
use swarmrs_types::{NodeId, TaskState};

/// Rejects what does not fit; the oldest tasks keep what there is. False if the plan is full before
/// all were looked at.
pub fn enforce(draft: &mut Draft<'_>, id: NodeId) -> bool {
    let Some(node) = draft.nodes().get(&id).cloned() else {
        return true;
    };
    if !restart::usable(&node) || node.spec.availability != Availability::Active {
        return true;
    }
    let mut room = Room::of(&node);
    for task in bound(draft, id) {
        if fits(draft, &node, &task) && room.holds(draft, &task) {
            continue;
        }
        if draft.is_full() {
            return false;
        }
        draft.guard(Key::Node(id));
        draft.guard(Key::Service(task.service));
        reject(draft, &task);
    }
    true
}

/// The tasks a node was given and that are wanted to run, oldest first.
fn bound(state: &State, node: NodeId) -> Vec<Arc<Task>> {
    let held = |task: &&Arc<Task>| {
        let state = task.status.state;
        task.desired.is_runnable() && state >= TaskState::Assigned && !state.is_terminal()
    };
    let mut tasks: Vec<_> = state.tasks_of_node(node).filter(held).cloned().collect();
    tasks.sort_by_key(|task| (task.created, task.id));
    tasks
}

/// Whether the node satisfies what the task's service asks for now. A global service stops its tasks
/// on such nodes by itself, and looks at all nodes whenever it changes.
fn fits(state: &State, node: &Node, task: &Task) -> bool {
    let Some(spec) = spec_that_counts(state, task) else {
        return true;
    };
    let placement = spec.spec.task_template.placement.as_ref();
    let constraints = placement.map_or(&[][..], |placement| &placement.constraints);
    spec.spec.mode.global.is_some()
        || constraint::parse(constraints).is_ok_and(|parsed| constraint::matches(&parsed, node))
}

/// The service's spec; while an update is rolled out, or was given up, each task's own.
fn spec_that_counts<'s>(state: &'s State, task: &Task) -> Option<&'s Arc<SpecVersion>> {
    let service = state.services().get(&task.service)?;
    if is_rolling(service) {
        state.spec_of(task)
    } else {
        state.current_spec(service)
    }
}

fn is_rolling(service: &Service) -> bool {
    let state = service.update_status.as_ref().map(|status| status.state);
    let over = [UpdateState::Completed, UpdateState::RollbackCompleted];
    state.is_some_and(|state| !over.contains(&state))
}

/// What a node has for the tasks not looked at yet.
struct Room {
    nano_cpus: i64,
    memory_bytes: i64,
    generic: Free,
}

impl Room {
    fn of(node: &Node) -> Self {
        let has = &node.description.resources;
        Room {
            nano_cpus: has.nano_cpus,
            memory_bytes: has.memory_bytes,
            generic: Free::of(&has.generic_resources),
        }
    }

    /// Takes what a task reserved and was given; takes nothing if it is not all there.
    fn holds(&mut self, state: &State, task: &Task) -> bool {
        let wanted = state.spec_of(task).map(|spec| reservations(spec));
        let wanted = wanted.unwrap_or_default();
        let mut generic = self.generic.clone();
        let enough = (wanted.nano_cpus == 0 || wanted.nano_cpus <= self.nano_cpus)
            && (wanted.memory_bytes == 0 || wanted.memory_bytes <= self.memory_bytes)
            && task.resources.iter().all(|given| generic.take(given));
        if enough {
            self.nano_cpus -= wanted.nano_cpus;
            self.memory_bytes -= wanted.memory_bytes;
            self.generic = generic;
        }
        enough
    }
}

fn reject(draft: &mut Draft<'_>, task: &Task) {
    let now = draft.now;
    draft.update_task(task.id, |task| {
        task.status.state = TaskState::Rejected;
        task.status.message = "task rejected by constraint enforcer".to_owned();
        task.status.err = "assigned node no longer meets constraints".to_owned();
        task.status.at = now.shown();
        task.ended = Some(now);
    });
}
