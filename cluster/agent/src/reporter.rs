//! The latest status of each task, on its way to a manager.
//!
//! Runners put a status in, the session takes batches out. A batch holds whatever has changed since the last one, so
//! that a burst of changes becomes few messages without any waiting. What no manager has acknowledged is told again in
//! the next session; what one has forgotten (it shows an older status), too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use swarmrs_types::TaskId;
use swarmrs_types::assignment::StatusReport;
use swarmrs_types::object::TaskStatus;
use tokio::sync::Notify;

/// Reports in one message. Keeps a message far below what a connection carries.
const BATCH: usize = 256;

#[derive(Debug, Default)]
pub struct Reporter {
    reports: Mutex<Reports>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Reports {
    latest: BTreeMap<TaskId, Report>,
    /// Tasks whose latest is not yet part of a message of this session: a batch costs what is new, not what there is.
    unsent: BTreeSet<TaskId>,
}

#[derive(Debug)]
struct Report {
    status: TaskStatus,
    /// Messages of this session that held this task and are not acknowledged.
    under_way: u32,
}

impl Reporter {
    /// The task is there now.
    pub fn report(&self, task: TaskId, status: TaskStatus) {
        let mut reports = self.lock();
        let latest = reports.latest.get(&task);
        let under_way = latest.map_or(0, |report| report.under_way);
        reports.latest.insert(task, Report { status, under_way });
        reports.unsent.insert(task);
        drop(reports);
        self.news.notify_one();
    }

    /// The task is there, and the managers have said so themselves.
    pub fn already_known(&self, task: TaskId, status: TaskStatus) {
        let mut reports = self.lock();
        let under_way = 0;
        reports.latest.insert(task, Report { status, under_way });
        reports.unsent.remove(&task);
    }

    /// Nobody will ask for this task again.
    pub fn forget(&self, task: TaskId) {
        let mut reports = self.lock();
        reports.latest.remove(&task);
        reports.unsent.remove(&task);
    }

    /// A session begins: what was not acknowledged in the last one may be lost.
    pub fn begin_session(&self) {
        let Reports { latest, unsent } = &mut *self.lock();
        for (task, report) in latest {
            if report.under_way > 0 {
                unsent.insert(*task);
            }
            report.under_way = 0;
        }
        self.news.notify_one();
    }

    /// Compares with what the managers have: what we know better is told again.
    pub fn reconcile(&self, accepted: &[(TaskId, TaskStatus)]) {
        let mut reports = self.lock();
        for (task, theirs) in accepted {
            let better =
                |ours: &Report| ours.status.state >= theirs.state && ours.status != *theirs;
            if reports.latest.get(task).is_some_and(better) {
                reports.unsent.insert(*task);
            }
        }
        drop(reports);
        self.news.notify_one();
    }

    /// Waits for something to tell. Safe to cancel: what is not taken stays.
    pub async fn batch(&self) -> Vec<StatusReport> {
        loop {
            let batch = self.take();
            if !batch.is_empty() {
                return batch;
            }
            self.news.notified().await;
        }
    }

    /// A manager has the reports of these tasks.
    pub fn acknowledge(&self, tasks: &[TaskId]) {
        let mut reports = self.lock();
        for task in tasks {
            if let Some(report) = reports.latest.get_mut(task) {
                report.under_way = report.under_way.saturating_sub(1);
            }
        }
    }

    /// Whether every report has reached a manager.
    pub fn is_settled(&self) -> bool {
        let reports = self.lock();
        let mut latest = reports.latest.values();
        reports.unsent.is_empty() && latest.all(|report| report.under_way == 0)
    }

    fn take(&self) -> Vec<StatusReport> {
        let Reports { latest, unsent } = &mut *self.lock();
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(task) = unsent.pop_first()
        {
            if let Some(report) = latest.get_mut(&task) {
                report.under_way += 1;
                let status = report.status.clone();
                batch.push(StatusReport { task, status });
            }
        }
        batch
    }

    /// A panic ends the daemon, so nobody meets what one left half done.
    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::fake::task;
    use swarmrs_types::TaskState;

    fn status(state: TaskState) -> TaskStatus {
        TaskStatus {
            state,
            ..TaskStatus::default()
        }
    }

    fn told(batch: Vec<StatusReport>) -> Vec<(TaskId, TaskState)> {
        batch
            .into_iter()
            .map(|report| (report.task, report.status.state))
            .collect()
    }

    #[tokio::test]
    async fn a_batch_holds_the_latest_status_of_each_task() {
        let reporter = Reporter::default();
        reporter.report(task(1), status(TaskState::Accepted));
        reporter.report(task(2), status(TaskState::Ready));
        reporter.report(task(1), status(TaskState::Preparing));
        assert_eq!(
            told(reporter.batch().await),
            [(task(1), TaskState::Preparing), (task(2), TaskState::Ready)]
        );
        assert!(reporter.take().is_empty());
    }

    #[test]
    fn what_was_not_acknowledged_is_told_again_in_the_next_session() {
        let reporter = Reporter::default();
        reporter.report(task(1), status(TaskState::Running));
        reporter.report(task(2), status(TaskState::Running));
        reporter.take();
        reporter.acknowledge(&[task(1)]);
        assert!(!reporter.is_settled());
        reporter.begin_session();
        assert_eq!(told(reporter.take()), [(task(2), TaskState::Running)]);
        reporter.acknowledge(&[task(2)]);
        assert!(reporter.is_settled());
    }

    #[test]
    fn an_acknowledgement_of_an_older_report_settles_nothing() {
        let reporter = Reporter::default();
        reporter.report(task(1), status(TaskState::Starting));
        reporter.take();
        reporter.report(task(1), status(TaskState::Running));
        reporter.take();
        reporter.acknowledge(&[task(1)]);
        assert!(!reporter.is_settled());
    }

    #[test]
    fn a_manager_that_has_forgotten_is_told_again() {
        let reporter = Reporter::default();
        reporter.report(task(1), status(TaskState::Preparing));
        reporter.take();
        reporter.acknowledge(&[task(1)]);
        reporter.begin_session();
        assert!(reporter.take().is_empty());
        reporter.reconcile(&[(task(1), status(TaskState::Assigned))]);
        assert_eq!(told(reporter.take()), [(task(1), TaskState::Preparing)]);
        reporter.reconcile(&[(task(1), status(TaskState::Shutdown))]);
        assert!(reporter.take().is_empty());
    }

    #[test]
    fn a_forgotten_task_is_not_told_of() {
        let reporter = Reporter::default();
        reporter.report(task(1), status(TaskState::Shutdown));
        reporter.forget(task(1));
        reporter.acknowledge(&[task(1)]);
        assert!(reporter.take().is_empty());
    }
}
