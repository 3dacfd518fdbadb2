//! Giving the state to a member whose own is another, and being given it ([`crate::start_over`]).

use super::Store;
use super::several::PROPOSE_WITHIN;
use crate::raft::Raft;
use crate::raft_network::Peer;
use crate::reception::{Progress, Reception};
use crate::start_over::Given;
use crate::wire::{Refusal, SnapshotAnswer, VoteWire};
use openraft::async_runtime::watch::WatchReceiver;
use std::error::Error;

impl Store {
    /// Sends the state up to entry `index`, or further, to a member whose own is another. Goes on though nobody waits for
    /// it; whoever gets nothing asks again.
    pub(super) fn give_state(&self, core: Raft, to: u64, index: u64) {
        let shared = self.shared.clone();
        let others = shared.roster.others();
        let Some(to) = others.into_iter().find(|member| member.raft_id == to) else {
            return;
        };
        tracing::warn!(
            to = to.raft_id,
            "its state is not this leader's, which it is sent"
        );
        let (roster, sums) = (shared.roster.clone(), shared.sums.clone());
        let peer = Peer::new(to, self.transport.clone(), roster, sums);
        tokio::spawn(async move {
            let Ok(_turn) = shared.starting_over.giving.try_lock() else {
                return;
            };
            if let Err(error) = give(core, peer, index).await {
                tracing::warn!(%error, "the state did not get through");
            }
        });
    }

    /// Takes what has come of the leader's state, which this member asked for.
    pub(super) fn hear_state(
        &self,
        reception: &mut Option<Reception>,
        vote: VoteWire,
        progress: Progress,
    ) -> Result<SnapshotAnswer, Refusal> {
        if !self.shared.sums.differ() {
            *reception = None;
            return Err(Refusal::Unready("its state is the leader's".to_owned()));
        }
        let (given, answer) = match progress {
            Progress::Wanted(offset) => (Given::Part, SnapshotAnswer::Wanted { offset }),
            Progress::Whole(bytes) => {
                *reception = None;
                (Given::Whole(bytes.into()), SnapshotAnswer::Done { vote })
            }
            Progress::Taking => return Ok(SnapshotAnswer::Done { vote }),
        };
        self.shared.starting_over.given.send_replace(given);
        Ok(answer)
    }
}

async fn give(core: Raft, mut peer: Peer, index: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    let wait = core.wait(Some(PROPOSE_WITHIN));
    wait.applied_index_at_least(Some(index), "what is agreed on")
        .await?;
    let builder = core.with_state_machine(|machine| {
        let builder = machine.builder();
        Box::pin(async { builder })
    });
    let state = builder.await?.for_another().await?;
    let vote = core.metrics().borrow_watched().vote;
    peer.send(vote, &state.meta, &state.snapshot, true).await?;
    Ok(())
}
