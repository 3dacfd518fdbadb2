//! Who leads, as this member knows it, and what follows from the membership.
//!
//! The consensus core calls a member leader until another is known. A leader that no quorum has answered for long may have
//! been replaced already, and a follower that hears nothing has no leader to turn to: here neither counts after twice the
//! time of a lease. (One lease without an answer may be a slow disk; the core takes no commands meanwhile, and whoever
//! proposes tries again.) A member whose state is not the leader's has no leader either: it is out of service.

use crate::config::Timing;
use crate::current::Shared;
use crate::error::{Error, Member};
use crate::question;
use crate::raft::{Membership, Raft, Types};
use crate::start_over;
use crate::transport::{Ask, Transport};
use crate::wire::{LeaderAnswer, ReadQuestion, encode};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{ChangeMembers, Instant, RaftMetrics, ServerState};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a lone voter may take to take the lead: two syncs, on a disk that others use too.
const LEAD_WITHIN: Duration = Duration::from_secs(30);

/// Between two times that a member without a leader asks whether it still belongs to the others, and how long each may
/// take to answer.
const KNOCK: Duration = Duration::from_millis(500);

/// Who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Whether this member does: a quorum has heard it lately, and its view has all that was agreed on before it
    /// took the lead.
    pub is_leader: bool,
    /// The term of the vote this member gave last.
    pub term: u64,
    /// The leader, if one is known and was heard lately.
    pub leader: Option<Member>,
}

/// Where the core stands.
struct Seen {
    leadership: Leadership,
    /// There is no other member.
    is_alone: bool,
    /// There is no other voter.
    is_sole_voter: bool,
    /// The core leads.
    is_led_here: bool,
    is_initialized: bool,
    /// A change of membership stands half way.
    is_joint: bool,
    /// It belongs to others, has no vote, and hears no leader: it may have been dismissed.
    is_forlorn: bool,
    /// When this may become wrong by itself.
    look_again: Option<Duration>,
}

/// Follows the core until it ends. Meanwhile:
///
/// - `shared.leadership` tells who leads;
/// - the core's clock ticks only while there is anybody to hear it. Ticks drive heartbeats and elections; a member
///   that leads itself alone, or waits to be admitted, needs neither, and is to cost nothing when nothing happens;
/// - `shared.pace` knows whether the core could do anything else while the disk is busy;
/// - a change of membership that the leader before left half way is brought to its end.
pub(crate) async fn follow(
    raft: Raft,
    shared: Arc<Shared>,
    timing: Timing,
    transport: Arc<dyn Transport>,
) {
    let mut server = raft.server_metrics();
    let mut data = raft.data_metrics();
    let mut dismissed = shared.roster.dismissed();
    let mut differing = shared.sums.differing();
    let mut handed_on = None;
    loop {
        differing.borrow_and_update();
        let seen = look(&raft, &shared, timing);
        let is_dismissed = *dismissed.borrow_and_update();
        heed(&raft, &shared, &seen, is_dismissed);
        start_over::hand_on(&raft, &shared, &mut handed_on).await;
        let is_unconfirmed = seen.is_led_here && !seen.leadership.is_leader;
        let alive = tokio::select! {
            changed = server.changed() => changed.is_ok(),
            changed = data.changed(), if is_unconfirmed => changed.is_ok(),
            () = shared.heard.again() => true,
            _ = dismissed.changed(), if !is_dismissed => true,
            changed = differing.changed() => changed.is_ok(),
            () = pause(seen.look_again), if seen.look_again.is_some() => true,
            () = knock(&shared, transport.as_ref()), if seen.is_forlorn && !is_dismissed => true,
        };
        if !alive {
            return;
        }
    }
}

/// Asks all whom this member knows how far they are, after a while: if it was dismissed, they say so. One that votes
/// needs not, since it hears it when it stands for election.
async fn knock(shared: &Shared, transport: &dyn Transport) {
    tokio::time::sleep(KNOCK).await;
    for member in shared.roster.others() {
        let to = member.raft_id;
        let Ok(body) = encode(&ReadQuestion::of(to)) else {
            continue;
        };
        let roster = &shared.roster;
        let asked = question::put(transport, roster, &member, Ask::ReadIndex, body, KNOCK);
        // How far they are is of no interest.
        let _answer: Result<LeaderAnswer, _> = asked.await;
    }
}

async fn pause(time: Option<Duration>) {
    tokio::time::sleep(time.unwrap_or_default()).await;
}

/// Looks once.
pub(crate) fn observe(raft: &Raft, shared: &Arc<Shared>, timing: Timing) {
    let seen = look(raft, shared, timing);
    let is_dismissed = *shared.roster.dismissed().borrow();
    heed(raft, shared, &seen, is_dismissed);
}

fn heed(raft: &Raft, shared: &Arc<Shared>, seen: &Seen, is_dismissed: bool) {
    let needs_nobody = seen.is_alone && (seen.is_led_here || !seen.is_initialized);
    raft.runtime_config().tick(!needs_nobody && !is_dismissed);
    raft.runtime_config()
        .elect(!is_dismissed && !shared.sums.differ());
    shared.pace.set_alone(seen.is_alone);
    shared.alone.store(seen.is_sole_voter, Ordering::Release);
    if seen.is_initialized {
        shared.initialized.store(true, Ordering::Release);
    }
    if seen.is_joint && seen.leadership.is_leader {
        finish_change(raft.clone(), shared.clone());
    }
    let now = &seen.leadership;
    shared.leadership.send_if_modified(|known| {
        let changed = known != now;
        if changed {
            tracing::info!(
                term = now.term,
                leader = now.leader.as_ref().map(|member| member.raft_id),
                is_leader = now.is_leader,
                "leadership changed"
            );
            *known = now.clone();
        }
        changed
    });
}

fn look(raft: &Raft, shared: &Shared, timing: Timing) -> Seen {
    let metrics = raft.metrics();
    // Held for a moment only: the core waits for it.
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    let nodes = membership.nodes();
    shared
        .roster
        .set_addresses(nodes.map(|(id, at)| (*id, at.clone())).collect());
    let is_sole_voter = membership.voter_ids().eq([metrics.id]);
    let is_led_here = metrics.state == ServerState::Leader;
    let (leadership, look_again) = match is_led_here {
        true => leading(&metrics, is_sole_voter, timing),
        false => following(&metrics, shared.heard.silence(), timing),
    };
    let is_initialized = metrics.last_log_index.is_some();
    let is_voter = membership.voter_ids().any(|voter| voter == metrics.id);
    let is_forlorn = is_initialized && !is_voter && leadership.leader.is_none();
    let leadership = match shared.sums.differ() {
        true => Leadership {
            term: leadership.term,
            ..Leadership::default()
        },
        false => leadership,
    };
    Seen {
        is_forlorn,
        leadership,
        is_alone: is_alone(membership, metrics.id),
        is_sole_voter,
        is_led_here,
        is_initialized,
        is_joint: membership.get_joint_config().len() > 1,
        look_again,
    }
}

/// A leader counts as one while it is answered, and once it has applied all that was in the log before.
fn leading(
    metrics: &RaftMetrics<Types>,
    is_sole_voter: bool,
    timing: Timing,
) -> (Leadership, Option<Duration>) {
    let acknowledged = metrics.last_quorum_acked.map(|at| at.elapsed());
    let left = acknowledged.and_then(|age| left_of(timing.patience(), age));
    let is_leader = has_applied_all(metrics) && (is_sole_voter || left.is_some());
    let leadership = Leadership {
        is_leader,
        term: metrics.current_term,
        leader: is_leader.then(|| member(metrics, metrics.id)),
    };
    let look_again = left.filter(|_| is_leader && !is_sole_voter);
    (leadership, look_again)
}

/// The first entry of a leader's own term comes after all others in the log.
fn has_applied_all(metrics: &RaftMetrics<Types>) -> bool {
    let applied = metrics.last_applied.map(|id| id.leader_id.term);
    applied == Some(metrics.current_term)
}

/// A leader that is not heard any more is not known: the others elect another, or cannot.
fn following(
    metrics: &RaftMetrics<Types>,
    silence: Option<Duration>,
    timing: Timing,
) -> (Leadership, Option<Duration>) {
    let left = silence.and_then(|silence| left_of(timing.patience(), silence));
    let leader = metrics.current_leader.filter(|id| *id != metrics.id);
    let leader = leader.filter(|_| left.is_some());
    let leadership = Leadership {
        is_leader: false,
        term: metrics.vote.leader_id.term,
        leader: leader.map(|id| member(metrics, id)),
    };
    (leadership, left.filter(|_| leader.is_some()))
}

/// What is left of a time after another, if anything is.
fn left_of(time: Duration, gone: Duration) -> Option<Duration> {
    time.checked_sub(gone).filter(|left| !left.is_zero())
}

fn member(metrics: &RaftMetrics<Types>, raft_id: u64) -> Member {
    let address = metrics.membership_config.get_node(&raft_id).cloned();
    Member {
        raft_id,
        address: address.unwrap_or_default(),
    }
}

/// Whether the member at hand is all there is, so far as it knows.
fn is_alone(membership: &Membership, raft_id: u64) -> bool {
    membership.nodes().all(|(id, _)| *id == raft_id)
}

/// Brings a change of membership to its end that stands between two sets of voters. What was to leave stays as a
/// learner, until whoever wanted it out asks again. Not while somebody is at it.
fn finish_change(raft: Raft, shared: Arc<Shared>) {
    tokio::spawn(async move {
        let Ok(_turn) = shared.turn.try_lock() else {
            return;
        };
        let nothing_more = ChangeMembers::AddVoterIds(BTreeSet::new());
        if let Err(error) = raft.change_membership(nothing_more, true).await {
            tracing::debug!(%error, "the change of membership is not at its end yet");
        }
    });
}

/// Stands for election if no other member's word is needed, which a lone voter does not do by itself:
/// its clock stands still. Returns when it leads and has applied all of its log.
pub(crate) async fn lead_if_alone(raft: &Raft, raft_id: u64, shared: &Shared) -> Result<(), Error> {
    // The core itself is asked: its metrics may still be those of a member that knows nothing.
    let alone = raft.with_raft_state(move |state| {
        let membership = state.membership_state.effective();
        membership.voter_ids().eq([raft_id])
    });
    let alone = alone.await.map_err(consensus)?;
    shared.alone.store(alone, Ordering::Release);
    if alone {
        raft.trigger().elect(false).await.map_err(consensus)?;
        leads(raft).await?;
    }
    Ok(())
}

/// Waits until this member leads and has applied everything in the log.
pub(crate) async fn leads(raft: &Raft) -> Result<(), Error> {
    let leads = |metrics: &RaftMetrics<Types>| {
        metrics.state == ServerState::Leader && has_applied_all(metrics)
    };
    let wait = raft.wait(Some(LEAD_WITHIN));
    let led = wait.metrics(leads, "lone voter leads").await;
    led.map(|_| ()).map_err(consensus)
}

pub(crate) fn consensus(error: impl std::fmt::Display) -> Error {
    Error::Consensus(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_ends_right_now_is_over() {
        let (lease, moment) = (Duration::from_secs(1), Duration::from_nanos(1));
        assert_eq!(left_of(lease, lease - moment), Some(moment));
        assert_eq!(left_of(lease, lease), None);
        assert_eq!(left_of(lease, lease + moment), None);
    }
}
