//! The objects that the tests of this module are made of.

use std::collections::BTreeMap;
use swarmrs_types::NetworkId;
use swarmrs_types::endpoint::{Endpoint, Overlay, Segment};
use swarmrs_types::id::RawId;

pub fn owner(n: u8) -> RawId {
    format!("{n:025}").parse().unwrap()
}

pub fn network_id(n: u8) -> NetworkId {
    format!("{n:0>24}n").parse().unwrap()
}

/// A network 10.0.N.0/24.
pub fn network(n: u8, name: &str) -> Overlay {
    Overlay {
        id: network_id(n),
        name: name.to_owned(),
        segments: vec![Segment {
            subnet: format!("10.0.{n}.0/24").parse().unwrap(),
            gateway: format!("10.0.{n}.1").parse().unwrap(),
            vni: 4096 + u32::from(n),
        }],
        internal: false,
        ingress: false,
        attachable: false,
        mtu: 0,
        encrypted: false,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
    }
}

pub fn endpoint(network: u8, who: u8, address: &str) -> Endpoint {
    Endpoint {
        network: network_id(network),
        owner: owner(who),
        node: format!("{:0>25}", "node").parse().unwrap(),
        name: format!("web.{who}"),
        aliases: Vec::new(),
        addresses: vec![address.parse().unwrap()],
        service: None,
        ready: true,
        gateway: false,
        resolvers: Vec::new(),
        container: None,
    }
}
