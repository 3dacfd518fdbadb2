//! One network as it stands in the kernel: its namespace, links and rules, and what is in force there.

mod build;
mod flows;
mod fronts;
mod members;
mod ports;
mod short;

pub(super) use build::demolish;

use super::Config;
use crate::balance::{self, Ground, Page};
use crate::desired::{Desired, Member, Service, Touched};
use crate::error::{Doing, Error};
use crate::firewall::{self, Family, Table, Transaction};
use crate::guard::{self, Port};
use crate::mesh::{Inner, Transport};
use crate::netlink::Socket;
use crate::netlink::conntrack::Which;
use crate::netns::Namespace;
use crate::plane::drained::Drained;
use crate::shortcut;
use crate::vxlan::{self, Uplink};
use ipnet::IpNet;
use members::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use swarmrs_types::endpoint::{Overlay, Peer};
use swarmrs_types::id::{NodeId, RawId, ServiceId};

/// What of the host a network is built with.
pub(super) struct Site<'a> {
    pub config: &'a Config,
    pub namespace: &'a Namespace,
    pub links: &'a mut Socket,
    /// This node among the peers.
    pub own: Option<Peer>,
    /// Of the link that carries the frames.
    pub underlay_mtu: u32,
}

pub(super) struct Network {
    pub overlay: Overlay,
    namespace: Namespace,
    links: Socket,
    rules: Socket,
    own: Option<Peer>,
    bridge: u32,
    vxlan: Option<u32>,
    pub uplink: Option<Uplink>,
    pub mtu: u32,
    pub services: BTreeMap<ServiceId, Service>,
    members: BTreeMap<RawId, (Member, Option<IpAddr>)>,
    nodes: BTreeMap<NodeId, Node>,
    ports: BTreeMap<IpAddr, Port>,
    bound: BTreeMap<(Transport, u16), Inner>,
    pages: BTreeSet<Page>,
    /// Flows whose end someone waits for.
    drained: Drained,
    /// Whether containers go the short way.
    short: bool,
    /// Whether the rules in the kernel are those of the fields above.
    whole: bool,
}

impl Network {
    pub(super) fn has_v6(&self) -> bool {
        has_v6(&self.overlay)
    }

    /// Whether it has a link to the other nodes.
    pub(super) fn is_connected(&self) -> bool {
        self.vxlan.is_some()
    }

    /// Brings what was touched into force, or everything if the kernel does not hold what it should.
    /// The flows that are to be cut then are returned.
    pub(super) fn program(
        &mut self,
        desired: &Desired,
        touched: &Touched,
        bound: &BTreeMap<(Transport, u16), Inner>,
    ) -> Result<Vec<Which>, Error> {
        let doing = || format!("program network {}", self.overlay.name);
        let text = doing();
        self.bring(desired, touched, bound).doing(|| text)
    }

    fn bring(
        &mut self,
        desired: &Desired,
        touched: &Touched,
        bound: &BTreeMap<(Transport, u16), Inner>,
    ) -> io::Result<Vec<Which>> {
        let id = self.overlay.id;
        let anew = !self.whole;
        let all = anew.then(|| desired.all_of(id));
        let touched_here = all.as_ref().unwrap_or(touched);
        let mut transaction = Transaction::default();
        let mut steps = Steps::default();
        let mut stale = Vec::new();
        if anew {
            self.lay(&mut transaction, desired);
            stale = firewall::tables(&mut self.rules)?;
            self.pages.clear();
        }
        self.whole = false;
        if anew || !touched.peers.is_empty() {
            self.bring_nodes(&mut transaction, desired, anew)?;
        }
        let mut services: BTreeSet<ServiceId> = on(id, &touched_here.services).collect();
        let mut members: BTreeSet<RawId> = on(id, &touched_here.endpoints).collect();
        if anew {
            services.extend(std::mem::take(&mut self.services).into_keys());
            members.extend(self.members.keys().copied());
        }
        for service in services {
            let new = desired.service(id, service);
            let new = new.or_else(|| self.outlived(desired, service));
            self.bring_service(&mut steps, new, service);
        }
        for member in members {
            self.bring_member(&mut transaction, &mut steps, desired, member, anew)?;
        }
        self.bring_bound(&mut transaction, bound, anew);
        let wanted: Vec<IpNet> = match anew {
            true => self.addresses(),
            false => steps
                .appeared
                .iter()
                .map(|vip| vxlan::alone(*vip))
                .collect(),
        };
        for address in &wanted {
            self.links.add_address(self.bridge, *address)?;
        }
        transaction.commit(&mut self.rules)?;
        for (page, transaction) in std::mem::take(&mut steps.pages) {
            transaction.commit(&mut self.rules)?;
            self.pages.insert(page);
        }
        self.settle_short(anew);
        self.without_stale(&stale)?;
        self.without_addresses(anew, &wanted, &steps.vanished)?;
        self.whole = true;
        let cuts = [Which::LedTo(steps.gone), Which::Unled(steps.begun)];
        let some = |which: &Which| !matches!(which, Which::LedTo(list) | Which::Unled(list) if list.is_empty());
        Ok(cuts.into_iter().filter(some).collect())
    }

    /// Takes away those tables of an earlier plane that were not laid anew.
    fn without_stale(&mut self, present: &[Table]) -> io::Result<()> {
        let mut kept: Vec<Table> = self.pages.iter().map(|page| page.table()).collect();
        kept.extend([Family::Ip, Family::Ip6, Family::Bridge].map(balance::table));
        kept.extend(self.short_tables());
        let mut transaction = Transaction::default();
        for table in present.iter().filter(|table| !kept.contains(table)) {
            transaction.no_table(table);
        }
        transaction.commit(&mut self.rules)
    }

    /// Tables, lasting rules, and the ports of containers.
    fn lay(&mut self, transaction: &mut Transaction, desired: &Desired) {
        let subnets: Vec<IpNet> = self.overlay.segments.iter().map(|s| s.subnet).collect();
        for family in families(&self.overlay) {
            let own = self.own_address(family);
            let (Some(gateway), Some(own)) = (self.gateway(family), own) else {
                continue;
            };
            let v6 = family == Family::Ip6;
            let subnets: Vec<IpNet> = subnets
                .iter()
                .copied()
                .filter(|s| s.addr().is_ipv6() == v6)
                .collect();
            let ground = Ground {
                family,
                subnets: &subnets,
                gateway,
                uplink: self.uplink.as_ref(),
                own,
            };
            balance::lay(transaction, &ground);
        }
        let index = self.own.as_ref().map_or(0, |own| own.index);
        guard::lay(transaction, vxlan::node_mac(index), has_v6(&self.overlay));
        for (address, port) in &mut self.ports {
            if let Some(endpoint) = desired.at(self.overlay.id, *address) {
                port.addresses = endpoint.addresses.iter().map(|a| a.addr()).collect();
            }
            guard::port(transaction, port, true);
            call(transaction, self.uplink.as_ref(), port, true);
        }
    }

    /// The network's gateway in a family.
    pub(super) fn gateway(&self, family: Family) -> Option<IpAddr> {
        let v6 = family == Family::Ip6;
        let mut gateways = self.overlay.segments.iter().map(|segment| segment.gateway);
        gateways.find(|gateway| gateway.is_ipv6() == v6)
    }

    /// The node's own address on the network, or what stands in for it.
    fn own_address(&self, family: Family) -> Option<IpAddr> {
        self.own_ingress()
            .filter(|address| address.is_ipv6() == (family == Family::Ip6))
            .or_else(|| self.gateway(family))
    }

    fn own_ingress(&self) -> Option<IpAddr> {
        let ingress = self.own.as_ref()?.ingress?;
        self.overlay.ingress.then(|| ingress.addr())
    }
}

/// The host's name for a container, on the long way.
fn call(transaction: &mut Transaction, uplink: Option<&Uplink>, port: &Port, here: bool) {
    let stand_ins = uplink.and_then(|uplink| uplink.stand_ins.as_ref());
    if let Some((address, stand_in)) = stand_ins.and_then(|known| shortcut::stand_in(known, port)) {
        balance::stand_in(transaction, address, stand_in, here);
    }
}

/// What goes with a transaction, before and after it.
#[derive(Default)]
struct Steps {
    appeared: Vec<IpAddr>,
    vanished: Vec<IpAddr>,
    /// Backends that are no more.
    gone: Vec<IpAddr>,
    /// Addresses that led nowhere before.
    begun: Vec<IpAddr>,
    /// A change of a front is in force at one moment; those of many need not be at the same.
    pages: BTreeMap<Page, Transaction>,
}

/// Of pairs, those on one network.
fn on<T: Copy + Ord>(
    network: swarmrs_types::id::NetworkId,
    pairs: &BTreeSet<(swarmrs_types::id::NetworkId, T)>,
) -> impl Iterator<Item = T> {
    let ours = pairs.iter().filter(move |(other, _)| *other == network);
    ours.map(|(_, one)| *one)
}

fn families(overlay: &Overlay) -> impl Iterator<Item = Family> {
    let v6 = has_v6(overlay).then_some(Family::Ip6);
    [Family::Ip].into_iter().chain(v6)
}

fn has_v6(overlay: &Overlay) -> bool {
    overlay
        .segments
        .iter()
        .any(|segment| segment.subnet.addr().is_ipv6())
}

/// The network's number on the wire: its first segment's.
pub(super) fn vni(overlay: &Overlay) -> u32 {
    overlay.segments.first().map_or(0, |segment| segment.vni)
}
