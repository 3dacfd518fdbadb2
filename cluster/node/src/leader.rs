//! The leader's loop: wait, note what happened, step, propose, again.
//!
//! One plan is in flight at a time. While it is, nothing is planned on top of it: the next step
//! looks at the state that has it.

use crate::clock::ClusterClock;
use crate::ids::RandomIds;
use crate::manager::Told;
use crate::trouble::Trouble;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarmrs_core::{Agenda, Event, Plan, State, leader, outline};
use swarmrs_store::{ProposeError, Store, Watch};
use swarmrs_types::Timestamp;
use swarmrs_types::report::{Flight, Outcome, PlannedTask};
use tracing::{debug, error, warn};

/// Wait after a proposal that failed for a reason of the store's.
const RETRY: Duration = Duration::from_millis(200);
/// The longest sleep; a wake-up costs nothing.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// Leads until the store closes.
pub async fn run(store: Arc<Store>, clock: ClusterClock, told: Told) {
    let watch = store.watch_for(Event::moves_tasks);
    let state = watch.view().clone();
    let agenda = Agenda::all(&state);
    let leader = Leader {
        store,
        clock,
        agenda,
        state,
        watch,
        told,
        trouble: Trouble::default(),
    };
    leader.lead().await;
}

struct Leader {
    store: Arc<Store>,
    clock: ClusterClock,
    agenda: Agenda,
    /// The state after all that was noted.
    state: Arc<State>,
    watch: Watch,
    told: Told,
    trouble: Trouble,
}

/// What is told of a plan once it is known what came of it.
struct Noted {
    changes: usize,
    guards: usize,
    tasks: Vec<PlannedTask>,
}

impl Noted {
    fn of(plan: &Plan) -> Self {
        Noted {
            changes: plan.changes.len(),
            guards: plan.guards.len(),
            tasks: outline::planned_tasks(plan),
        }
    }
}

impl Leader {
    async fn lead(mut self) {
        loop {
            let more = if self.agenda.is_due(self.clock.now()) {
                self.step().await
            } else {
                self.wait().await
            };
            if !more {
                return;
            }
        }
    }

    /// Plans and proposes once. False when the store has closed.
    async fn step(&mut self) -> bool {
        let now = self.clock.now();
        let before = self.agenda.clone();
        let plan = leader::step(&self.state, &mut self.agenda, now, &mut RandomIds);
        if plan.is_empty() {
            return true;
        }
        debug!(changes = plan.changes.len(), "plan");
        let noted = Noted::of(&plan);
        let command = plan.into_command(now, Timestamp::now());
        let proposed = self.store.propose(command).await;
        self.tell(noted, &proposed);
        match proposed {
            Ok(version) => {
                self.trouble.is_over();
                self.catch_up(version).await
            }
            Err(ProposeError::Rejected(rejected)) => {
                debug!(%rejected, "plan rejected, looking again");
                self.agenda.put_back(before);
                self.note_next().await
            }
            Err(ProposeError::Closed) => false,
            Err(error) => {
                if self.trouble.is_news(&error, Instant::now()) {
                    warn!(%error, "plan not committed");
                }
                self.agenda.put_back(before);
                tokio::time::sleep(RETRY).await;
                true
            }
        }
    }

    /// Counts the plan and keeps it in the flight recorder.
    fn tell(&self, noted: Noted, proposed: &Result<u64, ProposeError>) {
        let measures = &self.told.measures;
        let (counter, outcome) = match proposed {
            Ok(index) => (&measures.plans_committed, Outcome::Committed(*index)),
            Err(ProposeError::Rejected(_)) => (&measures.plans_rejected, Outcome::Rejected),
            Err(_) => (&measures.plans_failed, Outcome::Failed),
        };
        counter.add(1);
        self.told.recorder.note(&Flight::Plan {
            changes: noted.changes,
            guards: noted.guards,
            outcome,
            tasks: noted.tasks,
        });
    }

    /// Notes everything up to the entry just committed.
    async fn catch_up(&mut self, version: u64) -> bool {
        while self.state.applied() < version {
            if !self.note_next().await {
                return false;
            }
        }
        true
    }

    async fn note_next(&mut self) -> bool {
        let Some(batch) = self.watch.next().await else {
            error!("the store has closed");
            return false;
        };
        for event in batch.events.iter() {
            self.agenda.note(&batch.state, event);
        }
        self.state = batch.state;
        true
    }

    async fn wait(&mut self) -> bool {
        let now = self.clock.now();
        let wake = self.agenda.next_wake();
        let sleep = wake.map_or(LONGEST_SLEEP, |at| at.since(now));
        tokio::select! {
            more = self.note_next() => more,
            () = tokio::time::sleep(sleep) => true,
        }
    }
}
