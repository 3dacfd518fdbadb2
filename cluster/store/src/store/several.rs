//! Proposing and reading as one of several: done here by the leader, and asked of it by all others, over and over until
//! some leader answers.

use super::{Store, propose};
use crate::error::{Member, ProposeError};
use crate::leadership::Leadership;
use crate::question::{self, Unanswered};
use crate::raft::Proposal;
use crate::transport::Ask;
use crate::wire::{LeaderAnswer, ProposeQuestion, ReadQuestion, encode};
use bytes::Bytes;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use swarmrs_core::Command;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a call goes on at most. Whoever has less time drops it.
const WITHIN: Duration = Duration::from_secs(20);

/// How long there may be no leader before it is said that there is none. An election is over in one or two seconds.
const LEADERLESS: Duration = Duration::from_secs(5);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(30);

/// How long the leader may take to have a command agreed on before it is asked again: what was sent may be lost without a
/// word, and to ask twice does no harm. The leader waits no longer either.
pub(super) const PROPOSE_WITHIN: Duration = Duration::from_secs(5);

/// How long the leader may take to find out whether it leads.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// What is wanted of the leader.
enum Work {
    Propose(Proposal),
    Read,
}

/// How one try ended.
enum Tried {
    /// The entry to wait for.
    Done(u64),
    /// It is of no use to try again.
    Failed(ProposeError),
    /// Another try may go well. `maybe`: this one may have, unheard.
    Again { maybe: bool },
}

impl Store {
    /// Has the command agreed on with the others; it is applied here when this returns. However often it is asked for, it
    /// takes effect once.
    pub(super) async fn propose_with_others(&self, command: Command) -> Result<u64, ProposeError> {
        let json = propose::json(&command)?;
        let ticket = self.session.enter();
        let proposal = Proposal::shared(command, Some(ticket.request), json);
        match timeout(WITHIN, self.persist(Work::Propose(proposal))).await {
            Ok(index) => index,
            Err(_) => Err(ProposeError::Unknown { leader: None }),
        }
    }

    /// Returns when the view has all that was agreed on before the call.
    pub(super) async fn read_with_others(&self) -> Result<(), ProposeError> {
        match timeout(WITHIN, self.persist(Work::Read)).await {
            Ok(index) => index.map(|_| ()),
            Err(_) => Err(ProposeError::NotLeader { leader: None }),
        }
    }

    async fn persist(&self, work: Work) -> Result<u64, ProposeError> {
        let mut leadership = self.shared.leadership.subscribe();
        let mut maybe_done = false;
        loop {
            // Without a core nothing can be applied here.
            self.shared.raft()?;
            let Some((leader, term)) = self.await_leader(&mut leadership).await else {
                return Err(match maybe_done && matches!(work, Work::Propose(_)) {
                    true => ProposeError::Unknown { leader: None },
                    false => ProposeError::NotLeader { leader: None },
                });
            };
            let tried = tokio::select! {
                tried = self.attempt(&leader, &work) => tried,
                () = another_leads(&mut leadership, leader.raft_id, term) => Tried::Again { maybe: true },
            };
            match tried {
                Tried::Done(index) => return self.reach(index).await,
                Tried::Failed(error) => return Err(error),
                Tried::Again { maybe } => maybe_done |= maybe,
            }
            // Whichever is first: news, or time.
            let _either = timeout(PAUSE, leadership.changed()).await;
        }
    }

    /// The leader and its term, once there is one; `None` if that takes too long.
    async fn await_leader(
        &self,
        leadership: &mut watch::Receiver<Leadership>,
    ) -> Option<(Member, u64)> {
        let patience = match self.is_initialized() && !*self.dismissed().borrow() {
            true => LEADERLESS,
            false => Duration::ZERO,
        };
        let is_led = |now: &Leadership| now.leader.is_some();
        let led = timeout(patience, leadership.wait_for(is_led))
            .await
            .ok()?
            .ok()?;
        let term = led.term;
        led.leader.clone().map(|leader| (leader, term))
    }

    async fn attempt(&self, leader: &Member, work: &Work) -> Tried {
        let done = match (leader.raft_id == self.raft_id, work) {
            (true, Work::Propose(proposal)) => self.write_here(proposal).await,
            (true, Work::Read) => self.confirm_here().await,
            (false, Work::Propose(proposal)) => self.write_there(leader, proposal).await,
            (false, Work::Read) => {
                let question = || self.read_there(leader);
                let asked = self.questions.ask(question).await;
                asked.unwrap_or(Err(ProposeError::Unknown { leader: None }))
            }
        };
        match done {
            Ok(index) => Tried::Done(index),
            Err(ProposeError::NotLeader { .. }) => Tried::Again { maybe: false },
            // A leader whose disk fails ends, and another takes its place.
            Err(ProposeError::Unknown { .. } | ProposeError::Disk(_)) => {
                Tried::Again { maybe: true }
            }
            Err(error) => Tried::Failed(error),
        }
    }

    async fn write_here(&self, proposal: &Proposal) -> Result<u64, ProposeError> {
        propose::check_space(&self.folder, self.reserve)?;
        let _waiting = self.shared.pace.enter();
        propose::write(&self.shared.raft()?, proposal.clone()).await
    }

    /// Nothing is left to wait for.
    async fn confirm_here(&self) -> Result<u64, ProposeError> {
        propose::confirm(&self.shared.raft()?).await.map(|()| 0)
    }

    async fn write_there(&self, leader: &Member, proposal: &Proposal) -> Result<u64, ProposeError> {
        let (to, Some(request)) = (leader.raft_id, proposal.request) else {
            return Err(ProposeError::Unknown { leader: None });
        };
        let json = proposal.share_json().map_err(unreadable)?;
        let question = ProposeQuestion {
            to,
            request,
            command: &json,
        };
        let body = encode(&question).map_err(unreadable)?;
        self.ask_leader(leader, Ask::Propose, body, PROPOSE_WITHIN)
            .await
    }

    async fn read_there(&self, leader: &Member) -> Result<u64, ProposeError> {
        let to = leader.raft_id;
        let body = encode(&ReadQuestion::of(to)).map_err(unreadable)?;
        self.ask_leader(leader, Ask::ReadIndex, body, READ_WITHIN)
            .await
    }

    async fn ask_leader(
        &self,
        leader: &Member,
        ask: Ask,
        body: Bytes,
        within: Duration,
    ) -> Result<u64, ProposeError> {
        let (transport, roster) = (self.transport.as_ref(), &self.shared.roster);
        let answer = question::put::<LeaderAnswer>(transport, roster, leader, ask, body, within);
        match answer.await {
            Ok(answer) => answer.into(),
            Err(Unanswered::Refused(refusal)) => {
                tracing::debug!(leader = leader.raft_id, %refusal, "the leader refused");
                Err(ProposeError::NotLeader { leader: None })
            }
            Err(Unanswered::Record(error)) => Err(unreadable(error)),
            Err(error) => {
                tracing::debug!(leader = leader.raft_id, %error, "the leader gave no answer");
                Err(ProposeError::Unknown { leader: None })
            }
        }
    }

    async fn reach(&self, index: u64) -> Result<u64, ProposeError> {
        let mut dismissed = self.dismissed();
        tokio::select! {
            reached = self.shared.feed.reach(index) => match reached {
                true => Ok(index),
                false => Err(ProposeError::Closed),
            },
            // It was agreed on, and is never seen here.
            Ok(_) = dismissed.wait_for(|gone| *gone) => Err(ProposeError::Unknown { leader: None }),
        }
    }
}

fn unreadable(error: impl std::fmt::Display) -> ProposeError {
    tracing::error!(%error, "a message cannot be written or read");
    ProposeError::Unknown { leader: None }
}

/// Returns when another leads, or the same one was elected again.
async fn another_leads(leadership: &mut watch::Receiver<Leadership>, raft_id: u64, term: u64) {
    let other = |now: &Leadership| {
        let leader = now.leader.as_ref();
        leader.is_some_and(|leader| leader.raft_id != raft_id || now.term != term)
    };
    if leadership.wait_for(other).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Questions that many share: whoever comes while one is under way is served by the next, which begins after it
/// came.
#[derive(Debug, Default)]
pub(super) struct Questions {
    begun: AtomicU64,
    /// The number of the last question that was answered, and its answer.
    answered: tokio::sync::Mutex<(u64, Option<u64>)>,
}

impl Questions {
    /// The answer to a question that was put after this was called; `None`: somebody else's failed.
    async fn ask<F: Future<Output = Result<u64, ProposeError>>>(
        &self,
        question: impl FnOnce() -> F,
    ) -> Option<Result<u64, ProposeError>> {
        let begun = self.begun.load(Ordering::SeqCst);
        let mut answered = self.answered.lock().await;
        if answered.0 > begun {
            return answered.1.map(Ok);
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = question().await;
        *answered = (number, answer.as_ref().ok().copied());
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn whoever_comes_while_a_question_is_under_way_shares_the_next_one() {
        let questions = Arc::new(Questions::default());
        let put = Arc::new(AtomicU64::new(0));
        let ask = || {
            let (questions, put) = (questions.clone(), put.clone());
            tokio::spawn(async move {
                let question = || async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Ok(put.fetch_add(1, Ordering::SeqCst) + 1)
                };
                questions.ask(question).await.unwrap().unwrap()
            })
        };
        let first = ask();
        tokio::time::sleep(Duration::from_millis(10)).await;
        let rest: Vec<_> = (0..20).map(|_| ask()).collect();
        assert_eq!(first.await.unwrap(), 1);
        for asked in rest {
            assert_eq!(asked.await.unwrap(), 2);
        }
        assert_eq!(put.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_leaves_the_way_free() {
        let questions = Questions::default();
        let never = || std::future::pending();
        let given_up = timeout(Duration::from_millis(10), questions.ask(never)).await;
        assert!(given_up.is_err());
        let answer = questions.ask(|| async { Ok(3) }).await;
        assert_eq!(answer.unwrap().unwrap(), 3);
    }
}
