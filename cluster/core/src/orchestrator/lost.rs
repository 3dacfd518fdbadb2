//! What becomes of the tasks of a node that is down.
//!
//! Their containers may run on: a node that lost its managers keeps them. So a task is given up only if
//! that is of use: another node takes its place. A task that is its node's own, one for each node, could
//! be replaced nowhere else; it waits for its node and goes on there. So does a task whose service says
//! `swarmrs.disconnect=hold`, because two of it must never run. (Docker stops the task of a global service
//! once its node is back, and starts another.) A new spec is not kept waiting: what is of an old one goes.

use super::dirty;
use super::restart::usable;
use crate::state::State;
use swarmrs_types::object::{NodeState, Service, SpecVersion, Task};
use swarmrs_types::spec::Availability;

/// What a service says of its tasks on nodes that are down.
const LABEL: &str = "swarmrs.disconnect";
/// They are not replaced. Anything else: they are.
const HOLD: &str = "hold";

/// Whether a task that has not ended is to be replaced, because its node takes no part any more.
pub fn is_given_up(state: &State, service: &Service, spec: &SpecVersion, task: &Task) -> bool {
    let Some(id) = task.node else {
        return false;
    };
    let Some(node) = state.nodes().get(&id) else {
        return true;
    };
    if usable(node) {
        return false;
    }
    let waits = node.spec.availability != Availability::Drain && is_held(spec);
    !waits || dirty::is_dirty(state, service, task)
}

fn is_held(spec: &SpecVersion) -> bool {
    let label = spec.spec.labels.get(LABEL);
    spec.spec.mode.is_global() || label.is_some_and(|word| word == HOLD)
}

/// Whether a task's node is down.
pub fn is_on_a_lost_node(state: &State, task: &Task) -> bool {
    let node = task.node.and_then(|id| state.nodes().get(&id));
    node.is_some_and(|node| node.status.state == NodeState::Down)
}
