//! Takes one task through its life.
//!
//! A runner does one thing at a time. Whatever may take long (a pull, a health check, the life of the container) ends as
//! soon as something else is wanted that changes the next step; short requests are left to finish, since one that is on
//! its way cannot be called back. Each state reached goes to the journal first and to the reporter then.

use crate::error::Error;
use crate::executor::{Container, Executor, Failure, Running};
use crate::journal::Journal;
use crate::journal::record::{Record, digest};
use crate::logs::{Directory, Place};
use crate::measure::Measures;
use crate::reporter::Reporter;
use crate::task::step::{self, Deed, Step};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swarmrs_types::assignment::{Assignment, Order};
use swarmrs_types::object::{ContainerStatus, TaskStatus};
use swarmrs_types::{TaskId, TaskState, Timestamp};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

/// The first wait after the engine was away; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// An engine that is back is found within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What is wanted of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pub desired: TaskState,
    /// The cluster has forgotten the task: end it, remove its container.
    pub forgotten: bool,
}

/// What all runners of a node share.
pub struct Shared {
    pub executor: Arc<dyn Executor>,
    pub reporter: Arc<Reporter>,
    pub directory: Arc<Directory>,
    pub journal: Mutex<Journal>,
    pub measures: Arc<Measures>,
}

impl Shared {
    /// Uses the journal; a disk that refuses is logged and costs adoption its short cut, no more.
    pub fn journal<T>(&self, use_it: impl FnOnce(&mut Journal) -> Result<T, Error>) -> Option<T> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(&mut journal)
            .inspect_err(|error| error!(%error, "journal not written"))
            .ok()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared(..)")
    }
}

/// One task.
pub struct Runner {
    shared: Arc<Shared>,
    order: Arc<Order>,
    spec: String,
    status: TaskStatus,
    container: Option<Container>,
    wishes: watch::Receiver<Wish>,
    pause: Duration,
}

impl Runner {
    /// A runner for a task that may have come some way already: as far as the managers know, as far as the journal
    /// knows, and in the container that was found.
    pub fn new(
        shared: Arc<Shared>,
        assignment: Assignment,
        found: Option<String>,
        wishes: watch::Receiver<Wish>,
    ) -> Self {
        let order = assignment.order;
        let record = shared.journal(|journal| Ok(journal.get(order.task).cloned()));
        let record = record.flatten();
        let spec = digest(&order);
        if record.as_ref().is_some_and(|record| record.spec != spec) {
            warn!(task = %order.task, "made from another spec than the one it is told now");
        }
        let told = assignment.status;
        let id = found
            .or_else(|| record.as_ref()?.container.clone())
            .or_else(|| Some(told.container.as_ref()?.id.clone()));
        let container = id.map(|id| Container {
            id,
            untouched: false,
        });
        let status = resume(told.clone(), record.as_ref());
        let runner = Runner {
            shared,
            order,
            spec,
            status,
            container,
            wishes,
            pause: FIRST_PAUSE,
        };
        if runner.status == told {
            runner
                .shared
                .reporter
                .already_known(runner.order.task, told);
        } else {
            runner.report();
        }
        runner.place();
        runner
    }

    /// Runs until the task is forgotten and its container gone. Ends early only with the worker.
    pub async fn run(mut self) -> TaskId {
        loop {
            let wish = *self.wishes.borrow_and_update();
            if wish.forgotten {
                self.dispose().await;
                return self.order.task;
            }
            match step::next(self.status.state, wish.desired) {
                Step::Rest => {
                    if self.wishes.changed().await.is_err() {
                        return self.order.task;
                    }
                }
                Step::Advance(state) => self.advance(state),
                Step::Do(deed) => self.perform(deed).await,
            }
        }
    }

    async fn perform(&mut self, deed: Deed) {
        let done = match deed {
            Deed::Prepare => self.prepare().await,
            Deed::Start => self.start().await,
            Deed::Wait => self.wait().await,
            Deed::Shutdown => self.shutdown().await,
        };
        match done {
            Some(Ok(())) => self.advance(deed.leads_to()),
            Some(Err(Failure::Away(reason))) => self.rest_a_while(&reason).await,
            Some(Err(Failure::Fatal { text, container })) => self.fail(text, container),
            None => {}
        }
    }

    async fn prepare(&mut self) -> Option<Result<(), Failure>> {
        let (shared, order) = (self.shared.clone(), self.order.clone());
        if let Some(container) = &self.container {
            match shared.executor.is_made(&container.id).await {
                Ok(true) => return Some(Ok(())),
                // A create of our former life is under way, or was rolled back: never started, it may be made again.
                Ok(false) => self.container = None,
                Err(failure) => return Some(Err(failure)),
            }
        }
        match self
            .unless_unwanted(Deed::Prepare, shared.executor.fetch(&order))
            .await?
        {
            Ok(()) => {}
            Err(failure) => return Some(Err(failure)),
        }
        let created = shared.executor.create(&order).await;
        Some(created.map(|container| self.container = Some(container)))
    }

    async fn start(&mut self) -> Option<Result<(), Failure>> {
        let (shared, order) = (self.shared.clone(), self.order.clone());
        let Some(container) = self.container.clone() else {
            return Some(Err(lost(&order)));
        };
        if let Some(ours) = &mut self.container {
            ours.untouched = false;
        }
        if let Err(failure) = shared.executor.start(&order, &container).await {
            return Some(Err(failure));
        }
        let place = Place::In(container.id.clone());
        self.shared.directory.put(order.task, place);
        let settled = shared.executor.settle(&order, &container.id);
        let settled = self.unless_unwanted(Deed::Start, settled).await?;
        Some(settled.map(|running| self.runs(running)))
    }

    async fn wait(&mut self) -> Option<Result<(), Failure>> {
        let (shared, order) = (self.shared.clone(), self.order.clone());
        let Some(container) = self.container.clone() else {
            return Some(Err(lost(&order)));
        };
        let ended = shared.executor.wait(&order, &container.id);
        let ended = self.unless_unwanted(Deed::Wait, ended).await?;
        Some(ended.map(|container| self.status.container = Some(container)))
    }

    /// Never gives up: a task is not said to have ended while its container may run.
    async fn shutdown(&mut self) -> Option<Result<(), Failure>> {
        let id = self
            .container
            .as_ref()
            .map(|container| container.id.as_str());
        let stopped = self.shared.executor.shutdown(&self.order, id).await;
        let stopped = stopped.map_err(|failure| Failure::Away(failure.to_string()));
        Some(stopped.map(|stopped| {
            let Some(stopped) = stopped else { return };
            self.container.get_or_insert_with(|| Container {
                id: stopped.id.clone(),
                untouched: false,
            });
            // As stock: a task that was never started shows no container.
            if self.status.state >= TaskState::Starting {
                self.status.container = Some(stopped);
            }
        }))
    }

    /// Waits for the work, or for a wish that it is not part of.
    async fn unless_unwanted<T>(&mut self, deed: Deed, work: impl Future<Output = T>) -> Option<T> {
        let state = self.status.state;
        let wanted =
            |wish: &Wish| !wish.forgotten && step::next(state, wish.desired) == Step::Do(deed);
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                changed = self.wishes.changed() => {
                    changed.ok()?;
                    if !wanted(&self.wishes.borrow_and_update()) {
                        return None;
                    }
                }
            }
        }
    }

    async fn rest_a_while(&mut self, reason: &str) {
        debug!(task = %self.order.task, reason, "waiting for the engine");
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        // A new wish ends the wait; a closed channel must not make it a busy loop.
        let _ = tokio::time::timeout(pause, self.wishes.changed()).await;
    }

    fn runs(&mut self, running: Running) {
        self.status.container = Some(running.container);
        self.status.ports = running.ports;
    }

    fn advance(&mut self, state: TaskState) {
        self.pause = FIRST_PAUSE;
        self.status.message = step::message(state).to_owned();
        self.enter(state);
    }

    /// The message stays that of the state it happened in, as in Docker.
    fn fail(&mut self, text: String, container: Option<ContainerStatus>) {
        let state = step::after_failure(self.status.state);
        self.status.err = text;
        if container.is_some() {
            self.status.container = container;
        }
        self.enter(state);
    }

    fn enter(&mut self, state: TaskState) {
        let from = self.status.state;
        info!(task = %self.order.task, %from, to = %state, err = %self.status.err, "task");
        self.shared.measures.enter(state);
        self.status.state = state;
        self.status.at = Timestamp::now();
        if state.is_terminal() {
            // The engine has taken them back, and gives them to others.
            self.status.ports.clear();
        }
        if state == TaskState::Starting && self.status.container.is_none() {
            self.status.container = self.container.as_ref().map(|container| ContainerStatus {
                id: container.id.clone(),
                ..ContainerStatus::default()
            });
        }
        let record = self.record();
        self.shared.journal(|journal| journal.note(record));
        self.report();
        self.place();
    }

    fn report(&self) {
        let task = self.order.task;
        self.shared.reporter.report(task, self.status.clone());
    }

    /// Tells those who wait for output where it is. Only what was started may have written something.
    fn place(&self) {
        let place = match &self.container {
            Some(container) if self.status.state >= TaskState::Running => {
                Place::In(container.id.clone())
            }
            None if self.status.state.is_terminal() => Place::Never,
            _ => Place::Nowhere,
        };
        self.shared.directory.put(self.order.task, place);
    }

    fn record(&self) -> Record {
        Record {
            task: self.order.task,
            container: self.container.as_ref().map(|one| one.id.clone()),
            desired: self.wishes.borrow().desired,
            state: self.status.state,
            exit: self
                .status
                .container
                .as_ref()
                .map_or(0, |one| one.exit_code),
            spec: self.spec.clone(),
        }
    }

    /// Ends the task if it has not ended and removes its container. Tries for as long as it takes.
    async fn dispose(&mut self) {
        let task = self.order.task;
        // Without a known container it is looked for by name: the answer to a create may have been lost.
        while !self.status.state.is_terminal() || self.container.is_none() {
            match self.shutdown().await {
                Some(Err(failure)) => self.wait_out(&failure).await,
                _ => break,
            }
        }
        while let Some(container) = self.container.clone() {
            match self.shared.executor.remove(&container.id).await {
                Ok(()) => break,
                Err(failure) => self.wait_out(&failure).await,
            }
        }
        self.shared.executor.forget(task);
        self.shared.journal(|journal| journal.forget(task));
        self.shared.reporter.forget(task);
        self.shared.directory.forget(task);
        info!(%task, "task removed");
    }

    async fn wait_out(&mut self, failure: &Failure) {
        debug!(task = %self.order.task, reason = %failure, "removing the task again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// A task past its preparation of which no container is known.
fn lost(order: &Order) -> Failure {
    Failure::fatal(format!("No such container: {}", order.name))
}

/// The status a task goes on from: the managers' unless the journal has come further. The journal keeps no texts, so
/// those of an end that no manager has heard of are made again from what it does keep. Nor does it keep ports: a task
/// whose running no manager has heard of is looked at once more, from STARTING.
fn resume(told: TaskStatus, record: Option<&Record>) -> TaskStatus {
    let Some(record) = record.filter(|record| record.state > told.state) else {
        return told;
    };
    let (exit, state) = (record.exit, record.state);
    let state = if state == TaskState::Running {
        TaskState::Starting
    } else {
        state
    };
    let err = match state {
        TaskState::Failed | TaskState::Rejected if exit != 0 => {
            format!("task: non-zero exit ({exit})")
        }
        TaskState::Failed | TaskState::Rejected => {
            "the task ended while swarmrsd was restarted, its error is not known".to_owned()
        }
        _ => String::new(),
    };
    let container = record.container.clone().map(|id| ContainerStatus {
        id,
        pid: 0,
        exit_code: exit,
    });
    TaskStatus {
        at: Timestamp::now(),
        state,
        message: step::message(state).to_owned(),
        err,
        container: container.filter(|_| state >= TaskState::Starting),
        ports: told.ports,
    }
}

#[cfg(test)]
mod tests;
