//! What of claims does not follow from the objects, as snapshots hold it.

use super::addresses::Holder;
use super::{Given, virtual_addresses};
use crate::state::State;
use imbl::OrdMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use swarmrs_types::object::{Network, Service};
use swarmrs_types::{ClusterTime, NetworkId};

/// What does not follow from the objects, laid flat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    #[serde(default)]
    up: Vec<(NetworkId, IpNet, IpAddr)>,
    #[serde(default)]
    down: Vec<(NetworkId, IpNet, IpAddr)>,
    #[serde(default)]
    subnet: Option<IpNet>,
    #[serde(default)]
    vni: u32,
    #[serde(default)]
    port: u32,
    #[serde(default)]
    freed: Vec<(NetworkId, IpAddr, ClusterTime)>,
    #[serde(default)]
    services: Vec<Arc<Service>>,
    #[serde(default)]
    networks: Vec<Arc<Network>>,
}

impl State {
    pub(in crate::state) fn remembered(&self) -> Option<Remembered> {
        let flat = |order: &OrdMap<(NetworkId, IpNet), IpAddr>| {
            let flat = order.iter();
            flat.map(|((network, subnet), last)| (*network, *subnet, *last))
                .collect()
        };
        let claims = &self.claims;
        let freed = claims.freed.iter();
        let remembered = Remembered {
            up: flat(&claims.given.up),
            down: flat(&claims.given.down),
            subnet: claims.given.subnet,
            vni: claims.given.vni,
            port: claims.given.port,
            freed: freed
                .map(|((network, address), at)| (*network, *address, *at))
                .collect(),
            services: claims.departed_services.values().cloned().collect(),
            networks: claims.departed_networks.values().cloned().collect(),
        };
        (remembered != Remembered::default()).then_some(remembered)
    }

    /// Before any object is laid: what departed has its claims first.
    pub(in crate::state) fn remember_departed(&mut self, remembered: &Remembered) {
        for network in &remembered.networks {
            self.claims.claim_network(network);
            self.claims
                .departed_networks
                .insert(network.id, network.clone());
        }
        for service in &remembered.services {
            self.move_addresses(
                &[],
                &virtual_addresses(service),
                Holder::Service(service.id),
            );
            self.claims
                .departed_services
                .insert(service.id, service.clone());
        }
    }

    /// After all objects are laid: what was given last is not what was laid last.
    pub(in crate::state) fn remember_given(&mut self, remembered: &Remembered) {
        let deep = |flat: &[(NetworkId, IpNet, IpAddr)]| {
            let entries = flat.iter();
            entries
                .map(|(network, subnet, last)| ((*network, *subnet), *last))
                .collect()
        };
        self.claims.given = Given {
            up: deep(&remembered.up),
            down: deep(&remembered.down),
            subnet: remembered.subnet,
            vni: remembered.vni,
            port: remembered.port,
        };
        for (network, address, at) in &remembered.freed {
            self.claims.freed.insert((*network, *address), *at);
            self.claims.freed_at.insert((*at, (*network, *address)));
        }
    }
}
