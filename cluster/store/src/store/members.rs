//! Who belongs to the agreement: changed by the leader, one change at a time.
//!
//! ```text
//!   admit     nobody ──▶ learner ──(has caught up)──▶ voter
//!   dismiss   voter ──▶ learner ──(knows it)──▶ gone for ever
//! ```
//!
//! Each step is agreed on by itself, so whoever was interrupted between two of them asks again.

use super::{Store, propose};
use crate::error::{Member, MembershipError, ProposeError};
use crate::raft::{Membership, Raft, Types};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant as _, RaftMetrics};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// A learner that is no further behind than so many entries votes from now on: it has these before it is asked.
const NEAR: u64 = 64;

/// A learner that takes nothing for so long is not waited for.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(15);

/// How long one step may take to be agreed on.
const STEP_WITHIN: Duration = Duration::from_secs(15);

/// How long a member that is dismissed may take to hear of it.
const HEAR_WITHIN: Duration = Duration::from_secs(1);

/// How long another may take to take the lead.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(3);

const PAUSE: Duration = Duration::from_millis(10);

/// A member, as the one sees it that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    pub raft_id: u64,
    pub address: String,
    /// Whether its word counts.
    pub is_voter: bool,
    /// Whether it answered lately. Only the leader knows.
    pub is_reachable: Option<bool>,
    /// Up to where it is known to have the log. Only the leader knows.
    pub matched: Option<u64>,
}

impl Store {
    /// All members, by number.
    pub fn members(&self) -> Vec<MemberView> {
        let Ok(raft) = self.shared.raft() else {
            return Vec::new();
        };
        let leads = self.shared.leadership.borrow().is_leader;
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let view = |(raft_id, address): (&u64, &String)| MemberView {
            raft_id: *raft_id,
            address: address.clone(),
            is_voter: voters.contains(raft_id),
            is_reachable: leads.then(|| self.is_reachable(&metrics, *raft_id)),
            matched: matched(&metrics, *raft_id).filter(|_| leads),
        };
        membership.nodes().map(view).collect()
    }

    fn is_reachable(&self, metrics: &RaftMetrics<Types>, raft_id: u64) -> bool {
        let heartbeats = metrics.heartbeat.as_ref();
        let heard = heartbeats.and_then(|heard| heard.get(&raft_id).copied().flatten());
        raft_id == self.raft_id || heard.is_some_and(|at| at.elapsed() < self.timing.patience())
    }

    /// Whether this member was dismissed. From then on it stands for no election and is refused by all others.
    pub fn dismissed(&self) -> watch::Receiver<bool> {
        self.shared.roster.dismissed()
    }

    /// Lets a member in: it gets the log, and votes once it has it. One that votes already only gets its address.
    ///
    /// A number is used once: whoever was dismissed comes back under another, with an empty folder. Call again after an
    /// error to go on.
    pub async fn admit(&self, member: &Member) -> Result<(), MembershipError> {
        let _turn = self.shared.turn.lock().await;
        let raft = self.leading()?;
        if self.shared.roster.has_left(member.raft_id) {
            return Err(MembershipError::Departed(member.raft_id));
        }
        let now = settled(&raft).await?;
        if now.get_node(&member.raft_id) != Some(&member.address) {
            let address = BTreeMap::from([(member.raft_id, member.address.clone())]);
            step(&raft, ChangeMembers::SetNodes(address)).await?;
        }
        if !now.voter_ids().any(|voter| voter == member.raft_id) {
            self.catch_up(&raft, member.raft_id).await?;
            let voter = BTreeSet::from([member.raft_id]);
            step(&raft, ChangeMembers::AddVoterIds(voter)).await?;
        }
        tracing::info!(
            raft_id = member.raft_id,
            addr = member.address,
            "member admitted"
        );
        Ok(())
    }

    /// Waits until a member has the log, but for the last entries.
    async fn catch_up(&self, raft: &Raft, raft_id: u64) -> Result<(), MembershipError> {
        let mut progress = (None, Instant::now());
        loop {
            let (matched, last) = {
                let metrics = raft.metrics();
                let metrics = metrics.borrow_watched();
                (
                    matched(&metrics, raft_id),
                    metrics.last_log_index.unwrap_or_default(),
                )
            };
            if matched.is_some_and(|matched| matched + NEAR >= last) {
                return Ok(());
            }
            self.leading()?;
            if matched > progress.0 {
                progress = (matched, Instant::now());
            }
            if progress.1.elapsed() > CATCH_UP_WITHIN {
                return Err(MembershipError::Behind {
                    raft_id,
                    matched,
                    last,
                });
            }
            sleep(PAUSE).await;
        }
    }

    /// Sends a member away for ever: its word counts no more, it gets no entry, and it is refused when it asks. A leader
    /// that is to go hands over, and says who leads: that one is to be asked.
    pub async fn dismiss(&self, raft_id: u64) -> Result<(), MembershipError> {
        if raft_id == self.raft_id {
            self.leading()?;
            let leader = self.hand_over().await?;
            return Err(MembershipError::NotLeader {
                leader: Some(leader),
            });
        }
        let _turn = self.shared.turn.lock().await;
        let raft = self.leading()?;
        let now = settled(&raft).await?;
        if now.voter_ids().any(|voter| voter == raft_id) {
            let voter = BTreeSet::from([raft_id]);
            let index = step(&raft, ChangeMembers::RemoveVoters(voter)).await?;
            let heard = has_heard(&raft, raft_id, index);
            // If it is gone it learns it when it asks.
            let _gone = timeout(HEAR_WITHIN, heard).await;
        }
        if now.get_node(&raft_id).is_some() {
            step(&raft, ChangeMembers::RemoveNodes(BTreeSet::from([raft_id]))).await?;
            tracing::info!(raft_id, "member dismissed");
        }
        Ok(())
    }

    /// Notes where a member is now.
    pub async fn readdress(&self, member: &Member) -> Result<(), MembershipError> {
        let _turn = self.shared.turn.lock().await;
        let raft = self.leading()?;
        let now = settled(&raft).await?;
        match now.get_node(&member.raft_id) {
            None => Err(MembershipError::Unknown(member.raft_id)),
            Some(address) if *address == member.address => Ok(()),
            Some(_) => {
                let address = BTreeMap::from([(member.raft_id, member.address.clone())]);
                step(&raft, ChangeMembers::SetNodes(address)).await?;
                Ok(())
            }
        }
    }

    /// Gives the lead to the voter that is furthest of those that answer; returns who leads then. From the attempt on this
    /// member takes no commands; if nobody takes over in time the others elect somebody by themselves.
    pub async fn hand_over(&self) -> Result<Member, MembershipError> {
        self.hand_over_but(&BTreeSet::new()).await
    }

    /// As [`Store::hand_over`], but to none of these members.
    pub async fn hand_over_but(
        &self,
        but_not_to: &BTreeSet<u64>,
    ) -> Result<Member, MembershipError> {
        // Not held up by a change of membership: whoever is at it learns that this member leads no more.
        let raft = self.leading()?;
        let others = self.members().into_iter().filter(|member| {
            let is_other = member.raft_id != self.raft_id && !but_not_to.contains(&member.raft_id);
            member.is_voter && member.is_reachable == Some(true) && is_other
        });
        let next = others.max_by_key(|member| member.matched);
        let next = next.ok_or(MembershipError::NobodyElse)?;
        let mut leadership = self.shared.leadership.subscribe();
        let begun = raft.trigger().transfer_leader(next.raft_id).await;
        begun.map_err(|error| MembershipError::Store(propose::fatal(error)))?;
        let taken = leadership.wait_for(|now| {
            let leader = now.leader.as_ref();
            leader.is_some_and(|leader| leader.raft_id != self.raft_id)
        });
        match timeout(HAND_OVER_WITHIN, taken).await {
            Ok(Ok(now)) => now.leader.clone().ok_or(MembershipError::NobodyElse),
            Ok(Err(_)) => Err(MembershipError::Store(ProposeError::Closed)),
            Err(_) => Err(MembershipError::NotTaken(next.raft_id)),
        }
    }

    /// The core, if it leads.
    fn leading(&self) -> Result<Raft, MembershipError> {
        let raft = self.shared.raft()?;
        let leadership = self.shared.leadership.borrow();
        match leadership.is_leader {
            true => Ok(raft),
            false => Err(MembershipError::NotLeader {
                leader: leadership.leader.clone(),
            }),
        }
    }
}

fn matched(metrics: &RaftMetrics<Types>, raft_id: u64) -> Option<u64> {
    let replication = metrics.replication.as_ref()?;
    replication.get(&raft_id)?.map(|at| at.index)
}

async fn has_heard(raft: &Raft, raft_id: u64, index: u64) {
    let hears = |raft: &Raft| {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        matched(&metrics, raft_id).is_some_and(|matched| matched >= index)
    };
    while !hears(raft) {
        sleep(PAUSE).await;
    }
}

/// The membership, after a change that another leader left half way was brought to its end.
async fn settled(raft: &Raft) -> Result<Membership, MembershipError> {
    let now = current(raft).await?;
    if now.get_joint_config().len() > 1 {
        step(raft, ChangeMembers::AddVoterIds(BTreeSet::new())).await?;
        return current(raft).await;
    }
    Ok(now)
}

async fn current(raft: &Raft) -> Result<Membership, MembershipError> {
    let effective = raft.with_raft_state(|state| {
        let membership = state.membership_state.effective();
        membership.membership().clone()
    });
    let effective = effective.await;
    effective.map_err(|error| MembershipError::Store(propose::fatal(error)))
}

/// One change, from asking for it until it is in force; whoever does not vote any more stays as a learner. Returns its
/// entry. While the change before is not agreed on yet, it waits for that.
async fn step(raft: &Raft, change: ChangeMembers<u64, String>) -> Result<u64, MembershipError> {
    let until_made = async {
        loop {
            match raft.change_membership(change.clone(), true).await {
                Ok(made) => return Ok(made.log_id.index),
                Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                    ChangeMembershipError::InProgress(_),
                ))) => sleep(PAUSE).await,
                Err(error) => return Err(refused(error)),
            }
        }
    };
    let made = timeout(STEP_WITHIN, until_made).await;
    made.unwrap_or(Err(MembershipError::Undecided))
}

fn refused(error: RaftError<Types, ClientWriteError<Types>>) -> MembershipError {
    match error {
        RaftError::Fatal(error) => MembershipError::Store(propose::fatal(error)),
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => MembershipError::NotLeader {
            leader: propose::leader(to),
        },
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => MembershipError::Undecided,
        RaftError::APIError(error) => MembershipError::Refused(error.to_string()),
    }
}
