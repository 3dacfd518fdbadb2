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
use swarmrs_core::liveness::Note;
use swarmrs_core::{Agenda, Delta, Event, Plan, State, leader, outline};
use swarmrs_store::{Leadership, ProposeError, Store, Watch};
use swarmrs_types::report::{Flight, Outcome, PlannedTask};
use swarmrs_types::{NodeId, Timestamp};
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};

/// Wait after a proposal that failed for a reason of the store's.
const RETRY: Duration = Duration::from_millis(200);
/// The longest sleep; a wake-up costs nothing.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// Leads whenever this manager does, until the store closes. `notes` say whom managers hear.
pub async fn run(
    store: Arc<Store>,
    clock: ClusterClock,
    me: NodeId,
    told: Told,
    mut notes: mpsc::UnboundedReceiver<Note>,
) {
    let mut leadership = store.leadership();
    loop {
        tokio::select! {
            led = leadership.wait_for(|now| now.is_leader) => match led {
                Ok(_) => {}
                Err(_) => return,
            },
            // Heard by nobody: another manager leads.
            note = notes.recv() => match note {
                Some(_) => continue,
                None => return,
            },
        }
        let watch = store.watch_for(Event::moves_tasks);
        let state = watch.view().clone();
        clock.lead(state.time());
        info!(term = leadership.borrow().term, "this manager leads");
        let leader = Leader {
            agenda: Agenda::all(&state).watching(&state, me, clock.now()),
            store: store.clone(),
            clock: clock.clone(),
            state,
            watch,
            told: told.clone(),
            trouble: Trouble::default(),
            leadership: leadership.clone(),
        };
        if !leader.lead(&mut notes).await {
            return;
        }
        info!("this manager does not lead any more");
    }
}

struct Leader {
    store: Arc<Store>,
    clock: ClusterClock,
    agenda: Agenda,
    leadership: watch::Receiver<Leadership>,
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
    /// False when the store has closed.
    async fn lead(mut self, notes: &mut mpsc::UnboundedReceiver<Note>) -> bool {
        while self.leadership.borrow().is_leader {
            while let Ok(note) = notes.try_recv() {
                self.agenda.presence(note, self.clock.now());
            }
            let more = if self.agenda.is_due(self.clock.now()) {
                self.step().await
            } else {
                self.wait(notes).await
            };
            if !more {
                return false;
            }
        }
        true
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
                self.note_or_lose().await
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

    /// Notes what the plan did not know; without the lead there may be nothing.
    async fn note_or_lose(&mut self) -> bool {
        let mut leadership = self.leadership.clone();
        tokio::select! {
            more = self.note_next() => more,
            changed = leadership.wait_for(|now| !now.is_leader) => changed.is_ok(),
        }
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
            say(event);
            self.agenda.note(&batch.state, event);
        }
        self.state = batch.state;
        true
    }

    async fn wait(&mut self, notes: &mut mpsc::UnboundedReceiver<Note>) -> bool {
        let now = self.clock.now();
        let wake = self.agenda.next_wake();
        let sleep = wake.map_or(LONGEST_SLEEP, |at| at.since(now));
        let mut leadership = self.leadership.clone();
        tokio::select! {
            more = self.note_next() => more,
            note = notes.recv() => match note {
                Some(note) => {
                    self.agenda.presence(note, self.clock.now());
                    true
                }
                None => false,
            },
            changed = leadership.wait_for(|now| !now.is_leader) => changed.is_ok(),
            () = tokio::time::sleep(sleep) => true,
        }
    }
}

/// Puts into the log what an operator looks for there: nodes that are lost, and back.
fn say(event: &Event) {
    let Event::Node(Delta {
        old: Some(old),
        new: Some(new),
    }) = event
    else {
        return;
    };
    let (from, to) = (old.status.state, new.status.state);
    if from != to {
        info!(node = %new.id, from = from.as_str(), to = to.as_str(), "node state");
    }
}
