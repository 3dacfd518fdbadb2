//! What becomes of the tasks of a node that is down.
//!
//! Their containers may run on: a node that lost its managers keeps them. So a task is given up only if
//! that is of use: another node takes its place. A task that is its node's own, one for each node, could
//! be replaced nowhere else; it waits for its node and goes on there. So does a task whose service says
//! `swarmrs.disconnect=hold`, because two of it must never run. (Docker stops the task of a global service
//! once its node is back, and starts another.) With `swarmrs.disconnect=stop` the node stops it by itself, and its
//! replacement waits for that. A new spec is not kept waiting: what is of an old one goes.

use super::dirty;
use super::restart::usable;
use crate::state::State;
use std::time::Duration;
use swarmrs_types::default::STOP_GRACE;
use swarmrs_types::disconnect::{Disconnect, FENCE};
use swarmrs_types::object::{NodeState, Service, SpecVersion, Task};
use swarmrs_types::spec::Availability;

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
    spec.spec.mode.is_global() || Disconnect::of(&spec.spec.labels) == Disconnect::Hold
}

/// How long after it was taken for down a task's node may run it still, though it stops it by itself; none if it does not.
/// One that left the swarm has removed it.
pub fn stops_within(state: &State, task: &Task) -> Option<Duration> {
    let node = state.nodes().get(&task.node?)?;
    let is_lost = node.status.state == NodeState::Down && !node.left;
    let spec = &state.spec_of(task)?.spec;
    let container = spec.task_template.container_spec.as_ref();
    let grace = container.and_then(|container| container.stop_grace_period);
    let grace = grace.map_or(STOP_GRACE, |grace| grace.duration());
    let stops = Disconnect::of(&spec.labels) == Disconnect::Stop;
    (stops && is_lost).then(|| FENCE + grace)
}

/// Whether a task's node is down.
pub fn is_on_a_lost_node(state: &State, task: &Task) -> bool {
    let node = task.node.and_then(|id| state.nodes().get(&id));
    node.is_some_and(|node| node.status.state == NodeState::Down)
}
