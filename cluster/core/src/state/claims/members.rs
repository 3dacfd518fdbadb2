//! Which networks a node carries, because a task or an attachment of it is on them.

use super::addresses::Address;
use crate::state::State;
use swarmrs_types::object::Task;
use swarmrs_types::{NetworkId, NodeId, RawId, TaskState};

impl State {
    /// Whether anything on the node is on the network.
    pub fn carries(&self, node: NodeId, network: NetworkId) -> bool {
        let first = (node, network, RawId::MIN);
        let last = (node, network, RawId::MAX);
        self.claims.members.range(first..=last).next().is_some()
    }

    /// The networks that something on the node is on.
    pub fn carried(&self, node: NodeId) -> Vec<NetworkId> {
        let first = (node, NetworkId(RawId::MIN), RawId::MIN);
        let last = (node, NetworkId(RawId::MAX), RawId::MAX);
        let members = self.claims.members.range(first..=last);
        let mut networks: Vec<_> = members.map(|(_, network, _)| *network).collect();
        networks.dedup();
        networks
    }

    pub(super) fn move_member(
        &mut self,
        id: RawId,
        (was, had): (Option<NodeId>, &[Address]),
        (is, has): (Option<NodeId>, &[Address]),
    ) {
        for (node, (network, _)) in was
            .into_iter()
            .flat_map(|n| had.iter().map(move |a| (n, a)))
        {
            self.claims.members.remove(&(node, *network, id));
        }
        for (node, (network, _)) in is.into_iter().flat_map(|n| has.iter().map(move |a| (n, a))) {
            self.claims.members.insert((node, *network, id));
        }
    }
}

pub(super) fn node_of_task(task: &Task) -> Option<NodeId> {
    task.node
        .filter(|_| task.status.state >= TaskState::Assigned)
}
