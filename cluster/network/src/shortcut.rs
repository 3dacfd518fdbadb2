//! The short way between the host and a container: past the network's own stack, without a second look at the flow.
//!
//! ```text
//!   host ─▶ eg0: a stand-in? the address becomes the container's ─▶ its port
//!   port ─▶ leads out of the network? the address becomes its stand-in ─▶ eg0 ─▶ host
//! ```
//!
//! The host knows a container of the network by a stand-in of its address ([`StandIns`]), one to one, and keeps track of its
//! flows. So the namespace needs to remember nothing: addresses are rewritten where packets come in, and they leave by the
//! other link at once. What stays inside the network goes the long way, guards and all, and so does everything
//! while there are other nodes: a flow that came over one of them must be told from the host's own. The long
//! way ([`crate::balance`]) rewrites by the same stand-ins, so flows go on over a change from one to the other.

use crate::firewall::{
    Element, Expression, Family, Gives, Set, Sum, Table, Transaction, Type, rule,
};
use crate::guard::Port;
use crate::netlink::route::{Mac, octets};
use crate::plane::NAME_SERVER;
use crate::vxlan::{StandIns, UPLINK};
use std::net::{IpAddr, Ipv4Addr};

const PLACES: &str = "places";
/// ICMP's errors carry the head of the packet they speak of. Source: RFC 792.
const ICMP: u8 = libc::IPPROTO_ICMP as u8;
const ERRORS: [u8; 3] = [3, 11, 12];
/// Where that packet's sum, source and destination are, behind the eight bytes of ICMP's header.
const INNER_SUM: u32 = 18;
const INNER_SOURCE: u32 = 20;
const INNER_DESTINATION: u32 = 24;

/// What the way of one network's containers depends on.
pub(crate) struct Ground<'a> {
    pub stand_ins: &'a StandIns,
    pub bridge: Mac,
    /// The host's end of the link between.
    pub host: Ipv4Addr,
    /// The number of this end.
    pub uplink: u32,
}

/// The table at the link to the host.
pub(crate) fn table() -> Table {
    let name = "swarmrs".to_owned();
    Table {
        family: Family::Netdev,
        name,
    }
}

/// The table at a container's port. Each has its own: the kernel takes a chain away with its link, a table it leaves.
pub(crate) fn table_of(port: &Port) -> Table {
    Table {
        family: Family::Netdev,
        name: format!("swarmrs-{}", port.name),
    }
}

/// The table at the link to the host anew, without containers.
pub(crate) fn lay(transaction: &mut Transaction) {
    let table = table();
    transaction.fresh_table(&table);
    let places = Set {
        name: PLACES,
        key: &[Type::Ipv4],
        gives: Gives::Data(&[Type::Integer, Type::Mac, Type::Ipv4]),
        ranges: false,
    };
    transaction.set(&table, &places);
    transaction.entrance(&table, UPLINK, UPLINK);
    // Registers: the stand-in, the port's number, the container's hardware address (two), its address.
    let known = || {
        let mut known = rule::carries(rule::ETHER_IP);
        known.extend([
            rule::destination(Family::Ip, 0),
            rule::load_from(0, PLACES, 1),
        ]);
        known
    };
    for kind in ERRORS {
        let mut of_error = rule::is_message(ICMP, kind);
        of_error.extend(known());
        of_error.push(inner(INNER_SOURCE, 4));
        transaction.rule(&table, UPLINK, &of_error);
    }
    let mut to_port = known();
    to_port.extend([
        Expression::SetPayload {
            base: rule::LINK,
            offset: 0,
            length: 6,
            from: 2,
            sum: Sum::None,
        },
        outer(16, 4),
        Expression::Send {
            link: 1,
            neighbour: None,
        },
    ]);
    transaction.rule(&table, UPLINK, &to_port);
}

/// A container's way, whose port has the number; none of it if it has no stand-in.
pub(crate) fn open(transaction: &mut Transaction, ground: &Ground<'_>, port: &Port, number: u32) {
    let Some((address, stand_in)) = stand_in(ground.stand_ins, port) else {
        return;
    };
    let place = Element::data(
        &[&stand_in.octets()],
        &[&number.to_ne_bytes(), &port.mac, &address.octets()],
    );
    transaction.elements(&table(), PLACES, &[place]);
    let table = table_of(port);
    transaction.fresh_table(&table);
    transaction.entrance(&table, UPLINK, &port.name);
    for kind in ERRORS {
        let mut of_error = rule::is_message(ICMP, kind);
        of_error.extend(leads_out(ground, address));
        of_error.extend([load(0, stand_in), inner(INNER_DESTINATION, 0)]);
        transaction.rule(&table, UPLINK, &of_error);
    }
    let mut to_host = leads_out(ground, address);
    to_host.extend([
        load(0, stand_in),
        outer(12, 0),
        load(1, ground.host),
        Expression::Load {
            to: 2,
            value: ground.uplink.to_ne_bytes().to_vec(),
        },
        Expression::Send {
            link: 2,
            neighbour: Some(1),
        },
    ]);
    transaction.rule(&table, UPLINK, &to_host);
}

/// Takes a container's way away.
pub(crate) fn close(transaction: &mut Transaction, ground: &StandIns, port: &Port) {
    if let Some((_, stand_in)) = stand_in(ground, port) {
        let place = Element::key(&[&stand_in.octets()]);
        transaction.no_elements(&table(), PLACES, &[place]);
        transaction.no_table(&table_of(port));
    }
}

/// A container's address that has a stand-in, and that.
pub(crate) fn stand_in(stand_ins: &StandIns, port: &Port) -> Option<(Ipv4Addr, Ipv4Addr)> {
    port.addresses.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some((*address, stand_ins.of(*address)?)),
        IpAddr::V6(_) => None,
    })
}

/// The container's own, to the network's gateway, for someone who is not on the network.
fn leads_out(ground: &Ground<'_>, address: Ipv4Addr) -> Vec<Expression> {
    let subnet = ground.stand_ins.subnet();
    let mut rule = rule::carries(rule::ETHER_IP);
    rule.extend([
        rule::destination_mac(0),
        rule::compare(0, &ground.bridge),
        rule::source(Family::Ip, 0),
        rule::compare(0, &address.octets()),
        rule::destination(Family::Ip, 0),
        rule::differs(0, &octets(NAME_SERVER)),
        Expression::And {
            register: 0,
            mask: subnet.netmask().octets().to_vec(),
        },
        rule::differs(0, &subnet.network().octets()),
    ]);
    rule
}

/// Sets an address of the packet.
fn outer(offset: u32, from: u8) -> Expression {
    Expression::SetPayload {
        base: rule::NETWORK,
        offset,
        length: 4,
        from,
        sum: Sum::OfAddress,
    }
}

/// Sets an address of the packet that an error speaks of. With its own sum set right, ICMP's stays what it was.
fn inner(offset: u32, from: u8) -> Expression {
    Expression::SetPayload {
        base: rule::BEHIND_NETWORK,
        offset,
        length: 4,
        from,
        sum: Sum::At(INNER_SUM),
    }
}

fn load(to: u8, address: Ipv4Addr) -> Expression {
    Expression::Load {
        to,
        value: address.octets().to_vec(),
    }
}
