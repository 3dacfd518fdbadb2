//! Addresses: each has one holder, and is not given again soon after it was freed.

use super::{Claims, taken};
use crate::change::Rejected;
use crate::state::State;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;
use swarmrs_types::{AttachmentId, ClusterTime, NetworkId, NodeId, ServiceId, TaskId};

/// A freed address is not given again for so long: peers and caches may still mean its last owner.
pub const QUARANTINE: Duration = Duration::from_secs(60);

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// It is the service's own, in front of its tasks.
    Service(ServiceId),
    Task(TaskId),
    Attachment(AttachmentId),
    Node(NodeId),
}

/// Of a network.
pub(super) type Address = (NetworkId, IpAddr);

impl State {
    /// Who has addresses on a network, by address.
    pub fn holders(&self, network: NetworkId) -> impl Iterator<Item = (IpAddr, Holder)> {
        let (first, last) = whole(network);
        let held = self.claims.addresses.range(first..=last);
        held.map(|((_, address), holder)| (*address, *holder))
    }

    pub fn holder(&self, network: NetworkId, address: IpAddr) -> Option<Holder> {
        self.claims.addresses.get(&(network, address)).copied()
    }

    /// Until when a freed address is not given again.
    pub fn quarantined(&self, network: NetworkId, address: IpAddr) -> Option<ClusterTime> {
        let freed = self.claims.freed.get(&(network, address))?;
        Some(freed.after(QUARANTINE))
    }

    /// When the next of a network's freed addresses can be given again.
    pub fn next_free(&self, network: NetworkId) -> Option<ClusterTime> {
        let (first, last) = whole(network);
        let freed = self.claims.freed.range(first..=last);
        freed.map(|(_, at)| at.after(QUARANTINE)).min()
    }

    /// The address of the subnet given last.
    pub fn last_address(&self, network: NetworkId, subnet: IpNet) -> Option<IpAddr> {
        self.claims.given.up.get(&(network, subnet)).copied()
    }

    /// The address of the subnet given last to a service.
    pub fn last_service_address(&self, network: NetworkId, subnet: IpNet) -> Option<IpAddr> {
        self.claims.given.down.get(&(network, subnet)).copied()
    }

    pub(in crate::state) fn check_addresses(
        &self,
        new: &[Address],
        holder: Holder,
    ) -> Result<(), Rejected> {
        for (network, address) in new {
            if self
                .holder(*network, *address)
                .is_some_and(|other| other != holder)
            {
                return Err(taken(format!("address {address}")));
            }
        }
        Ok(())
    }

    pub(super) fn move_addresses(&mut self, had: &[Address], has: &[Address], holder: Holder) {
        for address in has {
            if self.claims.addresses.insert(*address, holder) != Some(holder) {
                self.claims.end_quarantine(address);
                self.note_given(*address, holder);
            }
        }
        for address in had.iter().filter(|address| !has.contains(address)) {
            self.free_address(*address, holder);
        }
    }

    fn note_given(&mut self, address: Address, holder: Holder) {
        let network = self.networks.get(&address.0);
        let Some(found) = network.and_then(|network| network.segment_of(address.1)) else {
            return;
        };
        let place = (address.0, found.segment.subnet);
        let given = &mut self.claims.given;
        let order = match holder {
            Holder::Service(_) => &mut given.down,
            Holder::Task(_) | Holder::Attachment(_) | Holder::Node(_) => &mut given.up,
        };
        order.insert(place, address.1);
    }

    fn free_address(&mut self, address: Address, holder: Holder) {
        if self.claims.addresses.get(&address) != Some(&holder) {
            return;
        }
        self.claims.addresses.remove(&address);
        let network = address.0;
        if self.networks.contains(&network) {
            let now = self.time;
            self.claims.freed.insert(address, now);
            self.claims.freed_at.insert((now, address));
        } else if self.holders(network).next().is_none()
            && let Some(departed) = self.claims.departed_networks.remove(&network)
        {
            self.claims.free_network(&departed, true);
        }
    }

    /// Forgets what was freed so long ago that it can be given again.
    pub(in crate::state) fn end_quarantines(&mut self) {
        while let Some((at, address)) = self.claims.freed_at.get_min().copied() {
            if at.after(QUARANTINE) > self.time {
                return;
            }
            self.claims.end_quarantine(&address);
        }
    }
}

impl Claims {
    pub(super) fn end_quarantine(&mut self, address: &Address) {
        if let Some(at) = self.freed.remove(address) {
            self.freed_at.remove(&(at, *address));
        }
    }
}

/// The bounds of a network's addresses.
pub(super) fn whole(network: NetworkId) -> (Address, Address) {
    let least = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let most = IpAddr::V6(std::net::Ipv6Addr::from_bits(u128::MAX));
    ((network, least), (network, most))
}

pub(in crate::state) fn addresses_on(network: NetworkId, addresses: &[IpNet]) -> Vec<Address> {
    addresses.iter().map(|a| (network, a.addr())).collect()
}
