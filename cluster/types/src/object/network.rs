//! Swarm-scoped networks.

use super::{Meta, Unknown};
use crate::endpoint::Segment;
use crate::id::NetworkId;
use crate::spec::NetworkSpec;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The driver that is ours, by Docker's name for it.
pub const OVERLAY: &str = "overlay";

/// Tells the networks that every engine has from others. Source: moby
/// `libnetwork/cnmallocator/networkallocator.go`.
pub const PREDEFINED_LABEL: &str = "com.docker.swarm.predefined";

/// One network of the swarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Network {
    pub id: NetworkId,
    pub meta: Meta,
    /// As asked for; `driver` is filled in.
    pub spec: NetworkSpec,
    /// Its subnets, IPv4 first; none of a network that is each engine's own.
    pub segments: Vec<Allocated>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Network {
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn driver(&self) -> &str {
        &self.spec.driver
    }

    /// Whether it spans the nodes, with addresses of the swarm's giving. Others are each engine's own.
    pub fn is_overlay(&self) -> bool {
        self.spec.driver == OVERLAY
    }

    /// Whether every engine has it: `bridge`, `host`, `none`.
    pub fn is_predefined(&self) -> bool {
        self.spec.labels.contains_key(PREDEFINED_LABEL)
    }

    /// The segment that an address lies in.
    pub fn segment_of(&self, address: IpAddr) -> Option<&Allocated> {
        let mut segments = self.segments.iter();
        segments.find(|allocated| allocated.segment.subnet.contains(&address))
    }
}

/// One subnet of a network and how addresses are given from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    #[serde(flatten)]
    pub segment: Segment,
    /// The part of the subnet that addresses are given from; none: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNet>,
}

/// A network as it is stored. The first release kept of one no more than its name and driver.
#[derive(Deserialize)]
struct Stored {
    id: NetworkId,
    #[serde(default)]
    meta: Meta,
    name: Option<String>,
    driver: Option<String>,
    spec: Option<NetworkSpec>,
    #[serde(default)]
    segments: Vec<Allocated>,
    #[serde(flatten)]
    unknown: Unknown,
}

impl From<Stored> for Network {
    fn from(stored: Stored) -> Self {
        let (name, driver) = (stored.name, stored.driver);
        let first_release = || NetworkSpec {
            name: name.unwrap_or_default(),
            driver: driver.unwrap_or_default(),
            labels: BTreeMap::from([(PREDEFINED_LABEL.to_owned(), "true".to_owned())]),
            ..NetworkSpec::default()
        };
        Network {
            id: stored.id,
            meta: stored.meta,
            spec: stored.spec.unwrap_or_else(first_release),
            segments: stored.segments,
            unknown: stored.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn a_network_of_the_first_release_is_read() {
        let id = "0".repeat(25);
        let old = json!({"id": id, "name": "host", "driver": "host", "newer": 1});
        let network: Network = from_value(old).unwrap();
        assert_eq!((network.name(), network.driver()), ("host", "host"));
        assert!(network.is_predefined() && !network.is_overlay());
        assert_eq!(network.unknown["newer"], 1);
        let again: Network = from_value(to_value(&network).unwrap()).unwrap();
        assert_eq!(again, network);
    }

    #[test]
    fn a_segment_is_found_by_an_address_in_it() {
        let allocated = |subnet: &str, gateway: &str| Allocated {
            segment: Segment {
                subnet: subnet.parse().unwrap(),
                gateway: gateway.parse().unwrap(),
                vni: 4097,
            },
            range: None,
        };
        let network = Network {
            id: "0".repeat(25).parse().unwrap(),
            meta: Meta::default(),
            spec: NetworkSpec::default(),
            segments: vec![
                allocated("10.0.1.0/24", "10.0.1.1"),
                allocated("fd00::/64", "fd00::1"),
            ],
            unknown: Unknown::new(),
        };
        let found = |address: &str| network.segment_of(address.parse().unwrap()).copied();
        assert_eq!(found("10.0.1.9"), Some(network.segments[0]));
        assert_eq!(found("fd00::9"), Some(network.segments[1]));
        assert_eq!(found("10.0.2.9"), None);
    }
}
