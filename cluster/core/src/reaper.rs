//! Forgetting: tasks that were to be removed, history beyond its limit, specs nobody refers to.

use crate::change::Key;
use crate::orchestrator::slot::{Standing, slots};
use crate::orchestrator::{orphan, task};
use crate::plan::Draft;
use crate::state::State;
use std::collections::BTreeSet;
use std::sync::Arc;
use swarmrs_types::default::TASK_HISTORY;
use swarmrs_types::object::{Service, Task, TaskOrigin};
use swarmrs_types::{ServiceId, TaskState};

/// Reaps what belongs to one service, present or removed.
pub fn reap(draft: &mut Draft<'_>, service: ServiceId) {
    match draft.services().get(&service).cloned() {
        Some(service) => trim_history(draft, &service),
        None => stop_all(draft, service),
    }
    remove_ended(draft, service);
    remove_specs(draft, service);
}

/// The tasks of a removed service go.
fn stop_all(draft: &mut Draft<'_>, service: ServiceId) {
    let staying = |task: &&Arc<Task>| task.desired < TaskState::Remove;
    let tasks = draft.tasks_of_service(service).filter(staying);
    for id in tasks.map(|task| task.id).collect::<Vec<_>>() {
        if draft.is_full() {
            return;
        }
        task::want(draft, id, TaskState::Remove);
    }
}

/// Forgets what was to be removed, once no container of it can be running, and what ended on nodes
/// that are no more.
fn remove_ended(draft: &mut Draft<'_>, service: ServiceId) {
    let tasks = draft.tasks_of_service(service);
    let gone = tasks.filter(|task| is_gone(task) || is_left_behind(draft, task));
    for id in gone.map(|task| task.id).collect::<Vec<_>>() {
        if draft.is_full() {
            return;
        }
        draft.remove(Key::Task(id));
    }
}

fn is_gone(task: &Task) -> bool {
    let state = task.status.state;
    task.desired == TaskState::Remove && (state < TaskState::Assigned || state.is_terminal())
}

/// The slot of a global service's task is its node.
fn is_left_behind(state: &State, task: &Task) -> bool {
    task.slot == 0
        && task.status.state.is_terminal()
        && !task.desired.is_runnable()
        && !orphan::is_on_a_node(state, task)
}

/// Keeps the newest tasks of each slot, the live ones included. A slot that finished keeps its
/// last task whatever the limit, or nobody would know that it did.
fn trim_history(draft: &mut Draft<'_>, service: &Service) {
    let Some(limit) = history_limit(draft, service) else {
        return;
    };
    for slot in slots(draft, service).values() {
        let finished = slot.standing(draft) == Standing::Finished;
        let surplus = slot
            .0
            .len()
            .saturating_sub(limit.max(usize::from(finished)));
        let old = slot.0.iter().filter(|task| is_history(service, task));
        for task in old.take(surplus) {
            if draft.is_full() {
                return;
            }
            draft.remove(Key::Task(task.id));
        }
    }
}

/// How many tasks of a slot are kept; none: all.
fn history_limit(state: &State, service: &Service) -> Option<usize> {
    let policy = state
        .current_spec(service)
        .and_then(|spec| spec.spec.task_template.restart_policy.as_ref());
    let attempts = policy.and_then(|policy| policy.max_attempts).unwrap_or(0);
    if attempts > 0 {
        return usize::try_from(attempts.saturating_add(1)).ok();
    }
    let cluster = state.cluster()?;
    let limit = cluster.spec.orchestration.task_history_retention_limit;
    usize::try_from(limit.unwrap_or(TASK_HISTORY)).ok()
}

/// A running update still counts the tasks it made, a job those that did its current run's work.
fn is_history(service: &Service, task: &Task) -> bool {
    let counted =
        service.update.is_some() && task.origin == TaskOrigin::Update && task.spec == service.spec;
    let current = task.iteration == service.job.map(|job| job.iteration);
    let wanted = current && task.desired.is_runnable();
    task.status.state.is_terminal() && !wanted && !counted
}

fn remove_specs(draft: &mut Draft<'_>, service: ServiceId) {
    let mut used: BTreeSet<u64> = draft.tasks_of_service(service).map(|t| t.spec).collect();
    if let Some(service) = draft.services().get(&service) {
        used.insert(service.spec);
        used.extend(service.previous_spec);
    }
    let unused: Vec<_> = draft
        .specs_of(service)
        .map(|spec| spec.number)
        .filter(|number| !used.contains(number))
        .collect();
    for number in unused {
        draft.remove(Key::Spec(service, number));
    }
}
