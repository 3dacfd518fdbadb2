//! Owns the runners: one per task, in one set.
//!
//! Before its first runner starts, the worker asks the engine once for all containers of this node's tasks, so that each
//! runner begins with its own. What is found and belongs to no task of the first complete set is removed. It looks once
//! more a little later: the engine may have been making a container for the agent's former life, which it did not list.

use crate::assignment::Orders;
use crate::error::Error;
use crate::executor::Found;
use crate::task::runner::{Runner, Shared, Wish};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use swarmrs_types::assignment::Assignment;
use swarmrs_types::disconnect::Disconnect;
use swarmrs_types::{TaskId, TaskState};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Between two looks for an engine that is away.
const ENGINE_PAUSE: Duration = Duration::from_millis(500);

/// From the first look to the second. No create takes longer, unless a plugin hangs.
const SECOND_LOOK: Duration = Duration::from_secs(15);

/// The runners and how they are reached.
pub struct Worker {
    shared: Arc<Shared>,
    wishes: BTreeMap<TaskId, watch::Sender<Wish>>,
    /// Of them, those that are not to run while there is no manager.
    dependent: BTreeSet<TaskId>,
    runners: JoinSet<Option<TaskId>>,
    /// Containers found at the start that no runner has taken over; none before the first look.
    found: Option<BTreeMap<TaskId, String>>,
    /// When to look for a second time; none before the first look and after the second.
    second_look: Option<Instant>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>) -> Self {
        Worker {
            shared,
            wishes: BTreeMap::new(),
            dependent: BTreeSet::new(),
            runners: JoinSet::new(),
            found: None,
            second_look: None,
        }
    }

    /// Follows orders until their channel closes. A runner that panics ends the worker.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Orders>) -> Result<(), Error> {
        loop {
            tokio::select! {
                next = orders.recv() => match next {
                    Some(next) => self.follow(next).await,
                    None => return Ok(()),
                },
                Some(ended) = self.runners.join_next() => self.bury(ended)?,
                () = until(self.second_look) => {
                    self.second_look = None;
                    self.found = Some(self.look().await);
                    self.sweep();
                }
            }
        }
    }

    async fn follow(&mut self, orders: Orders) {
        if orders.alone {
            return self.stop_dependent();
        }
        if self.found.is_none() {
            self.found = Some(self.look().await);
            self.second_look = Some(Instant::now() + SECOND_LOOK);
        }
        let starting = orders.start.iter();
        starting.for_each(|one| self.shared.executor.expect(&one.order));
        self.shared.executor.keep(orders.payloads, orders.complete);
        self.shared
            .executor
            .tell(orders.facts, orders.complete)
            .await;
        for assignment in orders.start {
            self.start(assignment);
        }
        for (task, desired) in orders.update {
            self.wish(task, |wish| wish.desired = wish.desired.max(desired));
        }
        for task in orders.remove {
            self.wish(task, |wish| wish.forgotten = true);
        }
        if orders.complete {
            self.sweep();
        }
    }

    /// Others will run in their place. What is stopped stays so: a manager that is back hears of it.
    fn stop_dependent(&mut self) {
        if self.dependent.is_empty() {
            return;
        }
        let tasks = self.dependent.len();
        info!(
            tasks,
            "no manager for long: tasks are stopped whose service wants it so"
        );
        for task in self.dependent.clone() {
            self.wish(task, |wish| {
                wish.desired = wish.desired.max(TaskState::Shutdown)
            });
        }
    }

    fn start(&mut self, assignment: Assignment) {
        let task = assignment.order.task;
        if Disconnect::of(&assignment.order.service_labels) == Disconnect::Stop {
            self.dependent.insert(task);
        }
        let wish = Wish {
            desired: assignment.desired,
            forgotten: false,
        };
        let (sender, receiver) = watch::channel(wish);
        let found = self.found.as_mut().and_then(|found| found.remove(&task));
        self.shared.measures.adopted.add(u64::from(found.is_some()));
        let runner = Runner::new(self.shared.clone(), assignment, found, receiver);
        self.wishes.insert(task, sender);
        self.runners.spawn(async { Some(runner.run().await) });
    }

    fn wish(&mut self, task: TaskId, change: impl FnOnce(&mut Wish)) {
        if let Some(wish) = self.wishes.get(&task) {
            wish.send_modify(change);
        }
    }

    /// The containers of this node's tasks. An engine that is away is waited for: without it there is nothing to do.
    async fn look(&self) -> BTreeMap<TaskId, String> {
        let journalled = self.shared.journal(|journal| Ok(journal.containers()));
        let journalled = journalled.unwrap_or_default();
        let mut told = false;
        loop {
            match self.shared.executor.inventory(&journalled).await {
                Ok(found) => return by_task(found),
                Err(failure) if told => debug!(%failure, "engine away"),
                Err(failure) => {
                    warn!(%failure, "waiting for the engine");
                    told = true;
                }
            }
            tokio::time::sleep(ENGINE_PAUSE).await;
        }
    }

    /// Removes what belongs to no task any more, and forgets what the journal says of it.
    fn sweep(&mut self) {
        let left = self.found.as_mut().map(std::mem::take).unwrap_or_default();
        let journalled = self.shared.journal(|journal| Ok(journal.tasks()));
        let gone: BTreeSet<TaskId> = journalled
            .into_iter()
            .flatten()
            .chain(left.keys().copied())
            .chain(self.shared.executor.kept())
            .collect();
        for task in gone {
            if !self.wishes.contains_key(&task) {
                let container = left.get(&task).cloned();
                self.runners
                    .spawn(remove(self.shared.clone(), task, container));
            }
        }
    }

    fn bury(&mut self, ended: Result<Option<TaskId>, JoinError>) -> Result<(), Error> {
        match ended {
            Ok(task) => {
                if let Some(task) = task {
                    self.wishes.remove(&task);
                    self.dependent.remove(&task);
                }
                Ok(())
            }
            Err(error) => Err(Error::Ended(format!("a task's runner: {error}"))),
        }
    }
}

/// Never, if there is no such moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn by_task(found: Vec<Found>) -> BTreeMap<TaskId, String> {
    found
        .into_iter()
        .map(|one| (one.task, one.container))
        .collect()
}

/// Ends what is left of a task that the cluster has forgotten.
async fn remove(shared: Arc<Shared>, task: TaskId, container: Option<String>) -> Option<TaskId> {
    if let Some(container) = container {
        info!(%task, container, "removing the container of a forgotten task");
        while let Err(failure) = shared.executor.remove(&container).await {
            debug!(%task, %failure, "removing the container again");
            tokio::time::sleep(ENGINE_PAUSE).await;
        }
    }
    shared.executor.forget(task);
    shared.journal(|journal| journal.forget(task));
    None
}

#[cfg(test)]
mod tests;
