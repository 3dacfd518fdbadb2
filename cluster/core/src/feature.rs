//! When the swarm's feature level rises: once all its managers have known a higher one for a while.
//!
//! Levels themselves are explained in [`swarmrs_types::feature`]. A manager says its level to the leader with each sign of life,
//! so one that was put back to an older release takes its word back by itself. The while is for whoever upgrades: until it
//! is over every manager may go back to the release it came from, afterwards its data is of the newer one.

use crate::plan::{Draft, Plan};
use crate::roles::Member;
use crate::state::State;
use std::collections::BTreeMap;
use std::time::Duration;
use swarmrs_types::{ClusterTime, NodeId};

/// How long all managers must have known a level. Long enough to look whether an upgrade went well, short enough
/// that nobody waits for what it brings.
pub const SETTLED: Duration = Duration::from_secs(600);

/// What the leader remembers of a rise to come. A new leader begins anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rise {
    /// The level that all managers know, and since when.
    pending: Option<(u32, ClusterTime)>,
}

impl Rise {
    /// The rise that is due, or an empty plan. `told` is what the managers said last, by node: none said means 0, and a
    /// member that does not answer now says nothing.
    pub fn due(
        &mut self,
        state: &State,
        members: &[Member],
        told: &BTreeMap<NodeId, u32>,
        now: ClusterTime,
    ) -> Plan {
        let mut draft = Draft::new(state, now);
        let common = common(state, members, told);
        let (Some(cluster), true) = (state.cluster(), common > state.level()) else {
            self.pending = None;
            return draft.finish();
        };
        let since = match self.pending {
            Some((level, since)) if level == common => since,
            _ => now,
        };
        self.pending = Some((common, since));
        if now.since(since) >= SETTLED {
            let mut risen = (**cluster).clone();
            risen.level = common;
            draft.put_cluster(risen);
        }
        draft.finish()
    }
}

/// The highest level that all members know.
fn common(state: &State, members: &[Member], told: &BTreeMap<NodeId, u32>) -> u32 {
    let level = |member: &Member| {
        let node = state.node_of_member(member.raft_id)?;
        told.get(&node.id).copied().filter(|_| member.reachable)
    };
    let levels = members
        .iter()
        .map(|member| level(member).unwrap_or_default());
    levels.min().unwrap_or_default()
}

#[cfg(test)]
mod tests;
