//! What a node is told of networks: those that something on it is on, and the ingress network always.
//!
//! ```text
//!   events ──▶ the facts they touch ──▶ each as it was and as it is ──▶ what differs
//! ```
//!
//! A fact depends on the state and the told node alone, so what a node has is known from the state it was
//! told last: nothing is remembered per node. When the first of a node's endpoints comes to a network it is
//! told all of that network, when the last one goes all of it is taken back; otherwise cost follows what
//! happened.

use crate::change::{Delta, Event};
use crate::state::{Holder, State};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use swarmrs_types::endpoint::{Balanced, Endpoint, Fact, FactDiff, FactKey, Overlay, Peer};
use swarmrs_types::object::{Attached, Attachment, Network, Node, NodeState, Service, Task};
use swarmrs_types::spec::PublishMode;
use swarmrs_types::{AttachmentId, NetworkId, NodeId, RawId, ServiceId, TaskId, TaskState};

/// The user's word for the MTU of links in containers. Source: moby `daemon/libnetwork/netlabel`.
const MTU: &str = "com.docker.network.driver.mtu";
/// Set to anything, it turns encryption on. Source: moby `daemon/libnetwork/drivers/overlay`.
const ENCRYPTED: &str = "encrypted";

/// All that a node is to know.
pub fn complete(state: &State, node: NodeId) -> FactDiff {
    let peers = state.nodes().iter().map(|peer| FactKey::Peer(peer.id));
    let ingress = state.ingress_network().map(|network| network.id);
    let networks: BTreeSet<_> = state.carried(node).into_iter().chain(ingress).collect();
    let of_networks = networks
        .into_iter()
        .flat_map(|network| keys_of(state, network));
    let keys: BTreeSet<FactKey> = peers.chain(of_networks).collect();
    FactDiff {
        put: keys
            .into_iter()
            .filter_map(|key| fact(state, node, key))
            .collect(),
        remove: Vec::new(),
    }
}

/// What is different for a node after these events, which lead from one state to the other.
pub fn difference(before: &State, after: &State, node: NodeId, events: &[Event]) -> FactDiff {
    let mut touched = BTreeSet::new();
    for event in events {
        touch(&mut touched, (before, after), node, event);
    }
    let mut diff = FactDiff::default();
    for key in touched {
        let (old, new) = (fact(before, node, key), fact(after, node, key));
        match new {
            Some(new) if old.as_ref() != Some(&new) => diff.put.push(new),
            None if old.is_some() => diff.remove.push(key),
            _ => {}
        }
    }
    diff
}

type Keys = BTreeSet<FactKey>;

fn touch(keys: &mut Keys, states: (&State, &State), node: NodeId, event: &Event) {
    match event {
        Event::Task(delta) => touch_task(keys, states, node, delta),
        Event::Attachment(delta) => {
            for attachment in delta.old.iter().chain(&delta.new) {
                let network = attachment.network;
                keys.insert(FactKey::Endpoint(network, attachment.id.0));
                touch_network(keys, states, node, network);
            }
        }
        Event::Service(delta) => {
            let Some(service) = delta.last() else { return };
            for network in
                networks_of(states.0, service.id).chain(networks_of(states.1, service.id))
            {
                keys.insert(FactKey::Service(network, service.id));
            }
        }
        Event::Network(delta) => {
            if let Some(network) = delta.last() {
                touch_network(keys, states, node, network.id);
                keys.insert(FactKey::Network(network.id));
            }
        }
        Event::Node(delta) => touch_node(keys, states.1, delta),
        Event::Cluster(_) | Event::Secret(_) | Event::Config(_) => {}
    }
}

fn touch_task(keys: &mut Keys, states: (&State, &State), node: NodeId, delta: &Delta<Task>) {
    for task in delta.old.iter().chain(&delta.new) {
        for attached in &task.networks {
            keys.insert(FactKey::Endpoint(attached.network, task.id.0));
            touch_network(keys, states, node, attached.network);
        }
    }
}

/// All facts of a network that the node begins or ceases to know.
fn touch_network(keys: &mut Keys, states: (&State, &State), node: NodeId, network: NetworkId) {
    let (was, is) = (
        knows(states.0, node, network),
        knows(states.1, node, network),
    );
    if was != is && !keys.contains(&FactKey::Network(network)) {
        keys.extend(keys_of(if is { states.1 } else { states.0 }, network));
    }
}

/// What is on a node that was lost takes no connections.
fn touch_node(keys: &mut Keys, state: &State, delta: &Delta<Node>) {
    let Some(node) = delta.last() else { return };
    keys.insert(FactKey::Peer(node.id));
    let down = |node: &Option<Arc<Node>>| node.as_deref().is_some_and(is_down);
    if down(&delta.old) != down(&delta.new) {
        for task in state.tasks_of_node(node.id) {
            let networks = task.networks.iter();
            keys.extend(networks.map(|on| FactKey::Endpoint(on.network, task.id.0)));
        }
    }
}

fn networks_of(state: &State, service: ServiceId) -> impl Iterator<Item = NetworkId> {
    let spec = state
        .services()
        .get(&service)
        .and_then(|service| state.current_spec(service));
    spec.into_iter()
        .flat_map(|spec| state.networks_of(&spec.spec))
        .map(|network| network.id)
}

/// The names of all facts of a network.
fn keys_of(state: &State, network: NetworkId) -> Keys {
    let mut keys = Keys::from([FactKey::Network(network)]);
    for (_, holder) in state.holders(network) {
        match holder {
            Holder::Task(TaskId(id)) | Holder::Attachment(AttachmentId(id)) => {
                keys.insert(FactKey::Endpoint(network, id));
            }
            Holder::Service(_) | Holder::Node(_) => {}
        }
    }
    let services = state.users_of_network(network);
    keys.extend(services.map(|service| FactKey::Service(network, service.id)));
    keys
}

/// Whether a node is told of a network.
fn knows(state: &State, node: NodeId, network: NetworkId) -> bool {
    let is_ingress = state
        .ingress_network()
        .is_some_and(|ingress| ingress.id == network);
    is_ingress || state.carries(node, network)
}

/// A fact as a node is told it; none if it is not told.
fn fact(state: &State, node: NodeId, key: FactKey) -> Option<Fact> {
    match key {
        FactKey::Peer(peer) => peer_of(state.nodes().get(&peer)?).map(Fact::Peer),
        FactKey::Network(network)
        | FactKey::Endpoint(network, _)
        | FactKey::Service(network, _)
            if !knows(state, node, network) =>
        {
            None
        }
        FactKey::Network(network) => {
            let network = state
                .network(network)
                .filter(|network| network.is_overlay())?;
            Some(Fact::Network(overlay(network)))
        }
        FactKey::Endpoint(network, owner) => {
            endpoint(state, node, network, owner).map(Fact::Endpoint)
        }
        FactKey::Service(network, service) => {
            let service = state.services().get(&service)?;
            balanced(state, network, service).map(Fact::Service)
        }
    }
}

fn peer_of(node: &Node) -> Option<Peer> {
    Some(Peer {
        node: node.id,
        index: Some(node.index).filter(|index| *index != 0)?,
        data_path: node.data_path()?,
        ingress: node.ingress.map(|own| own.address),
    })
}

fn overlay(network: &Network) -> Overlay {
    let spec = &network.spec;
    Overlay {
        id: network.id,
        name: spec.name.clone(),
        segments: network.segments.iter().map(|own| own.segment).collect(),
        internal: spec.internal,
        ingress: spec.ingress,
        attachable: spec.attachable,
        mtu: spec
            .options
            .get(MTU)
            .and_then(|mtu| mtu.parse().ok())
            .unwrap_or(0),
        encrypted: spec.options.contains_key(ENCRYPTED),
        labels: spec.labels.clone(),
        options: spec.options.clone(),
    }
}

fn endpoint(state: &State, told: NodeId, network: NetworkId, owner: RawId) -> Option<Endpoint> {
    match state.tasks().get(&TaskId(owner)) {
        Some(task) => of_task(state, network, task),
        None => {
            let attachment = state.attachments().get(&AttachmentId(owner))?;
            Some(of_attachment(attachment, told))
        }
    }
}

/// From when it is bound to its node until it has ended.
fn of_task(state: &State, network: NetworkId, task: &Task) -> Option<Endpoint> {
    let node = task.node?;
    let lives = (TaskState::Assigned..=TaskState::Running).contains(&task.status.state);
    let attached = task
        .networks
        .iter()
        .find(|attached| attached.network == network)?;
    let lost = state.nodes().get(&node).is_none_or(|node| is_down(node));
    let runs = task.status.state == TaskState::Running && task.desired.is_runnable();
    lives.then(|| Endpoint {
        network,
        owner: task.id.0,
        node,
        name: state.task_name(task),
        aliases: Vec::new(),
        addresses: attached.addresses.clone(),
        service: Some(task.service),
        ready: runs && !lost,
        gateway: way_out(state, &task.networks) == Some(network),
        resolvers: resolvers_of(state, task),
        container: None,
    })
}

/// The name servers that the task's spec names.
fn resolvers_of(state: &State, task: &Task) -> Vec<IpAddr> {
    let spec = state.spec_of(task);
    let container = spec.and_then(|spec| spec.spec.task_template.container_spec.as_ref());
    let config = container.and_then(|container| container.dns_config.as_ref());
    config.map_or_else(Vec::new, |config| config.nameservers.clone())
}

/// The network that a task reaches the outside by: replies to published ports go out where they came in.
/// A network of its engine's is its way out otherwise, else the first that has one.
fn way_out(state: &State, networks: &[Attached]) -> Option<NetworkId> {
    let known = || networks.iter().filter_map(|on| state.network(on.network));
    let ingress = known().find(|network| network.spec.ingress);
    let has_own = known().any(|network| !network.is_overlay());
    let first = known()
        .find(|network| !network.spec.internal)
        .filter(|_| !has_own);
    ingress.or(first).map(|network| network.id)
}

/// As long as its lease: an engine may start such a container at any time. Its own node knows the lease by it.
fn of_attachment(attachment: &Attachment, told: NodeId) -> Endpoint {
    Endpoint {
        network: attachment.network,
        owner: attachment.id.0,
        node: attachment.node,
        name: attachment.name.clone(),
        aliases: attachment.aliases.clone(),
        addresses: attachment.addresses.clone(),
        service: None,
        ready: attachment.active,
        gateway: attachment.gateway,
        resolvers: attachment.resolvers.clone(),
        container: (attachment.node == told).then(|| attachment.container.clone()),
    }
}

fn is_down(node: &Node) -> bool {
    node.status.state == NodeState::Down
}

fn balanced(state: &State, network: NetworkId, service: &Service) -> Option<Balanced> {
    let spec = &state.current_spec(service)?.spec;
    let on = state
        .networks_of(spec)
        .find(|on| on.id == network && on.is_overlay())?;
    let own = &service.endpoint;
    let vip = own.virtual_ips.iter().find(|ip| ip.network == network);
    let vip = vip.and_then(|ip| ip.addr.parse::<ipnet::IpNet>().ok());
    let config = spec.task_template.networks.iter();
    let config = config.filter(|config| config.target == network.as_str());
    let ports = own
        .ports
        .iter()
        .filter(|port| on.spec.ingress && port.publish_mode == Some(PublishMode::Ingress));
    Some(Balanced {
        network,
        service: service.id,
        name: service.name.clone(),
        aliases: config
            .flat_map(|config| config.aliases.iter().cloned())
            .collect(),
        vip: vip.map(|vip| vip.addr()),
        ports: ports.cloned().collect(),
    })
}

#[cfg(test)]
mod tests;
