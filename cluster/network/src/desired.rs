//! What the facts come to: which backends a virtual address has, which ports lead where, who is here. Pure.
//!
//! Facts are kept by key with the few indexes that make a change's reach plain: an endpoint touches its
//! service, a node touches its endpoints. Nothing here grows with more than what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use swarmrs_types::endpoint::{Balanced, Endpoint, Fact, FactDiff, FactKey, Facts, Overlay, Peer};
use swarmrs_types::id::{NetworkId, NodeId, RawId, ServiceId};
use swarmrs_types::spec::PublishMode;

use crate::mesh::Transport;

/// All that this node was told, and what of it belongs together.
#[derive(Default)]
pub(crate) struct Desired {
    facts: Facts,
    members: BTreeMap<(NetworkId, ServiceId), BTreeSet<RawId>>,
    by_node: BTreeMap<NodeId, BTreeSet<(NetworkId, RawId)>>,
    by_address: BTreeMap<(NetworkId, IpAddr), RawId>,
    by_owner: BTreeMap<RawId, BTreeSet<NetworkId>>,
}

/// What a change reaches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub networks: BTreeSet<NetworkId>,
    pub services: BTreeSet<(NetworkId, ServiceId)>,
    pub endpoints: BTreeSet<(NetworkId, RawId)>,
    pub peers: BTreeSet<NodeId>,
}

impl Touched {
    pub(crate) fn extend(&mut self, other: Touched) {
        self.networks.extend(other.networks);
        self.services.extend(other.services);
        self.endpoints.extend(other.endpoints);
        self.peers.extend(other.peers);
    }
}

/// A service as the rules have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    pub vip: Option<IpAddr>,
    /// Of the virtual address's family, in the order of their turns.
    pub backends: Vec<IpAddr>,
    /// Each published port, and the port behind it.
    pub ports: BTreeMap<(Transport, u16), u16>,
}

/// An endpoint as links and neighbours have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub addresses: Vec<IpAddr>,
    pub node: NodeId,
}

impl Desired {
    /// Takes facts over and says what they reach. Complete: what is not among them is no more so.
    pub(crate) fn take(&mut self, diff: &FactDiff, complete: bool) -> Touched {
        let mut touched = Touched::default();
        let changes = self.facts.changes(diff, complete);
        let put = changes.put.iter().map(Fact::key);
        for key in changes.remove.iter().copied().chain(put) {
            if let Some(old) = self.facts.get(&key).cloned() {
                self.forget(&old);
                self.touch(&old, &mut touched);
            }
        }
        self.facts.apply(&changes);
        for fact in &changes.put {
            self.remember(fact);
            self.touch(fact, &mut touched);
        }
        touched
    }

    fn remember(&mut self, fact: &Fact) {
        let Fact::Endpoint(endpoint) = fact else {
            return;
        };
        let (network, owner) = (endpoint.network, endpoint.owner);
        if let Some(service) = endpoint.service {
            let members = self.members.entry((network, service)).or_default();
            members.insert(owner);
        }
        let on_node = self.by_node.entry(endpoint.node).or_default();
        on_node.insert((network, owner));
        self.by_owner.entry(owner).or_default().insert(network);
        for address in &endpoint.addresses {
            self.by_address.insert((network, address.addr()), owner);
        }
    }

    fn forget(&mut self, fact: &Fact) {
        let Fact::Endpoint(endpoint) = fact else {
            return;
        };
        let (network, owner) = (endpoint.network, endpoint.owner);
        if let Some(service) = endpoint.service {
            without(&mut self.members, &(network, service), &owner);
        }
        without(&mut self.by_node, &endpoint.node, &(network, owner));
        without(&mut self.by_owner, &owner, &network);
        for address in &endpoint.addresses {
            let key = (network, address.addr());
            if self.by_address.get(&key) == Some(&owner) {
                self.by_address.remove(&key);
            }
        }
    }

    fn touch(&self, fact: &Fact, touched: &mut Touched) {
        match fact {
            Fact::Network(network) => {
                touched.networks.insert(network.id);
            }
            Fact::Peer(peer) => {
                touched.peers.insert(peer.node);
                let endpoints = self.by_node.get(&peer.node).into_iter().flatten();
                touched.endpoints.extend(endpoints.copied());
            }
            Fact::Endpoint(endpoint) => {
                let network = endpoint.network;
                touched.endpoints.insert((network, endpoint.owner));
                let service = endpoint.service.map(|service| (network, service));
                touched.services.extend(service);
            }
            Fact::Service(service) => {
                touched.services.insert((service.network, service.service));
            }
        }
    }

    pub(crate) fn network(&self, id: NetworkId) -> Option<&Overlay> {
        self.facts.network(id)
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.facts.peers()
    }

    pub(crate) fn peer(&self, node: NodeId) -> Option<&Peer> {
        match self.facts.get(&FactKey::Peer(node)) {
            Some(Fact::Peer(peer)) => Some(peer),
            _ => None,
        }
    }

    pub(crate) fn endpoint(&self, network: NetworkId, owner: RawId) -> Option<&Endpoint> {
        self.facts.endpoint(network, owner)
    }

    /// The endpoint that has an address on a network.
    pub(crate) fn at(&self, network: NetworkId, address: IpAddr) -> Option<&Endpoint> {
        let owner = self.by_address.get(&(network, address))?;
        self.endpoint(network, *owner)
    }

    /// All endpoints of an owner, in the order of their networks.
    pub(crate) fn endpoints_of(&self, owner: RawId) -> impl Iterator<Item = &Endpoint> {
        let networks = self.by_owner.get(&owner).into_iter().flatten();
        networks.filter_map(move |network| self.endpoint(*network, owner))
    }

    /// What of a network can be touched at all: for a network that is built anew.
    pub(crate) fn all_of(&self, network: NetworkId) -> Touched {
        let mut touched = Touched::default();
        for fact in self.facts.iter() {
            let of_it = match fact {
                Fact::Endpoint(endpoint) => endpoint.network == network,
                Fact::Service(service) => service.network == network,
                Fact::Network(_) | Fact::Peer(_) => false,
            };
            if of_it {
                self.touch(fact, &mut touched);
            }
        }
        touched
    }

    /// The service as the rules are to have it; None: not at all.
    pub(crate) fn service(&self, network: NetworkId, id: ServiceId) -> Option<Service> {
        let Some(Fact::Service(told)) = self.facts.get(&FactKey::Service(network, id)) else {
            return None;
        };
        Some(Service {
            vip: told.vip,
            backends: self.backends(told),
            ports: ports(told),
        })
    }

    /// Whether an endpoint of the service is there, ready or not.
    pub(crate) fn has_members(&self, network: NetworkId, service: ServiceId) -> bool {
        self.members.contains_key(&(network, service))
    }

    /// The addresses of the ready endpoints, in the family of the virtual address.
    fn backends(&self, told: &Balanced) -> Vec<IpAddr> {
        let v6 = told.vip.is_some_and(|vip| vip.is_ipv6());
        let members = self.members.get(&(told.network, told.service));
        let endpoints = members
            .into_iter()
            .flatten()
            .filter_map(|owner| self.endpoint(told.network, *owner))
            .filter(|endpoint| endpoint.ready);
        let address = |endpoint: &Endpoint| {
            let mut addresses = endpoint.addresses.iter().map(|address| address.addr());
            addresses.find(|address| address.is_ipv6() == v6)
        };
        endpoints.filter_map(address).collect()
    }

    pub(crate) fn member(&self, network: NetworkId, owner: RawId) -> Option<Member> {
        let endpoint = self.endpoint(network, owner)?;
        Some(Member {
            addresses: endpoint.addresses.iter().map(|a| a.addr()).collect(),
            node: endpoint.node,
        })
    }
}

/// The ports that every node is to carry.
fn ports(told: &Balanced) -> BTreeMap<(Transport, u16), u16> {
    let carried = told
        .ports
        .iter()
        .filter(|port| port.publish_mode != Some(PublishMode::Host));
    let one = |port: &swarmrs_types::spec::PortConfig| {
        let transport = Transport::named(port.protocol.as_ref())?;
        let published = u16::try_from(port.published_port).ok().filter(|p| *p > 0)?;
        let target = u16::try_from(port.target_port).ok()?;
        Some(((transport, published), target))
    };
    carried.filter_map(one).collect()
}

/// Takes a member out of an index, and the entry with its last.
fn without<K: Ord, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, key: &K, member: &V) {
    if let Some(members) = index.get_mut(key) {
        members.remove(member);
        if members.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
