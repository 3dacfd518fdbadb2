//! Many nodes that fall silent at once are not many lost nodes.

use super::{Liveness, MISSED, Sight};
use crate::state::State;
use std::collections::BTreeSet;
use std::time::Duration;
use swarmrs_types::object::{Node, NodeState};
use swarmrs_types::{ClusterTime, NodeId};

/// Fewer than this are lost one by one.
const LEAST: usize = 3;
/// One in so many is many.
const SHARE: usize = 3;
/// A swarm in which nodes come and go for ever has lost those that do not come.
const PATIENCE: u32 = 6;
/// How the message of a node begins that is not taken for lost because of this.
const MESSAGE: &str = "silent together with other nodes";

/// Nodes that fell silent within one period, so many that none is taken for lost until it settles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MassLoss {
    /// Whom nothing is heard of.
    pub(super) silent: BTreeSet<NodeId>,
    since: ClusterTime,
    /// When another one fell silent or came back.
    changed: ClusterTime,
}

impl MassLoss {
    fn begin(silent: BTreeSet<NodeId>, now: ClusterTime) -> Self {
        MassLoss {
            silent,
            since: now,
            changed: now,
        }
    }

    /// What a node's status says meanwhile.
    pub(super) fn message(&self) -> String {
        let others = self.silent.len().saturating_sub(1);
        format!("{MESSAGE} ({others}): not taken for lost until that settles")
    }

    fn follow(&mut self, silent: BTreeSet<NodeId>, now: ClusterTime) {
        if self.silent != silent {
            self.silent = silent;
            self.changed = now;
        }
    }

    fn has_settled(&self, period: Duration, now: ClusterTime) -> bool {
        now.since(self.changed) >= period || now.since(self.since) >= period * PATIENCE
    }
}

/// Whether a node is one of many that fell silent at once, as its status says on every manager.
pub fn is_held(node: &Node) -> bool {
    node.status.state == NodeState::Unknown && node.status.message.starts_with(MESSAGE)
}

impl Liveness {
    /// Whether so many are silent that none is to be taken for lost yet.
    pub(super) fn weigh(&mut self, state: &State) -> Option<MassLoss> {
        let now = self.looked;
        let silent = self.silent(state, now);
        let any_overdue = self
            .once_heard(state)
            .any(|(_, sight)| self.deadline(sight) <= now);
        // The leader's own node is one more that is heard.
        let all = self.once_heard(state).count() + 1;
        let many = silent.len() >= LEAST && silent.len() * SHARE >= all;
        // Once begun it lasts until it settles: when the network heals they come back one by one.
        let goes_on = self.mass.is_some() && !silent.is_empty();
        if !(goes_on || (many && any_overdue)) {
            self.mass = None;
            return None;
        }
        let period = self.period;
        let loss = self
            .mass
            .get_or_insert_with(|| MassLoss::begin(silent.clone(), now));
        loss.follow(silent, now);
        if loss.has_settled(period, now) {
            self.mass = None;
        }
        self.mass.clone()
    }

    fn silent(&self, state: &State, now: ClusterTime) -> BTreeSet<NodeId> {
        let late = self.beats(MISSED);
        let silent = self
            .once_heard(state)
            .filter(|(_, sight)| sight.early.is_some() || now.since(sight.last) >= late);
        silent.map(|(node, _)| node.id).collect()
    }

    /// Nodes that joined and never came say nothing about the network: whoever has a token makes any number of them.
    fn once_heard<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (&'a Node, &'a Sight)> {
        self.watched(state).filter(|(_, sight)| !sight.fresh)
    }
}
