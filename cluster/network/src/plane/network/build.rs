//! A network's namespace and links: found as an earlier plane left them, made, and taken away.

use super::ports::port;
use super::{Network, Site, has_v6, vni};
use crate::error::{Doing, Error};
use crate::netlink::route::Mac;
use crate::netlink::{Protocol, Socket};
use crate::netns::{self, Namespace};
use crate::plane::drained::Drained;
use crate::vxlan::{self, BRIDGE, StandIns, UPLINK, Uplink, VXLAN};
use ipnet::{IpNet, Ipv4Net};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use swarmrs_types::endpoint::Overlay;

impl Network {
    /// The network in the kernel: what an earlier plane left of it, or anew. Its rules come with [`Network::program`].
    pub(in crate::plane) fn build(
        overlay: &Overlay,
        site: &mut Site<'_>,
    ) -> Result<Network, Error> {
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
        let vxlan = Self::find_vxlan(site, &mut links)?;
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

    /// The link to the other nodes. One that leaves from where this node was before is none: it is made anew.
    fn find_vxlan(site: &Site<'_>, links: &mut Socket) -> io::Result<Option<u32>> {
        let Some(link) = links.link(VXLAN)? else {
            return Ok(None);
        };
        let here = (site.config.data_path, site.config.data_path_port);
        if link.tunnel == Some(here) {
            return Ok(Some(link.index));
        }
        links.delete_named(VXLAN)?;
        Ok(None)
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
            drained: Drained::default(),
            short: false,
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
        let mut uplink = Uplink::free(name, vni(overlay), &used, v6).ok_or_else(full)?;
        uplink.stand_ins = called(overlay).and_then(|subnet| StandIns::free(subnet, &used));
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
        let outer = vxlan::expect_link(site.links, &name)?.index;
        let at_host = site.links.addresses()?.into_iter();
        let at_host: Vec<IpNet> = at_host
            .filter(|(link, _)| *link == outer)
            .map(|(_, address)| address)
            .collect();
        let own = vxlan::expect_link(links, UPLINK)?.index;
        let addresses = links.addresses()?;
        let mut addresses = addresses.iter().filter(|(index, _)| *index == own);
        let fourth = addresses.find_map(|(_, address)| match address {
            IpNet::V4(address) => Some(address.addr()),
            IpNet::V6(_) => None,
        });
        let bare = || io::Error::other(format!("{UPLINK} has no address"));
        let mut uplink = Uplink::around(name, fourth.ok_or_else(bare)?, has_v6(overlay));
        uplink.stand_ins = called(overlay).and_then(|subnet| StandIns::found(subnet, &at_host));
        Ok(uplink)
    }

    /// Makes the link to the other nodes, if there is none yet. An encrypted network has none.
    ///
    /// # Errors
    /// `EEXIST` (as `AlreadyExists`) if another on the host has the network's number.
    pub(in crate::plane) fn connect(&mut self, site: &mut Site<'_>) -> io::Result<()> {
        // Packets of an encrypted network would leave in clear: they do not leave.
        if self.vxlan.is_some() || self.overlay.encrypted {
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

    /// Takes it all out of the kernel.
    pub(in crate::plane) fn demolish(self) -> io::Result<()> {
        let Network {
            namespace,
            mut links,
            ..
        } = self;
        take_links(&mut links)?;
        namespace.remove()
    }
}

/// Takes a namespace out of the kernel of which no more is known than where it is mounted.
pub(in crate::plane) fn demolish(path: &Path) -> io::Result<()> {
    if let Ok(namespace) = Namespace::open(path)
        && let Ok(mut links) = namespace.within(|| Socket::open(Protocol::Route))
    {
        take_links(&mut links)?;
    }
    netns::unmount(path)
}

/// The links go before their namespace: whoever has that open would else keep the network's number in use.
fn take_links(links: &mut Socket) -> io::Result<()> {
    let mut ours = links.links()?;
    ours.retain(|link| {
        let ours = [BRIDGE, VXLAN, UPLINK].contains(&link.name.as_str());
        ours || vxlan::port_address(&link.name).is_some()
    });
    links.delete_links(&ours)
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

/// The subnet whose containers the host calls by stand-ins: that of the network that published ports lead into.
fn called(overlay: &Overlay) -> Option<Ipv4Net> {
    let mut subnets = overlay.segments.iter().filter_map(|s| match s.subnet {
        IpNet::V4(subnet) => Some(subnet),
        IpNet::V6(_) => None,
    });
    let only = subnets.next().filter(|_| overlay.ingress)?;
    subnets.next().is_none().then_some(only)
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
