//! What a node is given: a number that packets and connections of it are marked with, and its own address
//! on the ingress network.

use super::address;
use crate::change::Key;
use crate::plan::Draft;
use crate::state::State;
use std::collections::BTreeSet;
use swarmrs_types::NodeId;
use swarmrs_types::object::{IngressAddress, Node};

/// Gives the node what it lacks, and takes back an address on a network that is the ingress network no more.
pub fn admit(draft: &mut Draft<'_>, id: NodeId) {
    let Some(node) = draft.nodes().get(&id).cloned() else {
        end_leases(draft, id);
        return;
    };
    let mut new = (*node).clone();
    give(draft, &mut new);
    if new != *node {
        draft.put_node(new);
    }
}

/// The containers of a node that is no more have nothing any more.
fn end_leases(draft: &mut Draft<'_>, node: NodeId) {
    let leases = draft
        .attachments()
        .iter()
        .filter(|lease| lease.node == node);
    for lease in leases.map(|lease| lease.id).collect::<Vec<_>>() {
        draft.remove(Key::Attachment(lease));
    }
}

/// Fills in what the node lacks.
pub fn give(draft: &Draft<'_>, node: &mut Node) {
    if node.index == 0 {
        node.index = lowest_index(draft);
    }
    let network = draft.ingress_network();
    if node.ingress.map(|own| own.network) == network.map(|network| network.id) {
        return;
    }
    // One that there is no address for does without: the next change of the node or the network asks again.
    node.ingress = network.and_then(|network| {
        let given = address::member(draft, network, draft.now).ok()?;
        Some(IngressAddress {
            network: network.id,
            address: *given.first()?,
        })
    });
}

/// 0 if all 65,535 are taken.
fn lowest_index(state: &State) -> u16 {
    let taken: BTreeSet<u16> = state.nodes().iter().map(|node| node.index).collect();
    (1..=u16::MAX)
        .find(|index| !taken.contains(index))
        .unwrap_or_default()
}
