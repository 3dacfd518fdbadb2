//! The addresses this machine has, as data for the deciders.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use swarmrs_core::control::swarm::Interface;
use swarmrs_engine::{Engine, Filters};

/// All interfaces, with their addresses, by name. Bridges that the engine made are marked.
pub async fn interfaces(engine: &Engine) -> Vec<Interface> {
    let managed = bridges(engine).await;
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs().into_iter().flatten() {
        let name = entry.interface_name;
        let interface = found.entry(name.clone()).or_insert_with(|| Interface {
            up: entry.flags.contains(InterfaceFlags::IFF_UP),
            loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            managed: managed.contains(&name),
            addrs: Vec::new(),
            name,
        });
        interface
            .addrs
            .extend(entry.address.as_ref().and_then(ip_of));
    }
    found.into_values().collect()
}

/// All addresses that this machine has now.
pub fn all() -> BTreeSet<IpAddr> {
    let found = getifaddrs().into_iter().flatten();
    found
        .filter_map(|entry| entry.address.as_ref().and_then(ip_of))
        .collect()
}

/// The bridges of the engine's networks: `docker0`, and `br-` with the start of the network's id.
async fn bridges(engine: &Engine) -> BTreeSet<String> {
    let filters = Filters::new().with("driver", "bridge");
    let networks = engine.list_networks(&filters).await.unwrap_or_default();
    let bridge = |network: &serde_json::Value| {
        let named = network["Options"]["com.docker.network.bridge.name"].as_str();
        let derived = || Some(format!("br-{}", network["Id"].as_str()?.get(..12)?));
        named.map(str::to_owned).or_else(derived)
    };
    networks.iter().filter_map(bridge).collect()
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(IpAddr::V4(v4.ip()));
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(IpAddr::V6(Ipv6Addr::from(v6.ip().octets())))
}
