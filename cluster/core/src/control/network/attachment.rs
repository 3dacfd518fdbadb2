//! Attachments: containers of users on networks of the swarm.
//!
//! A lease lives as long as the container is connected, running or not: an engine starts such a container
//! again by itself, and its addresses must be its own still. One that does not run is found by no name and
//! keeps no network from being removed.

use super::look_up;
use crate::allocator::address;
use crate::change::Key;
use crate::plan::{Draft, Ids, Plan};
use crate::state::{Holder, State};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
pub use swarmrs_types::object::AttachRequest;
use swarmrs_types::object::{Attachment, Network};
use swarmrs_types::{AttachmentId, ClusterTime, Code, Fault, NodeId, Origin};

/// Gives the node's container addresses on the network, or those it has there already. Errors are the manager's,
/// as Docker's has them: 404 `network X not found`, 403 `network X not manually attachable`; an address that
/// cannot be had; a node that is not in the swarm any more.
pub fn attach(
    state: &State,
    node: NodeId,
    request: &AttachRequest,
    now: ClusterTime,
    ids: &mut dyn Ids,
) -> Result<(Attachment, Plan), Fault> {
    if state.nodes().get(&node).is_none_or(|node| node.left) {
        let text = format!("Permission denied: node {node} is not in the swarm");
        return Err(Fault::manager(Code::PermissionDenied, text));
    }
    let term = &request.network;
    let network = look_up(state, term).map_err(|_| Fault {
        origin: Origin::Manager,
        ..Fault::no_such("network", term)
    })?;
    if !network.spec.attachable {
        let text = format!("network {term} not manually attachable");
        return Err(Fault::manager(Code::PermissionDenied, text));
    }
    if !network.is_overlay() {
        let text = format!(
            "network {term} is made by each engine for the tasks of services: no other container can be on it"
        );
        return Err(Fault::manager(Code::Unimplemented, text));
    }
    let known = of_container(state, node, &request.container);
    let old = known
        .iter()
        .find(|lease| lease.network == network.id)
        .cloned();
    let addresses = match &old {
        Some(old) if fits(old, &request.addresses) => old.addresses.clone(),
        _ => addresses(state, &network, &request.addresses, now)?,
    };
    let lease = Attachment {
        id: old
            .as_ref()
            .map_or_else(|| AttachmentId(ids.next()), |old| old.id),
        meta: old.as_ref().map_or_else(Default::default, |old| old.meta),
        node,
        container: request.container.clone(),
        name: request.name.clone(),
        network: network.id,
        addresses,
        aliases: request.aliases.clone(),
        gateway: request.gateway && is_way_out(&network, &known),
        active: request.active,
        resolvers: request.resolvers.clone(),
        unknown: old
            .as_ref()
            .map_or_else(Default::default, |old| old.unknown.clone()),
    };
    let mut draft = Draft::new(state, now);
    draft.guard(Key::Network(network.id));
    draft.guard(Key::Node(node));
    if old.as_deref() != Some(&lease) {
        draft.put_attachment(lease.clone());
    }
    Ok((lease, draft.finish()))
}

/// Whether a network may be the way out of a container with these leases: one of them is.
fn is_way_out(network: &Network, leases: &[Arc<Attachment>]) -> bool {
    let mut others = leases.iter().filter(|lease| lease.network != network.id);
    !network.spec.internal && !others.any(|lease| lease.gateway)
}

fn fits(lease: &Attachment, wanted: &[IpAddr]) -> bool {
    let has = |wanted: &IpAddr| lease.addresses.iter().any(|own| own.addr() == *wanted);
    wanted.iter().all(has)
}

/// The addresses asked for, and one of each other family.
fn addresses(
    state: &State,
    network: &Network,
    wanted: &[IpAddr],
    now: ClusterTime,
) -> Result<Vec<IpNet>, Fault> {
    let certain = wanted
        .iter()
        .map(|wanted| address::this(state, network, *wanted));
    let certain: Result<Vec<IpNet>, _> = certain.collect();
    let mut found = certain.map_err(|why| unavailable(&why))?;
    let is_v4 = |address: &IpNet| address.addr().is_ipv4();
    let lacks = |family: bool| {
        let mut segments = network.segments.iter();
        let has = segments.any(|own| is_v4(&own.segment.subnet) == family);
        has && !found.iter().any(|address| is_v4(address) == family)
    };
    if lacks(true) || lacks(false) {
        let any = address::member(state, network, now).map_err(|why| unavailable(&why))?;
        let missing = any.into_iter().filter(|any| lacks(is_v4(any)));
        let missing: Vec<IpNet> = missing.collect();
        found.extend(missing);
    }
    found.sort_by_key(|address| !is_v4(address));
    Ok(found)
}

fn unavailable(why: &impl ToString) -> Fault {
    Fault::manager(Code::FailedPrecondition, why.to_string())
}

/// The attachments of one container of a node.
pub fn of_container(state: &State, node: NodeId, container: &str) -> Vec<Arc<Attachment>> {
    let all = state.attachments().iter();
    let own = all.filter(|lease| lease.node == node && lease.container == container);
    own.cloned().collect()
}

/// The attachments that hold addresses on a network.
pub fn on_network(state: &State, network: &Network) -> Vec<Arc<Attachment>> {
    let mut found: Vec<Arc<Attachment>> = Vec::new();
    for (_, holder) in state.holders(network.id) {
        let Holder::Attachment(id) = holder else {
            continue;
        };
        let Some(lease) = state.attachments().get(&id) else {
            continue;
        };
        if found.iter().all(|known| known.id != id) {
            found.push(lease.clone());
        }
    }
    found
}

/// Ends a lease; one that has ended is no error.
pub fn detach(state: &State, id: AttachmentId) -> Plan {
    let mut draft = Draft::new(state, state.time());
    if state.attachments().contains(&id) {
        draft.remove(Key::Attachment(id));
    }
    draft.finish()
}

/// Whether the node may speak of a lease: of another node's it may not. One that has ended is nobody's.
pub fn must_be_of(state: &State, id: AttachmentId, node: NodeId) -> Result<(), Fault> {
    match state.attachments().get(&id) {
        Some(lease) if lease.node != node => {
            let text = format!("Permission denied: attachment {id} is of another node");
            Err(Fault::manager(Code::PermissionDenied, text))
        }
        _ => Ok(()),
    }
}

/// What a node sees of a container that has leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// The name it goes by now.
    pub name: &'a str,
    /// Whether it runs, or is about to.
    pub active: bool,
    /// Whether a network of its engine's own leads out: then none of ours does.
    pub own_way_out: bool,
}

/// Notes what is seen of a lease's container. Its way out is taken at its next start.
pub fn follow(state: &State, id: AttachmentId, seen: Sighting<'_>) -> Plan {
    let mut draft = Draft::new(state, state.time());
    if let Some(old) = state.attachments().get(&id) {
        let mut lease = (**old).clone();
        let known = of_container(state, old.node, &old.container);
        let network = state.network(old.network);
        let leads_out = network.is_some_and(|network| is_way_out(network, &known));
        lease.active = seen.active;
        lease.gateway = !seen.own_way_out && leads_out;
        seen.name.clone_into(&mut lease.name);
        if lease != **old {
            draft.put_attachment(lease);
        }
    }
    draft.finish()
}
