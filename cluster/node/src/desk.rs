//! Where requests are decided: each becomes a plan, the plan an entry.
//!
//! On a conflict that is not the user's own (an object moved between the look and the write) the request
//! is decided anew on the newer state. Any manager decides; the store carries the entry to the leader.

use crate::clock::ClusterClock;
use crate::control::{Changed, NOT_A_MANAGER};
use std::sync::Arc;
use swarmrs_core::{Plan, Rejected, State, control};
use swarmrs_store::{ProposeError, Store};
use swarmrs_types::default::REQUEST_TIMEOUT;
use swarmrs_types::{ClusterTime, Code, Fault, Timestamp};
use tokio::sync::Mutex;

/// Decisions made anew before a request is given up.
const MOST_TRIES: usize = 64;

/// The desk of one manager.
pub struct Desk {
    pub store: Arc<Store>,
    pub clock: ClusterClock,
    /// Held by a request that is decided anew after another was faster.
    turn: Mutex<()>,
}

impl Desk {
    pub fn new(store: Arc<Store>, clock: ClusterClock) -> Self {
        Desk {
            store,
            clock,
            turn: Mutex::new(()),
        }
    }

    /// Everything acknowledged before the call.
    pub async fn newest(&self) -> Result<Arc<State>, Fault> {
        in_time(self.store.read_index()).await
    }

    /// Decides on the newest state and proposes, until the entry is in or the fault is the user's.
    pub async fn decide<T>(
        &self,
        decide: impl Fn(&State, ClusterTime) -> Result<(T, Plan), Fault>,
    ) -> Result<(T, Changed), Fault> {
        in_time(self.propose(decide)).await
    }

    /// A plan is made on what this node has applied: its guards are compared when it comes into force. A
    /// refusal, and the answer that nothing is to be done, have no guards, so they are given only on a state
    /// that is known to be the newest.
    async fn propose<T>(
        &self,
        decide: impl Fn(&State, ClusterTime) -> Result<(T, Plan), Fault>,
    ) -> Result<(T, Changed), ProposeFault> {
        let mut last = None;
        let mut newest = None;
        let mut turn = None;
        for _ in 0..MOST_TRIES {
            let known = newest.is_some();
            let state = newest.take().unwrap_or_else(|| self.store.view());
            let now = self.clock.now();
            match decide(&state, now) {
                Ok((answer, plan)) if !plan.is_empty() => {
                    let command = plan.into_command(now, Timestamp::now());
                    match self.store.propose(command).await {
                        Ok(version) => return Ok((answer, Changed { version })),
                        Err(ProposeError::Rejected(
                            rejected @ (Rejected::OutOfSequence(_) | Rejected::Taken { .. }),
                        )) => {
                            last = Some(rejected);
                            // Those who lost go on one by one: of many who want the same thing each has
                            // it after one more try.
                            if turn.is_none() {
                                turn = Some(self.turn.lock().await);
                            }
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok((answer, _)) if known => {
                    let version = state.applied();
                    return Ok((answer, Changed { version }));
                }
                Err(fault) if known => return Err(ProposeFault::Fault(fault)),
                Ok(_) | Err(_) => {}
            }
            newest = Some(self.store.read_index().await?);
        }
        let rejected = last.map(|rejected| control::fault_of(&rejected));
        Err(ProposeFault::Fault(rejected.unwrap_or_else(|| {
            Fault::daemon(Code::Internal, "the request met too many changes")
        })))
    }
}

/// Either kind of refusal on the way into the log.
enum ProposeFault {
    Fault(Fault),
    Store(ProposeError),
}

impl From<ProposeError> for ProposeFault {
    fn from(error: ProposeError) -> Self {
        ProposeFault::Store(error)
    }
}

impl From<ProposeFault> for Fault {
    fn from(fault: ProposeFault) -> Self {
        match fault {
            ProposeFault::Fault(fault) => fault,
            ProposeFault::Store(error) => store_fault(&error),
        }
    }
}

/// Runs a call to the store under the request's deadline.
async fn in_time<T, E: Into<ProposeFault>>(
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(REQUEST_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| error.into().into()),
        Err(_) => Err(Fault::manager(
            Code::DeadlineExceeded,
            "context deadline exceeded",
        )),
    }
}

/// A failure of the store as the user reads it.
pub fn store_fault(error: &ProposeError) -> Fault {
    match error {
        ProposeError::Rejected(rejected) => control::fault_of(rejected),
        ProposeError::NotLeader { .. } => Fault::manager(
            Code::Unknown,
            "The swarm does not have a leader. It's possible that too few managers are online. \
             Make sure more than half of the managers are online.",
        ),
        ProposeError::Differs(_) => Fault::unavailable(error.to_string()),
        ProposeError::Closed => Fault::unavailable(NOT_A_MANAGER),
        other => Fault::daemon(Code::Internal, other.to_string()),
    }
}
