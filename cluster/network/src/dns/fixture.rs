//! A name server's names in tests: the service `web` at 10.0.1.100 on one network.

use super::resolvers::Resolvers;
use super::server::Names;
use super::upstream::Upstream;
use super::zone::Zone;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use swarmrs_types::endpoint::{Balanced, Fact};
use swarmrs_types::id::NetworkId;

pub fn network() -> NetworkId {
    "n000000000000000000000001".parse().unwrap()
}

/// Names whose others are asked of `upstream`.
pub fn names(upstream: Vec<SocketAddr>) -> Arc<Names> {
    let names = Names::new(Upstream::new(Resolvers::fixed(upstream)));
    let mut zone = Zone::default();
    zone.put(&Fact::Service(Balanced {
        network: network(),
        service: "s000000000000000000000001".parse().unwrap(),
        name: "web".to_owned(),
        aliases: Vec::new(),
        vip: Some(IpAddr::from([10, 0, 1, 100])),
        ports: Vec::new(),
    }));
    names.zone.store(Arc::new(zone));
    names
}

/// A question for the IPv4 addresses of a name.
pub fn query(name: &str) -> Vec<u8> {
    let mut packet = vec![0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(b"\x00\x00\x01\x00\x01");
    packet
}
