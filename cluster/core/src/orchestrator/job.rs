//! Jobs: tasks that run to their end, once in each iteration.
//!
//! Every update of a job begins another iteration. A slot of the current one is free, held by a
//! task that runs or will, done, or given up because the restart policy wants no more attempts. New
//! tasks fill free slots, so many at a time; failed ones are replaced by [`restart`](super::restart).

use super::global;
use super::restart;
use super::slot::{Slot, SlotKey, slots};
use super::task::{self, Place};
use crate::plan::{Draft, Ids};
use crate::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use swarmrs_types::object::{JobStatus, Node, NodeState, Service, SpecVersion, TaskOrigin};
use swarmrs_types::spec::ReplicatedJob;
use swarmrs_types::{ServiceId, TaskState};

/// Ends what is left of earlier iterations and begins what the current one lacks.
pub fn reconcile(draft: &mut Draft<'_>, service: ServiceId, ids: &mut dyn Ids) {
    let Some(service) = draft.services().get(&service).cloned() else {
        return;
    };
    let (Some(job), Some(spec)) = (service.job, draft.current_spec(&service).cloned()) else {
        return;
    };
    retire(draft, &service, &spec, job);
    let held = held_slots(draft, &service, job);
    match &spec.spec.mode.replicated_job {
        Some(settings) => fill_slots(draft, &service, settings, &held, ids),
        None => fill_nodes(draft, &service, &spec, job, &held, ids),
    }
}

/// What holds a slot of the current iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Running,
    Done,
    GivenUp,
}

/// Tasks of earlier iterations go. Those that ended stay as history, except on nodes: a global job
/// shows each node once.
fn retire(draft: &mut Draft<'_>, service: &Service, spec: &SpecVersion, job: JobStatus) {
    let old: Vec<_> = draft
        .tasks_of_service(service.id)
        .filter(|task| task.iteration != Some(job.iteration))
        .cloned()
        .collect();
    for task in old {
        if draft.is_full() {
            return;
        }
        if !task.status.state.is_terminal() || spec.spec.mode.is_global() {
            task::want(draft, task.id, TaskState::Remove);
        } else if !task.is_done() {
            task::want(draft, task.id, TaskState::Shutdown);
        }
    }
}

fn held_slots(state: &State, service: &Service, job: JobStatus) -> BTreeMap<SlotKey, Held> {
    let held = slots(state, service)
        .into_iter()
        .filter_map(|(key, mut slot)| {
            slot.0.retain(|task| task.iteration == Some(job.iteration));
            Some((key, held_by(state, &slot)?))
        });
    held.collect()
}

fn held_by(state: &State, slot: &Slot) -> Option<Held> {
    // First: a task that was given up with its node may have done its work all the same, while the one in its
    // place still runs.
    if slot.runnable().next().is_some() {
        return Some(Held::Running);
    }
    if slot.0.iter().any(|task| task.is_done()) {
        return Some(Held::Done);
    }
    let given_up = restart::is_finished(state, slot.newest()?);
    given_up.then_some(Held::GivenUp)
}

/// The lowest free slots, as many as may run beside those that do.
fn fill_slots(
    draft: &mut Draft<'_>,
    service: &Service,
    settings: &ReplicatedJob,
    held: &BTreeMap<SlotKey, Held>,
    ids: &mut dyn Ids,
) {
    let most = settings.max_concurrent.unwrap_or(1);
    let total = settings.total_completions.unwrap_or(most);
    let running = held.values().filter(|held| **held == Held::Running).count() as u64;
    let room = usize::try_from(most.saturating_sub(running)).unwrap_or(usize::MAX);
    let free = (1..=total).filter(|number| !held.contains_key(&SlotKey::Number(*number)));
    for slot in free.take(room) {
        if draft.is_full() {
            return;
        }
        let place = Place { slot, node: None };
        task::create(draft, service, place, TaskOrigin::Scale, None, ids);
    }
}

/// Each node that is for the job and was there when the iteration began.
fn fill_nodes(
    draft: &mut Draft<'_>,
    service: &Service,
    spec: &SpecVersion,
    job: JobStatus,
    held: &BTreeMap<SlotKey, Held>,
    ids: &mut dyn Ids,
) {
    let nodes: Vec<Arc<Node>> = draft.nodes().iter().cloned().collect();
    let invited = |node: &&Arc<Node>| {
        node.status.state == NodeState::Ready
            && node.meta.created_at <= job.last_execution
            && global::takes_new(spec, node)
            && !held.contains_key(&SlotKey::Node(node.id))
    };
    for node in nodes.iter().filter(invited) {
        if draft.is_full() {
            return;
        }
        let place = Place {
            slot: 0,
            node: Some(node.id),
        };
        task::create(draft, service, place, TaskOrigin::Scale, None, ids);
    }
}

#[cfg(test)]
mod tests;
