//! Global services: one slot on every node that is for them.

use super::slot::{Slot, SlotKey, Standing, slots};
use super::task::{self, Place};
use super::{lost, restart};
use crate::plan::{Draft, Ids};
use crate::scheduler::constraint;
use std::sync::Arc;
use swarmrs_types::default::OLD_TASK_PATIENCE;
use swarmrs_types::object::{Gate, Node, Service, SpecVersion, TaskOrigin};
use swarmrs_types::spec::Availability;
use swarmrs_types::{ServiceId, TaskState};

/// Makes a task on each node that lacks one, stops those on nodes that are not for the service.
pub fn reconcile(draft: &mut Draft<'_>, service: ServiceId, ids: &mut dyn Ids) {
    let Some(service) = draft.services().get(&service).cloned() else {
        return;
    };
    let Some(spec) = draft.current_spec(&service).cloned() else {
        return;
    };
    if spec.spec.mode.global.is_none() {
        return;
    }
    stop_misplaced(draft, &service, &spec);
    let nodes: Vec<Arc<Node>> = draft.nodes().iter().cloned().collect();
    let slots = slots(draft, &service);
    for node in nodes.iter().filter(|node| takes_new(&spec, node)) {
        if draft.is_full() {
            return;
        }
        let slot = slots.get(&SlotKey::Node(node.id));
        let standing = slot.map_or(Standing::Dead, |slot| slot.standing(draft));
        if standing == Standing::Dead {
            let place = Place {
                slot: 0,
                node: Some(node.id),
            };
            let gate = slot.and_then(|slot| behind_last(draft, slot));
            task::create(draft, &service, place, TaskOrigin::Scale, gate, ids);
        }
    }
}

/// A node that takes tasks again may not have stopped its last one yet.
fn behind_last(draft: &Draft<'_>, slot: &Slot) -> Option<Gate> {
    let last = slot.newest()?;
    (!last.status.state.is_terminal()).then(|| Gate {
        not_before: draft.now,
        after: Some(last.id),
        patience: draft.now.after(OLD_TASK_PATIENCE),
    })
}

/// Whether a node gets tasks of this global service.
pub fn takes_new(spec: &SpecVersion, node: &Node) -> bool {
    restart::usable(node) && node.spec.availability == Availability::Active && satisfies(spec, node)
}

fn satisfies(spec: &SpecVersion, node: &Node) -> bool {
    let placement = spec.spec.task_template.placement.as_ref();
    let constraints = placement.map_or(&[][..], |placement| &placement.constraints);
    constraint::parse(constraints).is_ok_and(|parsed| constraint::matches(&parsed, node))
}

fn stop_misplaced(draft: &mut Draft<'_>, service: &Service, spec: &SpecVersion) {
    let misplaced: Vec<_> = draft
        .tasks_of_service(service.id)
        .filter(|task| task.desired.is_runnable())
        .filter(|task| {
            let node = task.node.and_then(|id| draft.nodes().get(&id));
            !node.is_some_and(|node| satisfies(spec, node))
                || lost::is_given_up(draft, service, spec, task)
        })
        .map(|task| task.id)
        .collect();
    for id in misplaced {
        if draft.is_full() {
            return;
        }
        task::want(draft, id, TaskState::Shutdown);
    }
}
