//! The host's side: published ports, the way out, and what may not come in over our links.
//!
//! ```text
//!   to an address of this host, a published port ─▶ a container's stand-in, if all are here (see [`crate::shortcut`])
//!                                                ─▶ else .2 of the network's link (its namespace does the rest)
//!   from .3 of a network's link ─▶ outside, as this host
//! ```
//!
//! All of it stands in tables of our own, beside those of the engine and the administrator; the one place where
//! an accept of ours is needed within theirs is [`docker_user`], and a zone of [`firewalld`] where that is.

pub(crate) mod docker_user;
pub(crate) mod firewalld;

use crate::balance::Turns;
use crate::diff::Target;
use crate::firewall::{
    At, Element, Expression, Family, Gives, Hook, Set, Table, Transaction, Type, Value, rule,
};
use crate::netlink::route::octets;
use crate::plane::Tag;
use crate::vxlan::{RANGE, RANGE_V6, STAND_INS};
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use swarmrs_types::spec::Protocol;

/// A transport protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
    Sctp,
}

impl Transport {
    /// A port's protocol; TCP if it names none. None: one that has no ports.
    pub fn named(protocol: Option<&Protocol>) -> Option<Transport> {
        match protocol {
            None | Some(Protocol::Tcp) => Some(Transport::Tcp),
            Some(Protocol::Udp) => Some(Transport::Udp),
            Some(Protocol::Sctp) => Some(Transport::Sctp),
            Some(Protocol::Other(_)) => None,
        }
    }

    /// By its number in IP headers.
    pub fn numbered(number: u8) -> Option<Transport> {
        [Transport::Tcp, Transport::Udp, Transport::Sctp]
            .into_iter()
            .find(|transport| transport.number() == number)
    }

    pub fn number(self) -> u8 {
        match self {
            Transport::Tcp => 6,
            Transport::Udp => 17,
            Transport::Sctp => 132,
        }
    }

    pub fn protocol(self) -> Protocol {
        match self {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
            Transport::Sctp => Protocol::Sctp,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        }
    }
}

const PUBLISHED: &str = "published";
const BOUND: &str = "bound";
const TURNS: &str = "turns";
const SUBNETS: &str = "subnets";
const NETWORKS: &str = "networks";
const NODES: &str = "nodes";

const BEFORE_TRACKING: i32 = -300;
/// Before the engine's own (-100), so that a port of ours is never taken by a rule of its.
const DESTINATION: i32 = -105;
const SOURCE: i32 = 95;
const FILTER: i32 = 0;
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

/// Our table of the host.
pub(crate) fn table(tag: &Tag, family: Family) -> Table {
    let name = format!("sw{tag}");
    Table { family, name }
}

/// The names of our links on the host.
pub(crate) fn links(tag: &Tag) -> String {
    format!("sw{tag}-*")
}

/// Where a port of the host leads: the target of a network's link, and the port there.
pub(crate) type Inner = (IpAddr, u16);

/// Where the host leads a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Into the network, where it is balanced.
    pub inner: Inner,
    /// Containers that the host itself leads its clients to; those that must be answered by way of the host go into the
    /// network all the same.
    pub turns: Vec<Target>,
}

/// A port of the host, on one address of it or on all.
pub(crate) type Outer = (Transport, Option<IpAddr>, u16);

/// The table anew, with empty sets and the rules that last.
pub(crate) fn lay(transaction: &mut Transaction, tag: &Tag, data_path_port: u16) {
    let table = table(tag, Family::Ip);
    transaction.fresh_table(&table);
    let mut set = |name, key, gives, ranges| {
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
    let inner = Gives::Data(&[Type::Ipv4, Type::Port]);
    set(PUBLISHED, &[Type::Protocol, Type::Port], inner, false);
    set(
        BOUND,
        &[Type::Ipv4, Type::Protocol, Type::Port],
        inner,
        false,
    );
    set(TURNS, &[Type::Protocol, Type::Port], Gives::Chain, false);
    set(SUBNETS, &[Type::Ipv4], Gives::Nothing, true);
    set(NETWORKS, &[Type::Integer], Gives::Nothing, false);
    set(NODES, &[Type::Ipv4], Gives::Nothing, false);

    let ours = links(tag);
    lay_filters(transaction, &table, &ours, data_path_port);
    lay_destinations(transaction, &table, &ours);
    lay_sources(transaction, &table, &ours);
}

fn lay_filters(transaction: &mut Transaction, table: &Table, ours: &str, data_path_port: u16) {
    let hook = |at, priority| {
        Some(Hook {
            kind: "filter",
            at,
            priority,
        })
    };
    // Loopback addresses are routed on our links for the host's own sake; nobody else may use that.
    transaction.chain(table, "loopback", hook(At::Prerouting, BEFORE_TRACKING));
    for end in [rule::source_within, rule::destination_within] {
        let mut never = rule::comes_from(ours);
        never.extend(end(LOOPBACK.into()));
        never.push(Expression::Drop);
        transaction.rule(table, "loopback", &never);
    }
    // From one network into another only by a published port.
    transaction.chain(table, "forward", hook(At::Forward, FILTER));
    let mut across = rule::comes_from(ours);
    across.extend(rule::goes_to(ours));
    across.extend(rule::flow_has(
        rule::CT_STATE,
        rule::ESTABLISHED_OR_RELATED,
        false,
    ));
    across.extend(rule::flow_has(
        rule::CT_STATUS,
        rule::DESTINATION_REWRITTEN,
        false,
    ));
    across.push(Expression::Drop);
    transaction.rule(table, "forward", &across);
    // To a stand-in only by a published port, whatever the host forwards else.
    let mut uncalled = rule::goes_to(ours);
    uncalled.extend(rule::destination_within(STAND_INS.into()));
    uncalled.extend(rule::flow_has(
        rule::CT_STATE,
        rule::ESTABLISHED_OR_RELATED,
        false,
    ));
    uncalled.extend(rule::flow_has(
        rule::CT_STATUS,
        rule::DESTINATION_REWRITTEN,
        false,
    ));
    uncalled.push(Expression::Drop);
    transaction.rule(table, "forward", &uncalled);
    // Frames of our networks come from our nodes.
    transaction.chain(table, "frames", hook(At::Input, FILTER));
    let mut strangers = rule::transport_and_port(0);
    strangers.extend([
        rule::compare(0, &[Transport::Udp.number()]),
        rule::compare(1, &data_path_port.to_be_bytes()),
        // The network's number: three bytes, four behind the UDP header's eight, loaded with the reserved one.
        Expression::Payload {
            base: rule::BEHIND_NETWORK,
            offset: 12,
            length: 4,
            to: 2,
        },
        rule::is_in(2, NETWORKS),
        rule::source(Family::Ip, 3),
        rule::is_not_in(3, NODES),
        Expression::Drop,
    ]);
    transaction.rule(table, "frames", &strangers);
}

fn lay_destinations(transaction: &mut Transaction, table: &Table, ours: &str) {
    let hook = |at| {
        Some(Hook {
            kind: "nat",
            at,
            priority: DESTINATION,
        })
    };
    transaction.chain(table, "ports", None);
    let mut bound = vec![rule::destination(Family::Ip, 0)];
    bound.extend(rule::transport_and_port(1));
    bound.extend([
        rule::load_from(0, BOUND, 3),
        rule::rewrite_destination(Family::Ip, 3, Some(4)),
    ]);
    transaction.rule(table, "ports", &bound);
    let mut far = rule::comes_from_elsewhere(ours);
    far.extend(rule::source_beyond(LOOPBACK.into()));
    far.extend([rule::source(Family::Ip, 0), rule::is_not_in(0, SUBNETS)]);
    far.extend(rule::transport_and_port(0));
    far.push(rule::lead_by(0, TURNS));
    transaction.rule(table, "ports", &far);
    let mut published = rule::transport_and_port(0);
    published.extend([
        rule::load_from(0, PUBLISHED, 2),
        rule::rewrite_destination(Family::Ip, 2, Some(3)),
    ]);
    transaction.rule(table, "ports", &published);
    for (name, at) in [("incoming", At::Prerouting), ("outgoing", At::Output)] {
        transaction.chain(table, name, hook(at));
        let mut here = rule::destination_is_here();
        here.push(Expression::Jump("ports".to_owned()));
        transaction.rule(table, name, &here);
    }
}

fn lay_sources(transaction: &mut Transaction, table: &Table, ours: &str) {
    let hook = Some(Hook {
        kind: "nat",
        at: At::Postrouting,
        priority: SOURCE,
    });
    transaction.chain(table, "source", hook);
    // A client that could not be answered where it stands is answered by way of the host.
    for near in [LOOPBACK, RANGE, STAND_INS] {
        let mut hidden = rule::goes_to(ours);
        hidden.extend(rule::source_within(near.into()));
        hidden.push(Expression::Masquerade);
        transaction.rule(table, "source", &hidden);
    }
    let mut overlapping = rule::goes_to(ours);
    overlapping.extend([
        rule::source(Family::Ip, 0),
        rule::is_in(0, SUBNETS),
        Expression::Masquerade,
    ]);
    transaction.rule(table, "source", &overlapping);
    for ours_only in [RANGE, STAND_INS] {
        let mut way_out = rule::goes_elsewhere(ours);
        way_out.extend(rule::source_within(ours_only.into()));
        way_out.push(Expression::Masquerade);
        transaction.rule(table, "source", &way_out);
    }
}

/// The IPv6 table anew: the way out, and no way from one network into another.
pub(crate) fn lay_v6(transaction: &mut Transaction, tag: &Tag) {
    let table = table(tag, Family::Ip6);
    let ours = links(tag);
    transaction.fresh_table(&table);
    let hook = |kind, at, priority| Some(Hook { kind, at, priority });
    transaction.chain(&table, "forward", hook("filter", At::Forward, FILTER));
    let mut across = rule::comes_from(&ours);
    across.extend(rule::goes_to(&ours));
    across.push(Expression::Drop);
    transaction.rule(&table, "forward", &across);
    transaction.chain(&table, "source", hook("nat", At::Postrouting, SOURCE));
    let mut way_out = rule::goes_elsewhere(&ours);
    way_out.extend(rule::source_within(RANGE_V6.into()));
    way_out.push(Expression::Masquerade);
    transaction.rule(&table, "source", &way_out);
}

/// Leads a port of the host on, or no more.
pub(crate) fn lead(
    transaction: &mut Transaction,
    tag: &Tag,
    outer: Outer,
    inner: Inner,
    here: bool,
) {
    let (transport, host, port) = outer;
    let (number, port) = ([transport.number()], port.to_be_bytes());
    let data: [&[u8]; 2] = [&octets(inner.0), &inner.1.to_be_bytes()];
    let (map, element) = match host {
        None => (PUBLISHED, Element::data(&[&number, &port], &data)),
        Some(host) => {
            let host = octets(host);
            (BOUND, Element::data(&[&host, &number, &port], &data))
        }
    };
    put(transaction, tag, map, vec![element], here);
}

/// Containers that a port's clients are led to from now on, one after another, instead of those of before.
pub(crate) fn take_turns(
    transaction: &mut Transaction,
    tag: &Tag,
    (transport, host, port): Outer,
    before: &[Target],
    now: &[Target],
) {
    if before == now || host.is_some() {
        return;
    }
    let table = table(tag, Family::Ip);
    let chain = format!("{}-{port}", transport.name());
    let key: [&[u8]; 2] = [&[transport.number()], &port.to_be_bytes()];
    let turns = Turns {
        table: &table,
        chain: &chain,
        map: TURNS,
        element: Element::chain(&key, &chain),
    };
    match (before, now) {
        (_, []) => turns.end(transaction),
        ([], now) => turns.begin(transaction, now),
        (_, now) => turns.redirect(transaction, now),
    }
}

/// A network's subnet stands behind us, or no more.
pub(crate) fn subnet(transaction: &mut Transaction, tag: &Tag, subnet: Ipv4Net, here: bool) {
    let behind = u32::from(subnet.broadcast()).wrapping_add(1);
    let end = Element {
        key: behind.to_be_bytes().to_vec(),
        value: Value::RangeEnd,
    };
    let begin = Element::key(&[&subnet.network().octets()]);
    put(transaction, tag, SUBNETS, vec![begin, end], here);
}

/// A network whose frames are guarded, or no more.
pub(crate) fn network(transaction: &mut Transaction, tag: &Tag, vni: u32, here: bool) {
    let element = Element::key(&[&(vni << 8).to_be_bytes()]);
    put(transaction, tag, NETWORKS, vec![element], here);
}

/// A node whose frames are let in, or no more.
pub(crate) fn node(transaction: &mut Transaction, tag: &Tag, address: IpAddr, here: bool) {
    if let IpAddr::V4(address) = address {
        let element = Element::key(&[&address.octets()]);
        put(transaction, tag, NODES, vec![element], here);
    }
}

fn put(transaction: &mut Transaction, tag: &Tag, set: &str, elements: Vec<Element>, here: bool) {
    transaction.elements_if(here, &table(tag, Family::Ip), set, &elements);
}

/// The subnets of a network that an IPv4 host can meet.
pub(crate) fn v4(subnets: &[IpNet]) -> impl Iterator<Item = Ipv4Net> {
    subnets.iter().filter_map(|subnet| match subnet {
        IpNet::V4(subnet) => Some(*subnet),
        IpNet::V6(_) => None,
    })
}
