//! What must hold of networks: each address, subnet, VXLAN id, port and node number has one owner.
//!
//! Counted over the objects, not over the claims that are to keep it so; then the claims are compared.

use crate::state::{Holder, State, name_of};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use swarmrs_types::NetworkId;
use swarmrs_types::spec::PublishMode;

/// Every rule that is broken, in words.
pub(super) fn violations(state: &State) -> Vec<String> {
    let mut found = misplaced(state);
    found.extend(shared_addresses(state));
    found.extend(shared_ports(state));
    found.extend(shared_numbers(state));
    found
}

/// All addresses that are held, by whom.
fn held(state: &State) -> Vec<(NetworkId, IpNet, Holder)> {
    let mut held = Vec::new();
    for service in state.services().iter() {
        for ip in service
            .endpoint
            .virtual_ips
            .iter()
            .filter(|ip| !ip.addr.is_empty())
        {
            let address = ip.addr.parse::<IpNet>().unwrap_or_default();
            held.push((ip.network, address, Holder::Service(service.id)));
        }
    }
    for task in state
        .tasks()
        .iter()
        .filter(|task| !task.status.state.is_terminal())
    {
        for on in &task.networks {
            let own = on.addresses.iter();
            held.extend(own.map(|own| (on.network, *own, Holder::Task(task.id))));
        }
    }
    for lease in state.attachments().iter() {
        let own = lease.addresses.iter();
        held.extend(own.map(|own| (lease.network, *own, Holder::Attachment(lease.id))));
    }
    for node in state.nodes().iter() {
        let own = node.ingress.iter();
        held.extend(own.map(|own| (own.network, own.address, Holder::Node(node.id))));
    }
    held
}

/// An address lies in a subnet of its network, has its prefix, and is not the gateway's.
fn misplaced(state: &State) -> Vec<String> {
    let wrong = held(state).into_iter().filter(|(network, address, _)| {
        let network = state.network(*network);
        let own = network.and_then(|network| network.segment_of(address.addr()));
        own.is_none_or(|own| {
            let subnet = own.segment.subnet;
            subnet != address.trunc()
                || own.segment.gateway == address.addr()
                || subnet.addr() == address.addr()
        })
    });
    let say =
        |(network, address, holder)| format!("{address} of {holder:?} is no address of {network}");
    wrong.map(say).collect()
}

fn shared_addresses(state: &State) -> Vec<String> {
    let mut owners: BTreeMap<(NetworkId, IpAddr), Holder> = BTreeMap::new();
    let mut found = Vec::new();
    for (network, address, holder) in held(state) {
        let address = address.addr();
        if let Some(other) = owners.insert((network, address), holder) {
            found.push(format!("{address} belongs to {holder:?} and to {other:?}"));
        }
        if state.holder(network, address) != Some(holder) {
            found.push(format!("{holder:?} has {address} and no claim to it"));
        }
    }
    for network in state.networks().iter() {
        let departed = |holder: Holder| match holder {
            Holder::Service(id) => state.departed_service(id).is_some(),
            _ => false,
        };
        for (address, holder) in state.holders(network.id) {
            if owners.get(&(network.id, address)) != Some(&holder) && !departed(holder) {
                found.push(format!("{holder:?} claims {address} and does not have it"));
            }
        }
    }
    found
}

/// A port of the mesh is one service's, and nobody publishes it on a node.
fn shared_ports(state: &State) -> Vec<String> {
    let services = state.services().iter();
    let all = services.flat_map(|service| {
        service
            .endpoint
            .ports
            .iter()
            .map(move |port| (service, port))
    });
    let fixed = all.filter(|(_, port)| port.published_port != 0);
    let (mesh, host): (Vec<_>, Vec<_>) =
        fixed.partition(|(_, port)| port.publish_mode != Some(PublishMode::Host));
    let mut owners = BTreeMap::new();
    let mut found = Vec::new();
    for (service, port) in mesh {
        if let Some(other) = owners.insert(name_of(port), service.id) {
            found.push(format!(
                "port {} belongs to {} and to {other}",
                port.published_port, service.id
            ));
        }
    }
    for (service, port) in host {
        if owners
            .get(&name_of(port))
            .is_some_and(|owner| *owner != service.id)
        {
            found.push(format!(
                "port {} is published on all nodes and by {}",
                port.published_port, service.id
            ));
        }
    }
    found
}

fn shared_numbers(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    let mut indexes = BTreeSet::new();
    for node in state.nodes().iter().filter(|node| node.index != 0) {
        if !indexes.insert(node.index) {
            found.push(format!("two nodes have number {}", node.index));
        }
    }
    let mut subnets: Vec<(IpNet, u32, NetworkId)> = Vec::new();
    for network in state.networks().iter() {
        for own in &network.segments {
            let (subnet, vni) = (own.segment.subnet, own.segment.vni);
            let clash = subnets.iter().find(|(other, other_vni, id)| {
                other.contains(&subnet)
                    || subnet.contains(other)
                    || (*other_vni == vni && *id != network.id)
            });
            if let Some((other, _, id)) = clash {
                found.push(format!(
                    "{subnet} ({vni}) of {} meets {other} of {id}",
                    network.id
                ));
            }
            subnets.push((subnet, vni, network.id));
        }
    }
    let ingress = state
        .networks()
        .iter()
        .filter(|network| network.spec.ingress);
    if ingress.count() > 1 {
        found.push("there are two ingress networks".to_owned());
    }
    found
}
