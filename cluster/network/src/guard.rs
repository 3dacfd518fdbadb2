//! What a container's port lets in: its own frames, and no one else's.
//!
//! Containers may forge any frame (they have NET_RAW by default). A frame from a container's port passes only with
//! the container's own hardware address, and with its own address in ARP, IP and neighbour
//! advertisements. Only what comes over VXLAN may bear another node's address: marks and zones can be trusted.

use crate::balance::{MARK, table as own_table};
use crate::firewall::{
    At, Element, Expression, Family, Gives, Hook, Set, Sum, Table, Transaction, Type, name_key,
    rule,
};
use crate::netlink::route::{Mac, octets};
use crate::vxlan::VXLAN;
use std::net::IpAddr;

const MACS: &str = "macs";
const ARP: &str = "arp";
const SOURCES: &str = "sources";
const SOURCES_V6: &str = "sources6";
const NODES: &str = "nodes";

/// Before anything else looks at a frame.
const FIRST: i32 = -350;
/// After the IP families' rules have seen it (those of br_netfilter are at 0).
const AFTER_IP: i32 = 10;

const ICMP6: u8 = libc::IPPROTO_ICMPV6 as u8;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// A name takes four registers.
const BEHIND_NAME: u8 = 4;

/// A container's port and what may come from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// The bridge's end of its link.
    pub name: String,
    pub mac: Mac,
    pub addresses: Vec<IpAddr>,
}

fn table() -> Table {
    own_table(Family::Bridge)
}

/// The table anew. IPv6 frames pass only on a network that has it.
pub(crate) fn lay(transaction: &mut Transaction, bridge: Mac, v6: bool) {
    let table = table();
    transaction.fresh_table(&table);
    let mut set = |name, key, gives| {
        let ranges = false;
        transaction.set(
            &table,
            &Set {
                name,
                key,
                gives,
                ranges,
            },
        );
    };
    set(MACS, &[Type::Name, Type::Mac], Gives::Nothing);
    set(ARP, &[Type::Name, Type::Mac, Type::Ipv4], Gives::Nothing);
    set(SOURCES, &[Type::Name, Type::Ipv4], Gives::Nothing);
    set(SOURCES_V6, &[Type::Name, Type::Ipv6], Gives::Nothing);
    set(NODES, &[Type::Mark], Gives::Data(&[Type::Mac]));

    let hook = |priority| {
        Some(Hook {
            kind: "filter",
            at: At::Prerouting,
            priority,
        })
    };
    transaction.chain(&table, "guard", hook(FIRST));
    transaction.chain(&table, "guard6", None);
    for rule in guards(v6) {
        transaction.rule(&table, "guard", &rule);
    }
    for rule in guards_v6() {
        transaction.rule(&table, "guard6", &rule);
    }
    // A reply to what came over another node goes back to that node's bridge.
    transaction.chain(&table, "back", hook(AFTER_IP));
    let back = [
        rule::destination_mac(0),
        rule::compare(0, &bridge),
        Expression::Meta {
            key: rule::MARK,
            to: 0,
        },
        rule::load_from(0, NODES, 1),
        Expression::SetPayload {
            base: rule::LINK,
            offset: 0,
            length: 6,
            from: 1,
            sum: Sum::None,
        },
    ];
    transaction.rule(&table, "back", &back);
}

fn name() -> Expression {
    Expression::Meta {
        key: rule::IN_NAME,
        to: 0,
    }
}

fn guards(v6: bool) -> Vec<Vec<Expression>> {
    let mut from_nodes = rule::comes_from(VXLAN);
    from_nodes.push(Expression::Accept);
    let foreign_mac = vec![
        name(),
        rule::source_mac(BEHIND_NAME),
        rule::is_not_in(0, MACS),
        Expression::Drop,
    ];
    let mut foreign_arp = rule::carries(rule::ETHER_ARP);
    foreign_arp.extend([
        name(),
        Expression::Payload {
            base: rule::NETWORK,
            offset: 8,
            length: 6,
            to: BEHIND_NAME,
        },
        Expression::Payload {
            base: rule::NETWORK,
            offset: 14,
            length: 4,
            to: BEHIND_NAME + 2,
        },
        rule::is_not_in(0, ARP),
        Expression::Drop,
    ]);
    let mut foreign_source = rule::carries(rule::ETHER_IP);
    foreign_source.extend([
        name(),
        rule::source(Family::Ip, BEHIND_NAME),
        rule::is_not_in(0, SOURCES),
        Expression::Drop,
    ]);
    let mut sixth = rule::carries(rule::ETHER_IP6);
    sixth.push(if v6 {
        Expression::Jump("guard6".to_owned())
    } else {
        Expression::Drop
    });
    let passes = |kind| {
        let mut rule = rule::carries(kind);
        rule.push(Expression::Accept);
        rule
    };
    vec![
        from_nodes,
        foreign_mac,
        foreign_arp,
        foreign_source,
        sixth,
        passes(rule::ETHER_IP),
        passes(rule::ETHER_ARP),
        passes(rule::ETHER_IP6),
        vec![Expression::Drop],
    ]
}

/// Routes are ours to announce, neighbours their own.
fn guards_v6() -> Vec<Vec<Expression>> {
    let message = |kind| rule::is_message(ICMP6, kind);
    let never = |kind| {
        let mut rule = message(kind);
        rule.push(Expression::Drop);
        rule
    };
    let mut foreign_neighbour = message(NEIGHBOUR_ADVERTISEMENT);
    foreign_neighbour.extend([
        name(),
        Expression::Payload {
            base: rule::BEHIND_NETWORK,
            offset: 8,
            length: 16,
            to: BEHIND_NAME,
        },
        rule::is_not_in(0, SOURCES_V6),
        Expression::Drop,
    ]);
    let foreign_source = vec![
        name(),
        rule::source(Family::Ip6, BEHIND_NAME),
        rule::is_not_in(0, SOURCES_V6),
        Expression::Drop,
    ];
    vec![
        never(ROUTER_ADVERTISEMENT),
        never(REDIRECT),
        foreign_neighbour,
        foreign_source,
    ]
}

/// Lets a port's own frames in, or no more.
pub(crate) fn port(transaction: &mut Transaction, port: &Port, here: bool) {
    let name = name_key(&port.name);
    let mut put = |set, elements: Vec<Element>| {
        transaction.elements_if(here, &table(), set, &elements);
    };
    put(MACS, vec![Element::key(&[&name, &port.mac])]);
    let mut own_v6 = vec![
        // What a host says before it has an address, and what it derives from its hardware address.
        Element::key(&[&name, &[0; 16]]),
        Element::key(&[&name, &link_local(port.mac)]),
    ];
    for address in &port.addresses {
        let octets = octets(*address);
        match address {
            IpAddr::V4(_) => {
                put(ARP, vec![Element::key(&[&name, &port.mac, &octets])]);
                put(SOURCES, vec![Element::key(&[&name, &octets])]);
            }
            IpAddr::V6(_) => own_v6.push(Element::key(&[&name, &octets])),
        }
    }
    put(SOURCES_V6, own_v6);
}

/// Source: RFC 4291, appendix A.
fn link_local(mac: Mac) -> [u8; 16] {
    let [a, b, c, d, e, f] = mac;
    [
        0xfe,
        0x80,
        0,
        0,
        0,
        0,
        0,
        0,
        a ^ 2,
        b,
        c,
        0xff,
        0xfe,
        d,
        e,
        f,
    ]
}

/// Where replies over a node go, or no more.
pub(crate) fn node(transaction: &mut Transaction, mac: Mac, index: u16, here: bool) {
    let mark = (MARK | u32::from(index)).to_ne_bytes();
    let element = [Element::data(&[&mark], &[&mac])];
    if here {
        transaction.elements(&table(), NODES, &element);
    } else {
        transaction.no_elements(&table(), NODES, &element);
    }
}
