//! Who leads while members differ: none of them, unless nobody else can.

use crate::current::Shared;
use crate::raft::{Raft, Types};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{RaftMetrics, ServerState};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// After so long without a leader nobody else will be one: an election takes a tenth of it.
const LEADERLESS: Duration = Duration::from_secs(5);

/// Between two times that the lead is handed on.
const HANDED_ON: Duration = Duration::from_secs(10);

/// Stands for election once, if nobody has led for long: whoever does not differ would have been first.
pub(super) async fn stand(raft: &Raft, shared: &Shared) {
    let silence = shared.heard.silence();
    let is_silent = silence.is_none_or(|silence| silence >= LEADERLESS);
    let is_alone = is_silent && !*shared.roster.dismissed().borrow();
    shared
        .starting_over
        .stands
        .store(is_alone, Ordering::Release);
    if is_alone {
        // An error means that the core has ended, which others see.
        let _ended = raft.trigger().elect(true).await;
    }
}

/// Has another lead, if the state here is not what the others have, unless nobody else would: then it is the one that
/// counts. When it did so last is kept in `handed_on`: of two who are so, none is to give the lead to the other over and
/// over.
pub(crate) async fn hand_on(raft: &Raft, shared: &Shared, handed_on: &mut Option<Instant>) {
    let differs = shared.sums.differ();
    if differs && leads(raft) && shared.starting_over.stands.load(Ordering::Acquire) {
        tracing::warn!("all who could lead differ from one that is lost: this state counts now");
        return shared.sums.acquit();
    }
    if !differs || handed_on.is_some_and(|at| at.elapsed() < HANDED_ON) {
        return;
    }
    let next = furthest(&raft.metrics().borrow_watched());
    if let Some(next) = next.filter(|_| leads(raft)) {
        *handed_on = Some(Instant::now());
        tracing::warn!(
            to = next,
            "the state here is not the others': the lead is handed on"
        );
        // An error means that the core has ended, which others see.
        let _ended = raft.trigger().transfer_leader(next).await;
    }
}

fn leads(raft: &Raft) -> bool {
    raft.metrics().borrow_watched().state == ServerState::Leader
}

/// The other voter that has most of the log.
fn furthest(metrics: &RaftMetrics<Types>) -> Option<u64> {
    let membership = metrics.membership_config.membership();
    let others = membership.voter_ids().filter(|voter| *voter != metrics.id);
    let matched = |voter: &u64| Some(metrics.replication.as_ref()?.get(voter)?.as_ref()?.index);
    others.max_by_key(matched)
}
