//! What clients turn to: virtual addresses, published ports and containers' ports, and where they lead.

use super::{Network, Steps};
use crate::balance::{self, Page};
use crate::desired::{Desired, Service};
use crate::diff::{self, Front};
use crate::firewall::{Family, Transaction};
use crate::mesh::{Inner, Transport};
use crate::plane::NAME_SERVER;
use crate::vxlan;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use swarmrs_types::id::ServiceId;

impl Network {
    /// All addresses that the bridge is to have.
    pub(super) fn addresses(&self) -> Vec<IpNet> {
        let gateways = self.overlay.segments.iter();
        let gateways = gateways
            .filter_map(|segment| IpNet::new(segment.gateway, segment.subnet.prefix_len()).ok());
        let vips = self.services.values().filter_map(|service| service.vip);
        let alone = vips.chain(self.own_ingress()).chain([NAME_SERVER]);
        gateways.chain(alone.map(vxlan::alone)).collect()
    }

    pub(super) fn without_addresses(
        &mut self,
        anew: bool,
        wanted: &[IpNet],
        vanished: &[IpAddr],
    ) -> io::Result<()> {
        if !anew {
            for vip in vanished {
                // Another service may have the address by now.
                if self.services.values().all(|of| of.vip != Some(*vip)) {
                    self.links.delete_address(self.bridge, vxlan::alone(*vip))?;
                }
            }
            return Ok(());
        }
        let wanted: BTreeSet<&IpNet> = wanted.iter().collect();
        for (link, address) in self.links.addresses()? {
            let derived = matches!(address, IpNet::V6(v6) if v6.addr().is_unicast_link_local());
            if link == self.bridge && !derived && !wanted.contains(&address) {
                self.links.delete_address(link, address)?;
            }
        }
        Ok(())
    }

    /// What is left of a service while tasks of it are: its address, which refuses. So who spoke to one of them is told, once
    /// that is over.
    pub(super) fn outlived(&self, desired: &Desired, id: ServiceId) -> Option<Service> {
        let vip = self.services.get(&id)?.vip;
        let left = desired.has_members(self.overlay.id, id);
        left.then(|| Service {
            vip,
            ..Service::default()
        })
    }

    pub(super) fn bring_service(&mut self, steps: &mut Steps, new: Option<Service>, id: ServiceId) {
        let old = self.services.remove(&id);
        for change in diff::changes(old.as_ref(), new.as_ref()) {
            let front = change.front;
            if matches!(front, Front::Port(..)) && !self.overlay.ingress {
                continue;
            }
            let page = Page::of(front);
            let transaction = steps.pages.entry(page).or_insert_with(|| {
                let mut transaction = Transaction::default();
                if !self.pages.contains(&page) {
                    let uplink = self.uplink.as_ref();
                    let target = uplink.and_then(|uplink| uplink.target(page.family()));
                    balance::lay_page(&mut transaction, page, target);
                }
                transaction
            });
            balance::change(transaction, &change);
            if change.before.is_empty() {
                let uplink = self.uplink.as_ref();
                steps.begun.extend(match front {
                    Front::Vip(vip) => Some(vip),
                    Front::Port(..) => uplink.and_then(|uplink| uplink.target(Family::Ip)),
                });
            }
        }
        let (before, after) = (vip(old.as_ref()), vip(new.as_ref()));
        if before != after {
            steps.vanished.extend(before);
            steps.appeared.extend(after);
        }
        if let Some(new) = new {
            self.services.insert(id, new);
        }
    }

    pub(super) fn bring_bound(
        &mut self,
        transaction: &mut Transaction,
        bound: &BTreeMap<(Transport, u16), Inner>,
        anew: bool,
    ) {
        let old = std::mem::replace(&mut self.bound, bound.clone());
        for (front, target) in &old {
            if !anew && bound.get(front) != Some(target) {
                balance::bound(transaction, (front.0.number(), front.1), *target, false);
            }
        }
        for (front, target) in bound {
            if anew || old.get(front) != Some(target) {
                balance::bound(transaction, (front.0.number(), front.1), *target, true);
            }
        }
    }
}

fn vip(service: Option<&Service>) -> Option<IpAddr> {
    service.and_then(|service| service.vip)
}
