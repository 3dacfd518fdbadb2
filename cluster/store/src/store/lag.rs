//! Whether the leader's disk keeps up with the others': entries are agreed on as soon as a majority has them, be the leader
//! among it or not, so that a slow leader delays only what it alone has to write.

use super::Store;
use std::time::Duration;

/// A sync of the leader's log that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Counts syncs.
    pub sync: u64,
    pub age: Duration,
    /// Whether another voter has durably what this sync is to make durable here.
    pub is_overtaken: bool,
}

impl Store {
    /// The sync under way, if this member leads.
    pub fn lag(&self) -> Option<Lag> {
        let under_way = self.shared.measures.pulse.under_way()?;
        if !self.shared.leadership.borrow().is_leader {
            return None;
        }
        let others = self.members().into_iter();
        let mut voters = others.filter(|member| member.is_voter && member.raft_id != self.raft_id);
        let is_overtaken =
            voters.any(|voter| voter.is_reachable == Some(true) && voter.matched >= under_way.upto);
        Some(Lag {
            sync: under_way.number,
            age: under_way.age,
            is_overtaken: is_overtaken && under_way.upto.is_some(),
        })
    }
}
