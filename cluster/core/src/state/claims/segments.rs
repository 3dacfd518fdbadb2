//! Subnets and VXLAN ids: of networks that are, and of those that something is on still; and which network is the ingress.

use super::addresses::whole;
use super::{Claims, taken};
use crate::change::Rejected;
use crate::state::State;
use ipnet::IpNet;
use std::sync::Arc;
use swarmrs_types::NetworkId;
use swarmrs_types::object::Network;

impl State {
    /// A network that is, or one that was removed while something is still on it.
    pub fn network(&self, id: NetworkId) -> Option<&Arc<Network>> {
        let departed = &self.claims.departed_networks;
        self.networks.get(&id).or_else(|| departed.get(&id))
    }

    /// The network that carries published ports.
    pub fn ingress_network(&self) -> Option<&Arc<Network>> {
        self.networks.get(&self.claims.ingress?)
    }

    pub fn last_subnet(&self) -> Option<IpNet> {
        self.claims.given.subnet
    }

    /// 0: none yet.
    pub fn last_vni(&self) -> u32 {
        self.claims.given.vni
    }

    /// The network whose subnet shares addresses with `subnet`, and that subnet.
    pub fn overlapping(&self, subnet: IpNet) -> Option<(IpNet, NetworkId)> {
        let mut below = self.claims.subnets.range(..=subnet.broadcast());
        let (_, (found, network)) = below.next_back()?;
        let same_family = found.addr().is_ipv4() == subnet.addr().is_ipv4();
        (same_family && found.broadcast() >= subnet.network()).then_some((*found, *network))
    }

    pub fn network_of_vni(&self, vni: u32) -> Option<NetworkId> {
        self.claims.vnis.get(&vni).copied()
    }

    pub(in crate::state) fn check_network(&self, new: &Network) -> Result<(), Rejected> {
        let other = |holder: &NetworkId| *holder != new.id;
        if let Some(id) = self
            .network_names
            .get(&new.name().to_lowercase())
            .filter(|id| other(id))
        {
            return Err(Rejected::NameTaken {
                kind: "network".to_owned(),
                name: self.networks.get(id).map_or("", |n| n.name()).to_owned(),
            });
        }
        if new.spec.ingress && self.claims.ingress.is_some_and(|id| other(&id)) {
            return Err(taken("the place of the ingress network".to_owned()));
        }
        for allocated in &new.segments {
            let segment = allocated.segment;
            if self
                .overlapping(segment.subnet)
                .is_some_and(|(_, id)| other(&id))
            {
                return Err(taken(format!("subnet {}", segment.subnet)));
            }
            if self
                .network_of_vni(segment.vni)
                .is_some_and(|id| other(&id))
            {
                return Err(taken(format!("VXLAN id {}", segment.vni)));
            }
        }
        Ok(())
    }

    /// A network that something is on still keeps its subnets and VXLAN ids when it is removed.
    pub(in crate::state) fn follow_network(
        &mut self,
        old: Option<&Arc<Network>>,
        new: Option<&Network>,
    ) {
        if let Some(old) = old {
            self.network_names.remove(&old.name().to_lowercase());
            if self.claims.ingress == Some(old.id) {
                self.claims.ingress = None;
            }
            match new {
                None if self.holders(old.id).next().is_some() => {
                    self.claims.departed_networks.insert(old.id, old.clone());
                }
                Some(new) if new.segments == old.segments => {}
                _ => self.claims.free_network(old, new.is_none()),
            }
        }
        if let Some(new) = new {
            self.network_names.insert(new.name().to_lowercase(), new.id);
            if new.spec.ingress {
                self.claims.ingress = Some(new.id);
            }
            if old.is_none_or(|old| old.segments != new.segments) {
                self.claims.claim_network(new);
            }
        }
    }
}

impl Claims {
    pub(super) fn claim_network(&mut self, network: &Network) {
        for allocated in &network.segments {
            let segment = allocated.segment;
            let first = segment.subnet.network();
            let known = self.subnets.insert(first, (segment.subnet, network.id));
            self.vnis.insert(segment.vni, network.id);
            if known.is_none() {
                self.given.subnet = Some(segment.subnet);
                self.given.vni = segment.vni;
            }
        }
    }

    pub(super) fn free_network(&mut self, network: &Network, for_good: bool) {
        for allocated in &network.segments {
            let segment = allocated.segment;
            self.subnets.remove(&segment.subnet.network());
            self.vnis.remove(&segment.vni);
            if for_good {
                let place = (network.id, segment.subnet);
                self.given.up.remove(&place);
                self.given.down.remove(&place);
            }
        }
        if for_good {
            let (first, last) = whole(network.id);
            let freed: Vec<_> = self.freed.range(first..=last).map(|(a, _)| *a).collect();
            freed
                .iter()
                .for_each(|address| self.end_quarantine(address));
        }
    }
}
