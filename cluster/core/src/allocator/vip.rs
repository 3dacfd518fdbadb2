//! Services' own addresses: one in each network, unless names resolve to the tasks themselves.

use super::address::{self, Exhausted};
use crate::state::State;
use std::collections::BTreeSet;
use swarmrs_types::ClusterTime;
use swarmrs_types::object::VirtualIp;
use swarmrs_types::spec::{ResolutionMode, ServiceSpec};

/// The addresses of a service with this spec. Those in `known` stay where the service stays. The networks
/// of an engine have none of the swarm's to give: there it stays empty.
pub fn virtual_ips(
    state: &State,
    spec: &ServiceSpec,
    known: &[VirtualIp],
    now: ClusterTime,
) -> Result<Vec<VirtualIp>, Exhausted> {
    let own = spec.endpoint_spec.as_ref();
    if own.is_some_and(|own| own.mode == Some(ResolutionMode::DnsRr)) {
        return Ok(Vec::new());
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for network in state
        .networks_of(spec)
        .filter(|network| seen.insert(network.id))
    {
        let known = known.iter().find(|ip| ip.network == network.id);
        let addr = match known {
            _ if !network.is_overlay() => String::new(),
            Some(ip) if !ip.addr.is_empty() => ip.addr.clone(),
            _ => address::of_service(state, network, now)?.to_string(),
        };
        found.push(VirtualIp {
            network: network.id,
            addr,
        });
    }
    Ok(found)
}
