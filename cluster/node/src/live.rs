//! Statuses that nodes reported and that decide nothing: they are in no log, and are laid over reads.
//!
//! ```text
//!   session ──hear──▶ ┌────────────┐ ──snapshot──▶ reads
//!                     │ statuses   │
//!   manager ──learn─▶ └────────────┘ ──owed──▶ the other managers (`status_relay`)
//!                           ▲
//!                  log ──follow (what it overtakes goes)
//! ```
//!
//! A status never goes back, whoever tells it and in whichever order. One is kept only while its task is behind it in the
//! log, so as many are kept as tasks are on their way.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use swarmrs_core::{Delta, Event, State};
use swarmrs_types::TaskId;
use swarmrs_types::assignment::StatusReport;
use swarmrs_types::object::{Task, TaskStatus};
use tokio::sync::Notify;

/// See the module.
#[derive(Debug, Default)]
pub struct LiveStatuses {
    kept: RwLock<Kept>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    statuses: Arc<BTreeMap<TaskId, TaskStatus>>,
    /// Those that were heard in sessions here, by the number of the news; of a task the last one.
    heard: BTreeMap<u64, TaskId>,
    numbers: BTreeMap<TaskId, u64>,
    last: u64,
}

impl Kept {
    /// Takes a report over unless it tells less than what is known; whether it was news.
    fn take(&mut self, state: &State, report: StatusReport) -> bool {
        let StatusReport { task, status } = report;
        let agreed = state.tasks().get(&task).map(|task| task.status.state);
        let known = self.statuses.get(&task);
        let is_behind = |known: &TaskStatus| {
            (status.state, status.at) < (known.state, known.at) || status == *known
        };
        if agreed.is_none_or(|agreed| agreed >= status.state) || known.is_some_and(is_behind) {
            return false;
        }
        Arc::make_mut(&mut self.statuses).insert(task, status);
        true
    }

    fn number(&mut self, task: TaskId) {
        self.last += 1;
        self.heard.insert(self.last, task);
        if let Some(older) = self.numbers.insert(task, self.last) {
            self.heard.remove(&older);
        }
    }

    fn forget(&mut self, gone: &[TaskId]) {
        let statuses = Arc::make_mut(&mut self.statuses);
        for task in gone {
            statuses.remove(task);
            if let Some(number) = self.numbers.remove(task) {
                self.heard.remove(&number);
            }
        }
    }
}

/// What another manager does not know yet.
#[derive(Debug, Default, PartialEq)]
pub struct Owed {
    pub reports: Vec<StatusReport>,
    /// The number up to which all is told then.
    pub last: u64,
}

impl LiveStatuses {
    /// All of them, by task.
    pub fn snapshot(&self) -> Arc<BTreeMap<TaskId, TaskStatus>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.statuses.clone()
    }

    /// Keeps what a node said in a session here, until the log overtakes it. `newest` gives the newest state applied: asked
    /// under the lock, or what the log overtakes just now would stay for ever.
    pub fn hear(&self, newest: impl FnOnce() -> Arc<State>, reports: Vec<StatusReport>) {
        if reports.is_empty() {
            return;
        }
        let mut kept = self.write();
        let state = newest();
        for report in reports {
            let task = report.task;
            if kept.take(&state, report) {
                kept.number(task);
            }
        }
        drop(kept);
        self.news.notify_one();
    }

    /// Keeps what another manager heard.
    pub fn learn(&self, newest: impl FnOnce() -> Arc<State>, reports: Vec<StatusReport>) {
        let mut kept = self.write();
        let state = newest();
        for report in reports {
            kept.take(&state, report);
        }
    }

    /// Waits until something was heard in a session here.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// What was heard here after that number, the oldest first, and no more than `most`.
    pub fn owed(&self, after: u64, most: usize) -> Owed {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let mut owed = Owed::default();
        for (number, task) in kept.heard.range(after + 1..).take(most) {
            owed.last = *number;
            if let Some(status) = kept.statuses.get(task).cloned() {
                owed.reports.push(StatusReport {
                    task: *task,
                    status,
                });
            }
        }
        owed
    }

    /// Whether anything that was heard here is not overtaken yet.
    pub fn has_heard(&self) -> bool {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        !kept.heard.is_empty()
    }

    /// Drops what the log has overtaken, and tasks that are forgotten.
    pub fn follow(&self, events: &[Event]) {
        let live = self.snapshot();
        let overtaken = |delta: &Delta<Task>| match (&delta.old, &delta.new) {
            (_, Some(task)) => {
                let held = live.get(&task.id)?;
                (task.status.state >= held.state).then_some(task.id)
            }
            (Some(task), None) => live.contains_key(&task.id).then_some(task.id),
            (None, None) => None,
        };
        let overtaken: Vec<TaskId> = events
            .iter()
            .filter_map(|event| match event {
                Event::Task(delta) => overtaken(delta),
                _ => None,
            })
            .collect();
        if !overtaken.is_empty() {
            self.write().forget(&overtaken);
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
