//! Who leads, as this member knows it, and what follows from the membership.

use crate::current::Shared;
use crate::error::{Error, Member};
use crate::raft::{Raft, Types};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a lone voter may take to take the lead: two syncs, on a disk that others use too.
const LEAD_WITHIN: Duration = Duration::from_secs(30);

/// Who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Whether this member does.
    pub is_leader: bool,
    /// The term of the vote this member gave last.
    pub term: u64,
    /// The leader, if one is known.
    pub leader: Option<Member>,
}

/// Follows the core until it ends. Meanwhile:
///
/// - `shared.leadership` tells who leads;
/// - the core's clock ticks only while there is anybody to hear it. Ticks drive heartbeats and
///   elections; a lone voter needs neither, and is to cost nothing when nothing happens;
/// - `shared.pace` knows whether the core could do anything else while the disk is busy.
pub(crate) async fn follow(raft: Raft, shared: Arc<Shared>) {
    let mut metrics = raft.server_metrics();
    loop {
        let (now, alone) = {
            let metrics = metrics.borrow_watched();
            (read(&metrics), is_alone(&metrics))
        };
        raft.runtime_config().tick(!alone);
        shared.pace.set_alone(alone);
        shared.leadership.send_if_modified(|known| {
            let changed = *known != now;
            if changed {
                tracing::info!(
                    term = now.term,
                    leader = now.leader.as_ref().map(|member| member.raft_id),
                    is_leader = now.is_leader,
                    "leadership changed"
                );
                *known = now;
            }
            changed
        });
        if metrics.changed().await.is_err() {
            return;
        }
    }
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
    // The first entry of its own term comes after all others in the log.
    let leads = |metrics: &openraft::RaftMetrics<Types>| {
        let applied = metrics.last_applied.map(|id| id.leader_id.term);
        metrics.state == ServerState::Leader && applied == Some(metrics.current_term)
    };
    let wait = raft.wait(Some(LEAD_WITHIN));
    let led = wait.metrics(leads, "lone voter leads").await;
    led.map(|_| ()).map_err(consensus)
}

pub(crate) fn consensus(error: impl std::fmt::Display) -> Error {
    Error::Consensus(error.to_string())
}

/// Whether the member at hand is all there is, so far as it knows.
fn is_alone(metrics: &RaftServerMetrics<Types>) -> bool {
    metrics
        .membership_config
        .nodes()
        .all(|(id, _)| *id == metrics.id)
}

fn read(metrics: &RaftServerMetrics<Types>) -> Leadership {
    let leader = metrics.current_leader.map(|raft_id| Member {
        raft_id,
        address: metrics
            .membership_config
            .get_node(&raft_id)
            .cloned()
            .unwrap_or_default(),
    });
    Leadership {
        is_leader: metrics.state == ServerState::Leader,
        term: metrics.vote.leader_id.term,
        leader,
    }
}
