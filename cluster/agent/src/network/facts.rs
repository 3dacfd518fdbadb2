//! What this node was told of the swarm's networks, by key and by owner. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use swarmrs_types::NetworkId;
use swarmrs_types::endpoint::{self, Endpoint, Fact, FactDiff, FactKey, Overlay};
use swarmrs_types::id::RawId;

/// The facts of a node.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    told: endpoint::Facts,
    /// The networks each task or container is on.
    owned: BTreeMap<RawId, BTreeSet<NetworkId>>,
    grounded: bool,
}

impl Deref for Facts {
    type Target = endpoint::Facts;

    fn deref(&self) -> &endpoint::Facts {
        &self.told
    }
}

impl Facts {
    /// Takes a difference in, or a complete set, which replaces all before it.
    pub fn take(&mut self, diff: &FactDiff, complete: bool) {
        if complete {
            self.owned.clear();
            self.grounded = true;
        }
        diff.remove.iter().for_each(|key| self.disown(*key));
        for fact in &diff.put {
            if let Fact::Endpoint(endpoint) = fact {
                let networks = self.owned.entry(endpoint.owner).or_default();
                networks.insert(endpoint.network);
            }
        }
        self.told.take(diff, complete);
    }

    fn disown(&mut self, key: FactKey) {
        let FactKey::Endpoint(network, owner) = key else {
            return;
        };
        if let Some(networks) = self.owned.get_mut(&owner) {
            networks.remove(&network);
            if networks.is_empty() {
                self.owned.remove(&owner);
            }
        }
    }

    /// Whether a complete set was ever told: before it, what is absent may be there all the same.
    pub fn are_grounded(&self) -> bool {
        self.grounded
    }

    /// Where a task or container is on networks: the one that is its way out first.
    pub fn endpoints_of(&self, owner: RawId) -> Vec<(&Overlay, &Endpoint)> {
        let networks = self.owned.get(&owner).into_iter().flatten();
        let mut found: Vec<_> = networks
            .filter_map(|id| Some((self.network(*id)?, self.endpoint(*id, owner)?)))
            .collect();
        found.sort_by_key(|(_, endpoint)| !endpoint.gateway);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{endpoint, network, network_id, owner};
    use super::*;

    fn told(put: Vec<Fact>) -> FactDiff {
        FactDiff {
            put,
            remove: Vec::new(),
        }
    }

    fn names(facts: &Facts, who: u8) -> Vec<String> {
        let found = facts.endpoints_of(owner(who));
        found
            .iter()
            .map(|(network, _)| network.name.clone())
            .collect()
    }

    #[test]
    fn the_way_out_comes_first() {
        let mut facts = Facts::default();
        let mut out = endpoint(2, 7, "10.0.2.5/24");
        out.gateway = true;
        facts.take(
            &told(vec![
                Fact::Network(network(1, "a")),
                Fact::Network(network(2, "b")),
                Fact::Endpoint(endpoint(1, 7, "10.0.1.5/24")),
                Fact::Endpoint(out),
            ]),
            false,
        );
        assert_eq!(names(&facts, 7), ["b", "a"]);
        assert!(names(&facts, 8).is_empty());
    }

    #[test]
    fn an_endpoint_of_a_network_that_was_not_told_is_not_there() {
        let mut facts = Facts::default();
        facts.take(
            &told(vec![Fact::Endpoint(endpoint(1, 7, "10.0.1.5/24"))]),
            false,
        );
        assert!(names(&facts, 7).is_empty());
        facts.take(&told(vec![Fact::Network(network(1, "a"))]), false);
        assert_eq!(names(&facts, 7), ["a"]);
    }

    #[test]
    fn what_is_removed_or_not_in_a_complete_set_is_gone() {
        let mut facts = Facts::default();
        assert!(!facts.are_grounded());
        let both = vec![
            Fact::Network(network(1, "a")),
            Fact::Endpoint(endpoint(1, 7, "10.0.1.5/24")),
        ];
        facts.take(&told(both), false);
        let gone = FactDiff {
            put: Vec::new(),
            remove: vec![FactKey::Endpoint(network_id(1), owner(7))],
        };
        facts.take(&gone, false);
        assert!(names(&facts, 7).is_empty());
        assert!(facts.network(network_id(1)).is_some());
        facts.take(&told(vec![Fact::Network(network(2, "b"))]), true);
        assert!(facts.are_grounded());
        assert!(facts.network(network_id(1)).is_none());
        assert_eq!(facts.whole().put.len(), 1);
    }

    #[test]
    fn a_newer_fact_of_the_same_key_replaces_the_older() {
        let mut facts = Facts::default();
        facts.take(&told(vec![Fact::Network(network(1, "a"))]), true);
        facts.take(&told(vec![Fact::Network(network(1, "z"))]), false);
        let all: Vec<_> = facts.networks().map(|one| one.name.as_str()).collect();
        assert_eq!(all, ["z"]);
    }

    #[test]
    fn an_address_is_held_by_one_on_its_own_network() {
        let mut facts = Facts::default();
        facts.take(
            &told(vec![
                Fact::Endpoint(endpoint(1, 7, "10.0.1.5/24")),
                Fact::Endpoint(endpoint(2, 8, "10.0.2.5/24")),
            ]),
            true,
        );
        let held = |network, address: &str| {
            let found = facts.holder_of(network_id(network), address.parse().unwrap());
            found.map(|endpoint| endpoint.owner)
        };
        assert_eq!(held(1, "10.0.1.5"), Some(owner(7)));
        assert_eq!(held(2, "10.0.1.5"), None);
    }
}
