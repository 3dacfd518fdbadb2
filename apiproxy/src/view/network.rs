//! The networks that every node has, `bridge`, `host` and `none`, as the swarm's own.
//!
//! The stock client asks for them by `scope=swarm` when a service is to use the host's network; they are in no list.

use std::collections::BTreeMap;

use serde::Serialize;
use swarmrs_core::State;
use swarmrs_types::Timestamp;
use swarmrs_types::object;

use super::Empty;

/// What tells these networks from others of the swarm.
pub(super) const PREDEFINED_LABEL: (&str, &str) = ("com.docker.swarm.predefined", "true");

/// One network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network<'a> {
    name: &'a str,
    id: &'a str,
    created: Timestamp,
    scope: &'static str,
    driver: &'a str,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_from: ConfigFrom,
    config_only: bool,
    containers: Empty,
    options: (),
    labels: BTreeMap<&'static str, &'static str>,
}

/// These networks have no addresses of the swarm's.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    driver: &'static str,
    options: (),
    config: [(); 0],
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFrom {
    network: &'static str,
}

/// The network of that id or name.
pub fn predefined<'a>(state: &'a State, term: &str) -> Option<Network<'a>> {
    let mut networks = state.networks().iter();
    let found = networks.find(|network| {
        network.is_predefined() && (network.id.as_str() == term || network.name() == term)
    })?;
    Some(show(found))
}

fn show(network: &object::Network) -> Network<'_> {
    Network {
        name: network.name(),
        id: network.id.as_str(),
        created: network.meta.created_at,
        scope: "swarm",
        driver: network.driver(),
        enable_ipv4: true,
        enable_ipv6: false,
        ipam: Ipam::default(),
        internal: false,
        attachable: false,
        ingress: false,
        config_from: ConfigFrom::default(),
        config_only: false,
        containers: Empty {},
        options: (),
        labels: BTreeMap::from([PREDEFINED_LABEL]),
    }
}
