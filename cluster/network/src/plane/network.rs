//! One network as it stands in the kernel: its namespace, links and rules, and what is in force there.

use super::Config;
use crate::balance::{self, Ground, Page};
use crate::desired::{Desired, Member, Service, Touched};
use crate::diff::{self, Change, Front};
use crate::error::{Doing, Error};
use crate::firewall::{self, Family, Table, Transaction};
use crate::guard::{self, Port};
use crate::mesh::{Inner, Transport};
use crate::netlink::conntrack::{Flow, Which};
use crate::netlink::route::{Kind, Mac, NewLink};
use crate::netlink::{Protocol, Socket};
use crate::netns::{self, Namespace};
use crate::plane::NAME_SERVER;
use crate::vxlan::{self, BRIDGE, UPLINK, Uplink, VXLAN};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
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

/// Another node on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    index: u16,
    data_path: IpAddr,
    ingress: Option<IpAddr>,
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
    drained: BTreeMap<RawId, Vec<Flow>>,
    /// Whether the rules in the kernel are those of the fields above.
    whole: bool,
}

impl Network {
    /// The network in the kernel: what an earlier plane left of it, or anew. Its rules come with [`Network::program`].
    pub(super) fn build(overlay: &Overlay, site: &mut Site<'_>) -> Result<Network, Error> {
        let path = site.config.folder.join(overlay.id.to_string());
        if path.exists() {
            match Network::adopt(overlay, site, &path) {
                Ok(network) => return Ok(network),
                Err(error) => {
                    tracing::warn!(network = %overlay.id, %error, "a network is built anew");
                    demolish(&path).doing(|| format!("remove {}", path.display()))?;
                }
            }
        }
        let made = Network::create(overlay, site, &path);
        if made.is_err() {
            demolish(&path).doing(|| format!("remove {}", path.display()))?;
        }
        made.doing(|| format!("build network {} ({})", overlay.name, overlay.id))
    }

    fn create(overlay: &Overlay, site: &mut Site<'_>, path: &Path) -> io::Result<Network> {
        let namespace = Namespace::create(path)?;
        let v6 = has_v6(overlay);
        let (mut links, rules) = namespace.within(|| {
            settings(v6)?;
            Ok((
                Socket::open(Protocol::Route)?,
                Socket::open(Protocol::Netfilter)?,
            ))
        })?;
        let mtu = mtu(overlay, site);
        let loopback = vxlan::expect_link(&mut links, "lo")?.index;
        links.set_up(loopback)?;
        let bridge = vxlan::build_bridge(&mut links, own_mac(site), mtu)?;
        let uplink = match overlay.internal {
            true => None,
            false => Some(Self::lead_out(overlay, site, &mut links, v6, mtu)?),
        };
        let mut network = Self::standing(overlay, site, (namespace, links, rules), bridge, uplink);
        network.mtu = mtu;
        Ok(network)
    }

    /// Finds the links again.
    fn adopt(overlay: &Overlay, site: &mut Site<'_>, path: &Path) -> io::Result<Network> {
        let namespace = Namespace::open(path)?;
        let (mut links, rules) = namespace.within(|| {
            Ok((
                Socket::open(Protocol::Route)?,
                Socket::open(Protocol::Netfilter)?,
            ))
        })?;
        let bridge = vxlan::expect_link(&mut links, BRIDGE)?;
        let uplink = match overlay.internal {
            true => None,
            false => Some(Self::find_uplink(overlay, site, &mut links)?),
        };
        let vxlan = links.link(VXLAN)?.map(|link| link.index);
        let present = links.links()?;
        let mut network = Self::standing(
            overlay,
            site,
            (namespace, links, rules),
            bridge.index,
            uplink,
        );
        network.vxlan = vxlan;
        network.mtu = bridge.mtu;
        for address in present.iter().filter_map(|l| vxlan::port_address(&l.name)) {
            network.ports.insert(address, port(vec![address]));
        }
        Ok(network)
    }

    fn standing(
        overlay: &Overlay,
        site: &Site<'_>,
        (namespace, links, rules): (Namespace, Socket, Socket),
        bridge: u32,
        uplink: Option<Uplink>,
    ) -> Network {
        Network {
            overlay: overlay.clone(),
            namespace,
            links,
            rules,
            own: site.own.clone(),
            bridge,
            vxlan: None,
            uplink,
            mtu: 0,
            services: BTreeMap::new(),
            members: BTreeMap::new(),
            nodes: BTreeMap::new(),
            ports: BTreeMap::new(),
            bound: BTreeMap::new(),
            pages: BTreeSet::new(),
            drained: BTreeMap::new(),
            whole: false,
        }
    }

    fn lead_out(
        overlay: &Overlay,
        site: &mut Site<'_>,
        links: &mut Socket,
        v6: bool,
        mtu: u32,
    ) -> io::Result<Uplink> {
        let name = uplink_name(overlay, site);
        let used: Vec<IpNet> = site
            .links
            .addresses()?
            .into_iter()
            .map(|(_, a)| a)
            .collect();
        let full = || io::Error::other("no more addresses for links to networks (2,016 at most)");
        let uplink = Uplink::free(name, vni(overlay), &used, v6).ok_or_else(full)?;
        uplink.build(site.links, links, site.namespace, mtu)?;
        netns::set(&format!("ipv4/conf/{}/route_localnet", uplink.name), "1")?;
        Ok(uplink)
    }

    fn find_uplink(
        overlay: &Overlay,
        site: &mut Site<'_>,
        links: &mut Socket,
    ) -> io::Result<Uplink> {
        let name = uplink_name(overlay, site);
        vxlan::expect_link(site.links, &name)?;
        let own = vxlan::expect_link(links, UPLINK)?.index;
        let addresses = links.addresses()?;
        let mut addresses = addresses.iter().filter(|(index, _)| *index == own);
        let fourth = addresses.find_map(|(_, address)| match address {
            IpNet::V4(address) => Some(address.addr()),
            IpNet::V6(_) => None,
        });
        let bare = || io::Error::other(format!("{UPLINK} has no address"));
        Ok(Uplink::around(
            name,
            fourth.ok_or_else(bare)?,
            has_v6(overlay),
        ))
    }

    pub(super) fn has_v6(&self) -> bool {
        has_v6(&self.overlay)
    }

    /// Whether it has a link to the other nodes.
    pub(super) fn is_connected(&self) -> bool {
        self.vxlan.is_some()
    }

    /// Makes the link to the other nodes, if there is none yet.
    ///
    /// # Errors
    /// `EEXIST` (as `AlreadyExists`) if another on the host has the network's number.
    pub(super) fn connect(&mut self, site: &mut Site<'_>) -> io::Result<()> {
        if self.vxlan.is_some() {
            return Ok(());
        }
        let link = (
            vni(&self.overlay),
            site.config.data_path,
            site.config.data_path_port,
            self.mtu,
        );
        let (links, namespace) = (&mut self.links, &self.namespace);
        let index = vxlan::build_vxlan(site.links, links, namespace, self.bridge, link)?;
        self.vxlan = Some(index);
        // What lies behind the link is told with the rules.
        self.whole = false;
        Ok(())
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
            self.bring_service(&mut steps, desired.service(id, service), service);
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

    /// All addresses that the bridge is to have.
    fn addresses(&self) -> Vec<IpNet> {
        let gateways = self.overlay.segments.iter();
        let gateways = gateways
            .filter_map(|segment| IpNet::new(segment.gateway, segment.subnet.prefix_len()).ok());
        let vips = self.services.values().filter_map(|service| service.vip);
        let alone = vips.chain(self.own_ingress()).chain([NAME_SERVER]);
        gateways.chain(alone.map(vxlan::alone)).collect()
    }

    fn without_addresses(
        &mut self,
        anew: bool,
        wanted: &[IpNet],
        vanished: &[IpAddr],
    ) -> io::Result<()> {
        if !anew {
            for vip in vanished {
                self.links.delete_address(self.bridge, vxlan::alone(*vip))?;
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

    fn bring_service(&mut self, steps: &mut Steps, new: Option<Service>, id: ServiceId) {
        let old = self.services.remove(&id);
        for change in diff::changes(old.as_ref(), new.as_ref()) {
            let front = change.front();
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
            if matches!(change, Change::Begin(..)) {
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

    fn bring_member(
        &mut self,
        transaction: &mut Transaction,
        steps: &mut Steps,
        desired: &Desired,
        owner: RawId,
        anew: bool,
    ) -> io::Result<()> {
        let new = desired.member(self.overlay.id, owner);
        let new = new.map(|member| {
            let own = self.own.as_ref().map(|own| own.node);
            let elsewhere = Some(member.node) != own;
            let peer = desired.peer(member.node).filter(|_| elsewhere);
            (member, peer.map(|peer| peer.data_path))
        });
        if new.is_none() {
            self.drained.remove(&owner);
        }
        let old = self.members.remove(&owner);
        if let Some((member, node)) = &old
            && (anew || old != new)
        {
            let gone = member.addresses.iter().filter(|address| {
                let still = new.as_ref().map(|(member, _)| &member.addresses);
                !still.is_some_and(|still| still.contains(address))
            });
            steps.gone.extend(gone);
            self.place(transaction, member, *node, false, anew)?;
        }
        if let Some((member, node)) = &new
            && (anew || old != new)
        {
            self.place(transaction, member, *node, true, anew)?;
        }
        self.members.extend(new.map(|new| (owner, new)));
        Ok(())
    }

    /// Here a member may be its own backend; elsewhere the link must know its node.
    fn place(
        &mut self,
        transaction: &mut Transaction,
        member: &Member,
        node: Option<IpAddr>,
        here: bool,
        anew: bool,
    ) -> io::Result<()> {
        let Some(node) = node else {
            for address in &member.addresses {
                // Rules that are laid anew hold no old ones.
                if here || !anew {
                    balance::hairpin(transaction, *address, here);
                }
            }
            return Ok(());
        };
        let (Some(link), Some(first)) = (self.vxlan, member.addresses.first()) else {
            return Ok(());
        };
        let mac = vxlan::container_mac(*first);
        for address in &member.addresses {
            point(&mut self.links, link, (*address, mac), here)?;
        }
        forward(&mut self.links, link, (mac, node), here)
    }

    /// The other nodes' bridges, on the network that ports are carried on.
    fn bring_nodes(
        &mut self,
        transaction: &mut Transaction,
        desired: &Desired,
        anew: bool,
    ) -> io::Result<()> {
        if !self.overlay.ingress {
            return Ok(());
        }
        let own = self.own.as_ref().map(|own| own.node);
        let wanted: BTreeMap<NodeId, Node> = desired
            .peers()
            .filter(|peer| Some(peer.node) != own)
            .map(|peer| (peer.node, node_of(peer)))
            .collect();
        for (id, node) in std::mem::take(&mut self.nodes) {
            if wanted.get(&id) != Some(&node) {
                self.bring_node(transaction, &node, false, anew)?;
            } else if anew {
                self.bring_node(transaction, &node, true, anew)?;
                self.nodes.insert(id, node);
            } else {
                self.nodes.insert(id, node);
            }
        }
        for (id, node) in wanted {
            if !self.nodes.contains_key(&id) {
                self.bring_node(transaction, &node, true, anew)?;
                self.nodes.insert(id, node);
            }
        }
        Ok(())
    }

    fn bring_node(
        &mut self,
        transaction: &mut Transaction,
        node: &Node,
        here: bool,
        anew: bool,
    ) -> io::Result<()> {
        let mac = vxlan::node_mac(node.index);
        if here || !anew {
            for family in families(&self.overlay) {
                balance::node(transaction, family, mac, node.index, here);
            }
            guard::node(transaction, mac, node.index, here);
        }
        let Some(link) = self.vxlan else {
            return Ok(());
        };
        if let Some(address) = node.ingress {
            point(&mut self.links, link, (address, mac), here)?;
        }
        forward(&mut self.links, link, (mac, node.data_path), here)
    }

    fn bring_bound(
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

    /// Makes a container's link: one end a port of the bridge, the other on the host for the engine to take.
    pub(super) fn plug(
        &mut self,
        site: &mut Site<'_>,
        addresses: Vec<IpAddr>,
        name: &str,
    ) -> io::Result<Mac> {
        let Some(first) = addresses.first().copied() else {
            return Err(io::Error::other("the container has no address"));
        };
        self.unplug(first)?;
        let port = port(addresses);
        site.links.delete_named(name)?;
        let mut transaction = Transaction::default();
        guard::port(&mut transaction, &port, true);
        transaction.commit(&mut self.rules)?;
        let (mac, own) = (port.mac, port.name.clone());
        self.ports.insert(first, port);
        self.links.add_link(&NewLink {
            name: &own,
            kind: Kind::Veth {
                peer: name,
                peer_mac: Some(mac),
                peer_namespace: site.namespace.as_fd(),
            },
            mac: None,
            mtu: self.mtu,
            master: Some(self.bridge),
            namespace: None,
        })?;
        let index = vxlan::expect_link(&mut self.links, &own)?.index;
        self.links.set_hairpin(index)?;
        Ok(mac)
    }

    /// Takes a container's link and its guard away, if there are any.
    pub(super) fn unplug(&mut self, address: IpAddr) -> io::Result<()> {
        self.links.delete_named(&vxlan::port_name(address))?;
        if let Some(port) = self.ports.remove(&address) {
            let mut transaction = Transaction::default();
            guard::port(&mut transaction, &port, false);
            transaction.commit(&mut self.rules)?;
        }
        Ok(())
    }

    /// Addresses of the containers whose links are there.
    pub(super) fn plugged(&mut self) -> io::Result<Vec<IpAddr>> {
        let links = self.links.links()?;
        let addresses = links.iter();
        Ok(addresses
            .filter_map(|link| vxlan::port_address(&link.name))
            .collect())
    }

    /// How many flows that were led to an owner's addresses still live. Who waits for their end asks often: those that
    /// were found are asked for one by one, and all are looked at again when none of them is left.
    pub(super) fn live_flows(&mut self, owner: RawId, addresses: Vec<IpAddr>) -> io::Result<usize> {
        let mut known = self.drained.remove(&owner).unwrap_or_default();
        let mut left = Vec::new();
        for flow in known.drain(..) {
            if self.rules.still_alive(&flow)? {
                left.push(flow);
            }
        }
        if left.is_empty() {
            left = self.rules.flows(&[Which::LedTo(addresses)])?;
            left.retain(|flow| flow.alive);
        }
        let count = left.len();
        if count > 0 {
            self.drained.insert(owner, left);
        }
        Ok(count)
    }

    /// Cuts all flows that were led to an owner's addresses.
    pub(super) fn reset(&mut self, owner: RawId, addresses: Vec<IpAddr>) -> io::Result<()> {
        self.drained.remove(&owner);
        self.rules.cut_flows(&[Which::LedTo(addresses)])
    }

    /// Cuts flows.
    pub(super) fn cut(&mut self, which: &[Which]) -> io::Result<()> {
        self.rules.cut_flows(which)
    }

    /// Takes it all out of the kernel.
    pub(super) fn demolish(self) -> io::Result<()> {
        let Network {
            namespace,
            mut links,
            ..
        } = self;
        take_links(&mut links)?;
        namespace.remove()
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

/// Takes a namespace out of the kernel of which no more is known than where it is mounted.
pub(super) fn demolish(path: &Path) -> io::Result<()> {
    if let Ok(namespace) = Namespace::open(path)
        && let Ok(mut links) = namespace.within(|| Socket::open(Protocol::Route))
    {
        take_links(&mut links)?;
    }
    netns::unmount(path)
}

/// The links go before their namespace: whoever has that open would else keep the network's number in use.
fn take_links(links: &mut Socket) -> io::Result<()> {
    for link in links.links()? {
        let ours = [BRIDGE, VXLAN, UPLINK].contains(&link.name.as_str());
        if ours || vxlan::port_address(&link.name).is_some() {
            links.delete_named(&link.name)?;
        }
    }
    Ok(())
}

/// A namespace forwards, tells no one of shorter ways, and speaks IPv6 only if the network does.
fn settings(v6: bool) -> io::Result<()> {
    netns::set("ipv4/ip_forward", "1")?;
    for scope in ["all", "default"] {
        netns::set(&format!("ipv4/conf/{scope}/send_redirects"), "0")?;
        netns::set(&format!("ipv4/conf/{scope}/rp_filter"), "0")?;
        let file = format!("ipv6/conf/{scope}/disable_ipv6");
        if !v6 && netns::get(&file).is_some() {
            netns::set(&file, "1")?;
        }
    }
    if v6 {
        netns::set("ipv6/conf/all/forwarding", "1")?;
    }
    Ok(())
}

fn point(links: &mut Socket, link: u32, at: (IpAddr, Mac), here: bool) -> io::Result<()> {
    match here {
        true => links.put_neighbour(link, at.0, at.1),
        false => links.delete_neighbour(link, at.0),
    }
}

fn forward(links: &mut Socket, link: u32, at: (Mac, IpAddr), here: bool) -> io::Result<()> {
    match here {
        true => links.put_forward(link, at.0, at.1),
        false => links.delete_forward(link, at.0, at.1),
    }
}

fn node_of(peer: &Peer) -> Node {
    Node {
        index: peer.index,
        data_path: peer.data_path,
        ingress: peer.ingress.map(|ingress| ingress.addr()),
    }
}

fn port(addresses: Vec<IpAddr>) -> Port {
    let first = addresses.first().copied().unwrap_or(NAME_SERVER);
    Port {
        name: vxlan::port_name(first),
        mac: vxlan::container_mac(first),
        addresses,
    }
}

fn vip(service: Option<&Service>) -> Option<IpAddr> {
    service.and_then(|service| service.vip)
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

fn mtu(overlay: &Overlay, site: &Site<'_>) -> u32 {
    match overlay.mtu {
        0 => vxlan::mtu(site.underlay_mtu, site.config.data_path),
        given => given,
    }
}

fn own_mac(site: &Site<'_>) -> Mac {
    vxlan::node_mac(site.own.as_ref().map_or(0, |own| own.index))
}

fn uplink_name(overlay: &Overlay, site: &Site<'_>) -> String {
    format!("sw{}-{:x}", site.config.tag, vni(overlay))
}
