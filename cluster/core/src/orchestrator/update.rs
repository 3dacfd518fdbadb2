//! Rolling updates: old tasks out, new tasks in, so many slots at a time.
//!
//! What an update has done so far is read off the tasks: a slot that has a task of the new spec,
//! made by the update, is done or under way. Only the number of slots it began with is remembered
//! in the service, as failures are counted against it. So nothing is lost with a leader.

use super::slot::{Slot, SlotKey, Standing, slots};
use super::task::{self, Place};
use super::{dirty, global};
use crate::allocator;
use crate::plan::{Draft, Ids};
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use swarmrs_types::default::{OLD_TASK_PATIENCE, UPDATE_MONITOR, UPDATE_PARALLELISM};
use swarmrs_types::object::{
    Gate, Service, SpecNumber, SpecVersion, Task, TaskOrigin, UpdateProgress, UpdateState,
    UpdateStatus,
};
use swarmrs_types::spec::{FailureAction, UpdateConfig, UpdateOrder};
use swarmrs_types::{ClusterTime, Fault, ServiceId, TaskState};

/// Moves the service's update on by what can be done now.
pub fn roll(draft: &mut Draft<'_>, service: ServiceId, ids: &mut dyn Ids) {
    let Some(service) = draft.services().get(&service).cloned() else {
        return;
    };
    let Some(spec) = draft.current_spec(&service).cloned() else {
        return;
    };
    if spec.spec.mode.is_job() {
        return;
    }
    let state = service.update_status.as_ref().map(|status| status.state);
    if matches!(
        state,
        Some(UpdateState::Paused | UpdateState::RollbackPaused)
    ) {
        return;
    }
    let mut round = Round::new(draft, service, &spec);
    if round.dirty == 0 && !round.is_running() {
        return;
    }
    round.begin(draft);
    if let Some(task) = round.failed_too_often() {
        round.give_up(draft, &task);
        return;
    }
    round.finish_pairs(draft);
    round.replace_next(draft, ids);
    round.conclude(draft);
}

/// One look at one service's update.
struct Round {
    service: Arc<Service>,
    settings: Settings,
    slots: BTreeMap<SlotKey, Slot>,
    /// How many slots are not yet exactly one task of the new spec.
    dirty: usize,
    /// Those the update has not tried and that have no task of the new spec, in order.
    untouched: Vec<SlotKey>,
    /// Tasks that this update made, oldest first.
    made: Vec<Arc<Task>>,
}

/// An update config with its defaults filled in.
#[derive(Clone, Debug, PartialEq)]
struct Settings {
    parallelism: u64,
    delay: Duration,
    monitor: Duration,
    action: FailureAction,
    ratio: f32,
    start_first: bool,
}

impl Settings {
    fn of(config: Option<&UpdateConfig>) -> Self {
        let Some(config) = config else {
            return Settings {
                parallelism: UPDATE_PARALLELISM,
                delay: Duration::ZERO,
                monitor: UPDATE_MONITOR,
                action: FailureAction::Pause,
                ratio: 0.0,
                start_first: false,
            };
        };
        let monitor = config.monitor.duration();
        Settings {
            parallelism: config.parallelism,
            delay: config.delay.duration(),
            monitor: if monitor.is_zero() {
                UPDATE_MONITOR
            } else {
                monitor
            },
            action: config
                .failure_action
                .clone()
                .unwrap_or(FailureAction::Pause),
            ratio: config.max_failure_ratio,
            start_first: config.order == Some(UpdateOrder::StartFirst),
        }
    }
}

impl Round {
    fn new(state: &State, service: Arc<Service>, spec: &SpecVersion) -> Self {
        let back = service
            .update_status
            .as_ref()
            .is_some_and(|status| status.state.is_rollback());
        let config = if back {
            spec.spec.rollback_config.as_ref()
        } else {
            spec.spec.update_config.as_ref()
        };
        let slots: BTreeMap<_, _> = slots(state, &service)
            .into_iter()
            .filter(|(key, _)| takes_updates(state, spec, *key))
            .filter(|(_, slot)| slot.standing(state) != Standing::Dead)
            .collect();
        let made = made_by_update(state, &service);
        let tried: BTreeSet<_> = made.iter().filter_map(|task| SlotKey::of(task)).collect();
        let dirty = slots
            .iter()
            .filter(|(_, slot)| slot.is_dirty(state, &service));
        let untouched = dirty
            .clone()
            .filter(|(key, slot)| clean(slot, state, &service).is_none() && !tried.contains(key));
        Round {
            settings: Settings::of(config),
            dirty: dirty.clone().count(),
            untouched: untouched.map(|(key, _)| *key).collect(),
            made,
            service,
            slots,
        }
    }

    fn is_running(&self) -> bool {
        let status = self.service.update_status.as_ref();
        status.is_some_and(|status| status.state.is_active())
    }

    /// Notes that the update runs, and how many slots it has to change.
    fn begin(&mut self, draft: &mut Draft<'_>) {
        let mut service = (*self.service).clone();
        if !self.is_running() {
            service.update_status = Some(UpdateStatus {
                state: UpdateState::Updating,
                started_at: Some(draft.now.shown()),
                completed_at: None,
                message: "update in progress".to_owned(),
            });
        }
        if service
            .update
            .is_none_or(|update| update.spec != service.spec)
        {
            service.update = Some(UpdateProgress {
                spec: service.spec,
                started: draft.now,
                slots: self.dirty as u64,
            });
        }
        self.write(draft, service);
    }

    fn write(&mut self, draft: &mut Draft<'_>, service: Service) {
        if service != *self.service {
            draft.put_service(service.clone());
            self.service = Arc::new(service);
        }
    }

    /// The task whose failure was one too many.
    fn failed_too_often(&self) -> Option<Arc<Task>> {
        if self.settings.action == FailureAction::Continue {
            return None;
        }
        let failed: Vec<_> = self
            .made
            .iter()
            .filter(|task| self.is_failure(task))
            .collect();
        let slots = self.service.update.map_or(1, |update| update.slots.max(1));
        let ratio = failed.len() as f32 / slots as f32;
        let last = failed.iter().max_by_key(|task| (task.ended, task.id))?;
        (ratio > self.settings.ratio).then(|| (**last).clone())
    }

    /// A task the update made ended by itself before it was watched for long enough.
    fn is_failure(&self, task: &Task) -> bool {
        let ended = matches!(
            task.status.state,
            TaskState::Complete | TaskState::Failed | TaskState::Rejected
        );
        let ran = match (task.running_since, task.ended) {
            (Some(since), Some(ended)) => ended.since(since),
            _ => Duration::ZERO,
        };
        ended && ran < self.settings.monitor
    }

    /// Pauses, or goes back to the previous spec.
    fn give_up(&mut self, draft: &mut Draft<'_>, task: &Task) {
        let mut service = (*self.service).clone();
        let Some(status) = service.update_status.as_mut() else {
            return;
        };
        let because = format!("due to failure or early termination of task {}", task.id);
        let may_go_back = self.settings.action == FailureAction::Rollback;
        match (status.state.is_rollback(), service.previous_spec) {
            (false, Some(previous)) if may_go_back => {
                let (to, what) = match return_to(draft, &mut service, previous) {
                    Ok(()) => (
                        UpdateState::RollbackStarted,
                        format!("update rolled back {because}"),
                    ),
                    Err(why) => (
                        UpdateState::Paused,
                        format!("update paused {because}; it cannot be rolled back: {why}"),
                    ),
                };
                if let Some(status) = service.update_status.as_mut() {
                    (status.state, status.message) = (to, what);
                }
            }
            (true, _) => {
                // Docker's word for a rollback that its own config pauses.
                let what = if may_go_back { "rollback" } else { "update" };
                status.state = UpdateState::RollbackPaused;
                status.message = format!("{what} paused {because}");
            }
            (false, _) => {
                status.state = UpdateState::Paused;
                status.message = format!("update paused {because}");
            }
        }
        self.write(draft, service);
    }

    /// Where a new task stands beside old ones: the old ones go, once the new one runs if new ones
    /// are to start first.
    fn finish_pairs(&self, draft: &mut Draft<'_>) {
        for slot in self.slots.values() {
            if draft.is_full() {
                return;
            }
            let Some(new) = clean(slot, draft, &self.service).cloned() else {
                continue;
            };
            if self.settings.start_first && new.status.state != TaskState::Running {
                continue;
            }
            for task in slot.runnable().filter(|task| task.id != new.id) {
                task::want(draft, task.id, TaskState::Shutdown);
            }
        }
    }

    /// Begins as many slots as may be under way at once.
    fn replace_next(&self, draft: &mut Draft<'_>, ids: &mut dyn Ids) {
        let mut busy = 0;
        for task in self.under_way().into_values() {
            match self.busy_until(task, draft.now) {
                Busy::Unknown => busy += 1,
                Busy::Until(time) if time > draft.now => {
                    busy += 1;
                    draft.wake_at(time);
                }
                Busy::Until(_) => {}
            }
        }
        let most = match self.settings.parallelism {
            0 => u64::MAX,
            limit => limit,
        };
        for key in &self.untouched {
            if busy >= most || draft.is_full() {
                break;
            }
            self.replace(draft, *key, ids);
            busy += 1;
        }
    }

    /// The last task the update made in each slot that still counts.
    fn under_way(&self) -> BTreeMap<SlotKey, &Task> {
        let made = self.made.iter();
        made.filter_map(|task| Some((SlotKey::of(task)?, &**task)))
            .filter(|(key, _)| self.slots.contains_key(key))
            .collect()
    }

    /// A slot holds its place until its new task runs or has ended, and the delay after that.
    fn busy_until(&self, task: &Task, now: ClusterTime) -> Busy {
        match (task.running_since, task.ended) {
            (Some(at), _) | (None, Some(at)) => Busy::Until(at.after(self.settings.delay)),
            (None, None) if task.desired.is_runnable() => Busy::Unknown,
            (None, None) => Busy::Until(now),
        }
    }

    fn replace(&self, draft: &mut Draft<'_>, key: SlotKey, ids: &mut dyn Ids) {
        let slot = &self.slots[&key];
        let old: Vec<_> = slot.runnable().cloned().collect();
        let place = match key {
            SlotKey::Number(slot) => Place { slot, node: None },
            SlotKey::Node(node) => Place {
                slot: 0,
                node: Some(node),
            },
        };
        let gate = (!self.settings.start_first).then(|| Gate {
            not_before: draft.now,
            after: slot.newest().map(|task| task.id),
            patience: draft.now.after(OLD_TASK_PATIENCE),
        });
        task::create(draft, &self.service, place, TaskOrigin::Update, gate, ids);
        if !self.settings.start_first {
            for task in old {
                task::want(draft, task.id, TaskState::Shutdown);
            }
        }
    }

    /// Nothing left to replace, and every new task was watched: the update is done.
    fn conclude(&mut self, draft: &mut Draft<'_>) {
        if self.dirty > 0 {
            return;
        }
        let mut watched = draft.now;
        for task in self.under_way().into_values() {
            match task.running_since.or(task.ended) {
                Some(from) => watched = watched.max(from.after(self.settings.monitor)),
                None if task.desired.is_runnable() => return,
                None => {}
            }
        }
        if watched > draft.now {
            draft.wake_at(watched);
        } else {
            self.complete(draft);
        }
    }

    fn complete(&mut self, draft: &mut Draft<'_>) {
        let mut service = (*self.service).clone();
        service.update = None;
        if let Some(status) = service.update_status.as_mut() {
            let back = status.state.is_rollback();
            (status.state, status.message) = if back {
                (
                    UpdateState::RollbackCompleted,
                    "rollback completed".to_owned(),
                )
            } else {
                (UpdateState::Completed, "update completed".to_owned())
            };
            status.completed_at = Some(draft.now.shown());
        }
        self.write(draft, service);
    }
}

/// How long a slot counts as being updated.
enum Busy {
    Unknown,
    Until(ClusterTime),
}

/// A node that takes no new tasks keeps the ones it has of a global service, old as they are.
fn takes_updates(state: &State, spec: &SpecVersion, key: SlotKey) -> bool {
    match key {
        SlotKey::Number(_) => true,
        SlotKey::Node(id) => {
            let node = state.nodes().get(&id);
            node.is_some_and(|node| global::takes_new(spec, node))
        }
    }
}

/// Gives the service its previous spec back, and with it the ports. There is no way further back.
fn return_to(draft: &Draft<'_>, service: &mut Service, previous: SpecNumber) -> Result<(), Fault> {
    service.endpoint = match draft.spec(service.id, previous) {
        Some(spec) => allocator::endpoint(draft, &spec.spec, Some(service), draft.now)?,
        None => Default::default(),
    };
    service.spec = previous;
    service.previous_spec = None;
    service.update = None;
    Ok(())
}

/// The runnable task of the slot that needs no update, the newest if there are several.
fn clean<'s>(slot: &'s Slot, state: &State, service: &Service) -> Option<&'s Arc<Task>> {
    slot.runnable()
        .filter(|task| !dirty::is_dirty(state, service, task))
        .last()
}

fn made_by_update(state: &State, service: &Service) -> Vec<Arc<Task>> {
    let Some(update) = service.update.filter(|update| update.spec == service.spec) else {
        return Vec::new();
    };
    let mut made: Vec<_> = state
        .tasks_of_service(service.id)
        .filter(|task| task.origin == TaskOrigin::Update && task.spec == service.spec)
        .filter(|task| task.created >= update.started)
        .cloned()
        .collect();
    made.sort_by_key(|task| (task.created, task.id));
    made
}

#[cfg(test)]
mod tests;
