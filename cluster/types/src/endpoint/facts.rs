//! All that a node was told.

use super::{Endpoint, Fact, FactDiff, FactKey, Overlay, Peer};
use crate::id::{NetworkId, NodeId, RawId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Facts by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(BTreeMap<FactKey, Fact>);

impl Facts {
    /// What a message really changes; a complete one says with its silence what is no more.
    pub fn changes(&self, told: &FactDiff, complete: bool) -> FactDiff {
        let new = |fact: &&Fact| self.0.get(&fact.key()) != Some(fact);
        let stays: BTreeSet<FactKey> = told.put.iter().map(Fact::key).collect();
        let gone = |key: &&FactKey| self.0.contains_key(key) && !stays.contains(key);
        FactDiff {
            put: told.put.iter().filter(new).cloned().collect(),
            remove: match complete {
                true => self.0.keys().filter(gone).copied().collect(),
                false => told.remove.iter().filter(gone).copied().collect(),
            },
        }
    }

    /// Takes a message in.
    pub fn take(&mut self, told: &FactDiff, complete: bool) {
        if complete {
            self.0.clear();
        }
        self.apply(told);
    }

    /// Takes changes in: what is put and removed in one is there.
    pub fn apply(&mut self, changes: &FactDiff) {
        for key in &changes.remove {
            self.0.remove(key);
        }
        for fact in &changes.put {
            self.0.insert(fact.key(), fact.clone());
        }
    }

    pub fn get(&self, key: &FactKey) -> Option<&Fact> {
        self.0.get(key)
    }

    /// All, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.0.values()
    }

    /// As a message that tells them all.
    pub fn whole(&self) -> FactDiff {
        FactDiff {
            put: self.0.values().cloned().collect(),
            remove: Vec::new(),
        }
    }

    /// The network of that id.
    pub fn network(&self, id: NetworkId) -> Option<&Overlay> {
        match self.0.get(&FactKey::Network(id)) {
            Some(Fact::Network(overlay)) => Some(overlay),
            _ => None,
        }
    }

    /// All networks, in the order of their ids. Their keys come first.
    pub fn networks(&self) -> impl Iterator<Item = &Overlay> {
        self.0.values().map_while(|fact| match fact {
            Fact::Network(overlay) => Some(overlay),
            _ => None,
        })
    }

    /// The nodes that carry one of the networks. Their keys follow those of networks.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        let first = FactKey::Peer(NodeId(RawId::MIN));
        let facts = self.0.range(first..).map(|(_, fact)| fact);
        facts.map_while(|fact| match fact {
            Fact::Peer(peer) => Some(peer),
            _ => None,
        })
    }

    /// Where a task or container is on one network.
    pub fn endpoint(&self, network: NetworkId, owner: RawId) -> Option<&Endpoint> {
        match self.0.get(&FactKey::Endpoint(network, owner)) {
            Some(Fact::Endpoint(endpoint)) => Some(endpoint),
            _ => None,
        }
    }

    /// The containers that users attached here, network by network.
    pub fn attached(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.values().filter_map(|fact| match fact {
            Fact::Endpoint(endpoint) => endpoint.container.is_some().then_some(endpoint),
            _ => None,
        })
    }

    /// Whose an address is.
    pub fn holder_of(&self, network: NetworkId, address: IpAddr) -> Option<&Endpoint> {
        let range = FactKey::Endpoint(network, RawId::MIN)..=FactKey::Endpoint(network, RawId::MAX);
        self.0.range(range).find_map(|(_, fact)| match fact {
            Fact::Endpoint(endpoint) => {
                let held = endpoint.addresses.iter().any(|one| one.addr() == address);
                held.then_some(endpoint)
            }
            _ => None,
        })
    }
}

impl FromIterator<Fact> for Facts {
    fn from_iter<I: IntoIterator<Item = Fact>>(facts: I) -> Self {
        Facts(facts.into_iter().map(|fact| (fact.key(), fact)).collect())
    }
}

#[cfg(test)]
mod tests;
