//! Who leads, as this member knows it, and what follows from the membership.

use crate::error::Member;
use crate::raft::{Raft, Types};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use tokio::sync::watch;

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

/// Follows the core until it ends, or all who listen are gone. Meanwhile:
///
/// - `leadership` tells who leads;
/// - the core's clock ticks only while there is anybody to hear it. Ticks drive heartbeats and
///   elections; a lone voter needs neither, and is to cost nothing when nothing happens.
pub(crate) async fn follow(raft: Raft, leadership: watch::Sender<Leadership>) {
    let mut metrics = raft.server_metrics();
    loop {
        let (now, alone) = {
            let metrics = metrics.borrow_watched();
            (read(&metrics), is_alone(&metrics))
        };
        raft.runtime_config().tick(!alone);
        leadership.send_if_modified(|known| {
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
