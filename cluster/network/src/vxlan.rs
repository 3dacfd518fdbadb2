//! The links of one network on one node, and who is where behind them.
//!
//! ```text
//!   host namespace          network's namespace                       container
//!   sw<tag>-<vni> .1 ◀veth▶ eg0 .2 .3   br0 (gateway, VIPs) ── p<address> ◀veth▶ eth0
//!                                        └─ vx0 ══ UDP of the host ══ other nodes
//! ```

use crate::firewall::Family;
use crate::netlink::Socket;
use crate::netlink::route::{Kind, Link, Mac, NewLink};
use crate::netns::Namespace;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

pub(crate) const BRIDGE: &str = "br0";
pub(crate) const VXLAN: &str = "vx0";
pub(crate) const UPLINK: &str = "eg0";

/// A port of the bridge is named for its container's address.
pub(crate) const PORT: char = 'p';

/// Outer Ethernet, IP, UDP and VXLAN headers. Source: RFC 7348.
const OVERHEAD_V4: u32 = 50;
const OVERHEAD_V6: u32 = 70;

/// What is left for containers.
pub(crate) fn mtu(underlay: u32, data_path: IpAddr) -> u32 {
    let overhead = match data_path {
        IpAddr::V4(_) => OVERHEAD_V4,
        IpAddr::V6(_) => OVERHEAD_V6,
    };
    underlay.saturating_sub(overhead)
}

/// The hardware address of a node's bridges.
pub(crate) fn node_mac(index: u16) -> Mac {
    let [high, low] = index.to_be_bytes();
    [0x02, 0x5a, 0, 0, high, low]
}

/// The hardware address of the container that has the address: other nodes need not be told it.
pub(crate) fn container_mac(address: IpAddr) -> Mac {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0x02, 0x42, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [0x02, 0x43, a, b, c, d]
        }
    }
}

/// The name of a container's port; an IPv4 address can be read from it again.
pub(crate) fn port_name(address: IpAddr) -> String {
    let [.., a, b, c, d] = container_mac(address);
    format!("{PORT}{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// The IPv4 address that a port is named for.
pub(crate) fn port_address(name: &str) -> Option<IpAddr> {
    let digits = name.strip_prefix(PORT).filter(|digits| digits.len() == 8)?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    Some(Ipv4Addr::from(number).into())
}

/// Where the links between host and networks take their addresses: link-local ones that clouds do not use, without
/// those of the name server. Source: the design, section K0.
pub(crate) const RANGE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 64, 0), 18);

/// Where the host's names for containers that are reached from it are: link-local too, beside all that clouds use.
pub(crate) const STAND_INS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 192, 0), 18);

/// The same for IPv6: a local range (RFC 4193), with the link's slot as the subnet.
pub(crate) const RANGE_V6: Ipv6Net =
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd5a, 0x7377, 0, 0, 0, 0, 0, 0), 32);

/// Addresses of one link.
const SLOT: u32 = 8;

/// What the host calls the addresses of a subnet by: as many, in a block that nothing else of the host is called by. So a network
/// may have a subnet that means something else to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StandIns {
    subnet: Ipv4Net,
    block: Ipv4Net,
}

impl StandIns {
    /// A block that nobody uses. None: the subnet is too large, or all are in use.
    pub(crate) fn free(subnet: Ipv4Net, used: &[IpNet]) -> Option<StandIns> {
        if subnet.prefix_len() < STAND_INS.prefix_len() {
            return None;
        }
        let mut blocks = STAND_INS.subnets(subnet.prefix_len()).ok()?;
        let meets = |block: &Ipv4Net| {
            used.iter().any(|used| match used {
                IpNet::V4(used) => block.contains(&used.addr()),
                IpNet::V6(_) => false,
            })
        };
        blocks.find(|block| !meets(block)).map(|block| StandIns {
            subnet: subnet.trunc(),
            block,
        })
    }

    /// The block that was taken before: its first address is the host's link's.
    pub(crate) fn found(subnet: Ipv4Net, of_link: &[IpNet]) -> Option<StandIns> {
        let first = of_link.iter().find_map(|address| match address {
            IpNet::V4(address) => STAND_INS.contains(&address.addr()).then(|| address.addr()),
            IpNet::V6(_) => None,
        })?;
        Some(StandIns {
            subnet: subnet.trunc(),
            block: Ipv4Net::new(first, subnet.prefix_len()).ok()?,
        })
    }

    pub(crate) fn subnet(&self) -> Ipv4Net {
        self.subnet
    }

    /// The stand-in of an address of the subnet.
    pub(crate) fn of(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        let own = u32::from(address).checked_sub(self.subnet.network().into())?;
        let known = self.subnet.contains(&address);
        known.then(|| (u32::from(self.block.network()) + own).into())
    }
}

/// The link between a network's namespace and the host: eight addresses, of which three are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uplink {
    /// On the host.
    pub name: String,
    base: Ipv4Addr,
    /// Whether it carries IPv6 too.
    pub v6: bool,
    /// What containers are called by on the host, where published ports lead to them.
    pub stand_ins: Option<StandIns>,
}

impl Uplink {
    /// The link with the slot that `address` is in.
    pub(crate) fn around(name: String, address: Ipv4Addr, v6: bool) -> Uplink {
        let base = Ipv4Addr::from(u32::from(address) / SLOT * SLOT);
        Uplink {
            name,
            base,
            v6,
            stand_ins: None,
        }
    }

    /// A link in the first slot at or after the wish that nobody uses. None: all are in use.
    pub(crate) fn free(name: String, wish: u32, used: &[IpNet], v6: bool) -> Option<Uplink> {
        let first = u32::from(RANGE.network());
        let slots = (1 << (32 - RANGE.prefix_len())) / SLOT;
        let mut candidates =
            (0..slots).map(|step| first + (wish.wrapping_add(step) % slots) * SLOT);
        let base = candidates.find(|base| {
            let slot = Ipv4Net::new_assert(Ipv4Addr::from(*base), 29);
            let names = slot.addr().octets()[2] == 77;
            let inside = |used: &IpNet| match used {
                IpNet::V4(used) => slot.contains(&used.addr()),
                IpNet::V6(_) => false,
            };
            !names && !used.iter().any(inside)
        })?;
        Some(Uplink {
            name,
            base: base.into(),
            v6,
            stand_ins: None,
        })
    }

    fn nth(&self, nth: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) + nth)
    }

    /// IPv6 addresses of the link stand in a local range, with the slot as its number.
    fn nth_v6(&self, nth: u16) -> Ipv6Addr {
        let [_, _, high, low] = self.base.octets();
        let slot = u16::from_be_bytes([high, low]);
        let [first, second, ..] = RANGE_V6.network().segments();
        Ipv6Addr::new(first, second, slot, 0, 0, 0, 0, nth)
    }

    fn in_family(&self, family: Family, nth: u8) -> Option<IpAddr> {
        match family {
            Family::Ip => Some(self.nth(u32::from(nth)).into()),
            Family::Ip6 => self.v6.then(|| self.nth_v6(u16::from(nth)).into()),
            Family::Bridge | Family::Netdev => None,
        }
    }

    /// The host's end.
    pub(crate) fn host(&self, family: Family) -> Option<IpAddr> {
        self.in_family(family, 1)
    }

    /// Where the host sends what is for a port.
    pub(crate) fn target(&self, family: Family) -> Option<IpAddr> {
        self.in_family(family, 2)
    }

    /// What the containers' own packets come from.
    pub(crate) fn egress(&self, family: Family) -> Option<IpAddr> {
        self.in_family(family, 3)
    }

    fn with_prefix(&self, address: IpAddr) -> IpNet {
        match address {
            IpAddr::V4(address) => Ipv4Net::new_assert(address, 29).into(),
            IpAddr::V6(address) => Ipv6Net::new_assert(address, 64).into(),
        }
    }

    /// Makes the link, with addresses and the way out.
    pub(crate) fn build(
        &self,
        host: &mut Socket,
        inside: &mut Socket,
        host_namespace: &Namespace,
        mtu: u32,
    ) -> io::Result<()> {
        inside.add_link(&NewLink {
            name: UPLINK,
            kind: Kind::Veth {
                peer: &self.name,
                peer_mac: None,
                peer_namespace: host_namespace.as_fd(),
            },
            mac: None,
            mtu,
            master: None,
            namespace: None,
        })?;
        let own = expect_link(inside, UPLINK)?.index;
        let other = expect_link(host, &self.name)?.index;
        host.set_up(other)?;
        for family in [Family::Ip, Family::Ip6] {
            let ends = (self.host(family), self.target(family), self.egress(family));
            let (Some(at_host), Some(target), Some(egress)) = ends else {
                continue;
            };
            host.add_address(other, self.with_prefix(at_host))?;
            inside.add_address(own, self.with_prefix(target))?;
            inside.add_address(own, self.with_prefix(egress))?;
            inside.add_route(everywhere(family), at_host, egress, own)?;
        }
        if let Some(stand_ins) = &self.stand_ins {
            let first = stand_ins.block.network().into();
            host.add_address(other, alone(first))?;
            let (target, at_host) = (self.nth(2).into(), self.nth(1).into());
            host.add_route(stand_ins.block.into(), target, at_host, other)?;
        }
        Ok(())
    }
}

fn everywhere(family: Family) -> IpNet {
    match family {
        Family::Ip6 => Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into(),
        Family::Ip | Family::Bridge | Family::Netdev => {
            Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into()
        }
    }
}

/// The link of a name that must be there.
pub(crate) fn expect_link(socket: &mut Socket, name: &str) -> io::Result<Link> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no link {name}"));
    socket.link(name)?.ok_or_else(missing)
}

/// Makes the bridge; its index.
pub(crate) fn build_bridge(inside: &mut Socket, mac: Mac, mtu: u32) -> io::Result<u32> {
    let bridge = NewLink {
        name: BRIDGE,
        kind: Kind::Bridge,
        mac: Some(mac),
        mtu,
        master: None,
        namespace: None,
    };
    inside.add_link(&bridge)?;
    Ok(expect_link(inside, BRIDGE)?.index)
}

/// Makes the link to the other nodes; its index. Its frames leave from the host's namespace, where it is asked for.
pub(crate) fn build_vxlan(
    host: &mut Socket,
    inside: &mut Socket,
    namespace: &Namespace,
    bridge: u32,
    link: (u32, IpAddr, u16, u32),
) -> io::Result<u32> {
    let (vni, local, port, mtu) = link;
    host.add_link(&NewLink {
        name: VXLAN,
        kind: Kind::Vxlan { vni, local, port },
        mac: None,
        mtu,
        master: None,
        namespace: Some(namespace.as_fd()),
    })?;
    let index = expect_link(inside, VXLAN)?.index;
    inside.set_master(index, bridge)?;
    Ok(index)
}

/// A whole address of one host.
pub(crate) fn alone(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_named_for_its_address_and_read_back() {
        let address: IpAddr = "10.0.1.254".parse().unwrap();
        assert_eq!(port_name(address), "p0a0001fe");
        assert_eq!(port_address("p0a0001fe"), Some(address));
        assert_eq!(port_address("eg0"), None);
        assert_eq!(port_address("p0a00"), None);
    }

    #[test]
    fn a_link_takes_the_next_free_slot() {
        let free = |wish, used: &[&str]| {
            let used: Vec<IpNet> = used.iter().map(|text| text.parse().unwrap()).collect();
            let uplink = Uplink::free("x".to_owned(), wish, &used, false);
            uplink
                .and_then(|uplink| uplink.host(Family::Ip))
                .map(|host| host.to_string())
        };
        assert_eq!(free(0, &[]).as_deref(), Some("169.254.64.1"));
        assert_eq!(
            free(0, &["169.254.64.6/29"]).as_deref(),
            Some("169.254.64.9")
        );
        assert_eq!(
            free(2047, &["169.254.127.249/29"]).as_deref(),
            Some("169.254.64.1")
        );
        // Slot 416 would be 169.254.77.0, the name server's.
        assert_eq!(free(416, &[]).as_deref(), Some("169.254.78.1"));
    }

    #[test]
    fn addresses_have_stand_ins_in_a_block_of_their_own() {
        let subnet: Ipv4Net = "10.0.4.0/22".parse().unwrap();
        let used = ["169.254.192.0/32".parse().unwrap()];
        let free = StandIns::free(subnet, &used).unwrap();
        let of = |text: &str| free.of(text.parse().unwrap()).map(|a| a.to_string());
        assert_eq!(of("10.0.5.11").as_deref(), Some("169.254.197.11"));
        assert_eq!(of("10.0.8.1"), None);
        assert_eq!(of("10.0.3.255"), None);
        let again = StandIns::found(subnet, &["169.254.196.0/32".parse().unwrap()]);
        assert_eq!(again, Some(free));
        let large: Ipv4Net = "10.0.0.0/16".parse().unwrap();
        assert_eq!(StandIns::free(large, &[]), None);
    }

    #[test]
    fn an_uplink_is_known_again_by_any_of_its_addresses() {
        let one = Uplink::around("x".to_owned(), Ipv4Addr::new(169, 254, 64, 10), false);
        assert_eq!(
            one.target(Family::Ip),
            Some("169.254.64.10".parse().unwrap())
        );
        assert_eq!(
            one.egress(Family::Ip),
            Some("169.254.64.11".parse().unwrap())
        );
        assert_eq!(one.egress(Family::Ip6), None);
    }

    #[test]
    fn the_underlay_leaves_room_for_its_headers() {
        assert_eq!(mtu(1500, "10.0.0.1".parse().unwrap()), 1450);
        assert_eq!(mtu(1500, "fd00::1".parse().unwrap()), 1430);
    }
}
