//! Whether a task still is what its service asks for.

use crate::scheduler::constraint;
use crate::state::State;
use swarmrs_types::object::{Service, Task};
use swarmrs_types::spec::{Placement, TaskSpec};

/// Whether an update would replace the task. Labels, replicas and update settings of a service do
/// not make its tasks dirty; anything in the task template or the endpoint does, except a placement
/// that the task's node satisfies already.
pub fn is_dirty(state: &State, service: &Service, task: &Task) -> bool {
    if task.spec == service.spec {
        return false;
    }
    let (Some(old), Some(new)) = (state.spec_of(task), state.current_spec(service)) else {
        return true;
    };
    if old.spec.endpoint_spec != new.spec.endpoint_spec {
        return true;
    }
    let (old, new) = (&old.spec.task_template, &new.spec.task_template);
    if old == new {
        return false;
    }
    !(same_but_placement(old, new) && still_fits(state, new.placement.as_ref(), task))
}

fn same_but_placement(old: &TaskSpec, new: &TaskSpec) -> bool {
    let old = TaskSpec {
        placement: new.placement.clone(),
        ..old.clone()
    };
    old == *new
}

fn still_fits(state: &State, placement: Option<&Placement>, task: &Task) -> bool {
    let Some(node) = task.node.and_then(|node| state.nodes().get(&node)) else {
        return false;
    };
    let constraints = placement.map_or(&[][..], |placement| &placement.constraints);
    constraint::parse(constraints).is_ok_and(|parsed| constraint::matches(&parsed, node))
}
