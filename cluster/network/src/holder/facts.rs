//! All that the node was told. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use swarmrs_types::endpoint::{Endpoint, Fact, FactDiff, FactKey, Overlay};
use swarmrs_types::id::{NetworkId, RawId};

/// Facts by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(BTreeMap<FactKey, Fact>);

impl Facts {
    /// What a message really changes; a complete one says with its silence what is no more.
    pub fn changes(&self, told: &FactDiff, complete: bool) -> FactDiff {
        let new = |fact: &&Fact| self.0.get(&fact.key()) != Some(fact);
        let put: Vec<Fact> = told.put.iter().filter(new).cloned().collect();
        let mut remove: Vec<FactKey> = match complete {
            false => told.remove.clone(),
            true => {
                let told: std::collections::BTreeSet<FactKey> =
                    told.put.iter().map(Fact::key).collect();
                let silent = |key: &&FactKey| !told.contains(key);
                self.0.keys().filter(silent).copied().collect()
            }
        };
        let stays = |key: &FactKey| told.put.iter().any(|fact| fact.key() == *key);
        remove.retain(|key| self.0.contains_key(key) && !stays(key));
        FactDiff { put, remove }
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

    /// As a message that tells them all.
    pub fn whole(&self) -> FactDiff {
        FactDiff {
            put: self.0.values().cloned().collect(),
            remove: Vec::new(),
        }
    }

    pub fn network(&self, id: NetworkId) -> Option<&Overlay> {
        match self.0.get(&FactKey::Network(id)) {
            Some(Fact::Network(overlay)) => Some(overlay),
            _ => None,
        }
    }

    /// All networks.
    pub fn networks(&self) -> impl Iterator<Item = NetworkId> {
        // The keys of networks come first.
        self.0.keys().map_while(|key| match key {
            FactKey::Network(id) => Some(*id),
            _ => None,
        })
    }

    /// Whose an address is.
    pub fn endpoint(&self, network: NetworkId, address: IpAddr) -> Option<&Endpoint> {
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
