//! The rules inside a network's namespace: virtual addresses, published ports, the way out and the way back.
//!
//! ```text
//!   container ─▶ br0: VIP? one of its backends ─▶ br0 (bridged, source kept)
//!   host ─▶ eg0: port? one of its backends     ─▶ br0 (source kept; [`crate::shortcut`] is before this)
//!   container ─▶ eg0: source becomes the link's ─▶ host
//! ```
//!
//! A flow that came from another node's bridge carries that node's number as its mark and its zone, so that
//! replies find back to the node that was asked (with [`crate::guard`]'s rewrite) and equal flows over two
//! nodes do not meet. A virtual address is also an address of the bridge: what no rule leads on is refused at once.
//!
//! A front with one target is an element of a map, one with several has a chain of its own, whose rule counts turns. With
//! each change the kernel walks all chains of the namespace, but not the elements: among 3,000 chains an update takes
//! twice the time, among as many elements it takes the same as among ten.
//! And it checks a whole table with each rule that rewrites addresses. Fronts are therefore spread over [`PAGES`]
//! tables of their own, so that a change of one among thousands costs what it costs among a hundred; a
//! packet comes by all of them only when it begins a flow.

use crate::diff::{Change, Front, Target};
use crate::firewall::{
    At, Direction, Element, Expression, Family, Gives, Hook, Nat, Set, Table, Transaction, Type,
    rule,
};
use crate::netlink::route::{Mac, octets};
use crate::vxlan::{BRIDGE, UPLINK, Uplink};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// Our bits of marks, and the value that stands in them beside a node's number.
pub(crate) const MARK_MASK: u32 = 0xffff_0000;
pub(crate) const MARK: u32 = 0x5a00_0000;

const VIPS: &str = "vips";
const VIPS_OF_ONE: &str = "vips-of-one";
const HAIRPIN: &str = "hairpin";
const PUBLISHED: &str = "published";
const PUBLISHED_OF_ONE: &str = "published-of-one";
const BOUND: &str = "bound";
const INNER: &str = "inner";
const OUTER: &str = "outer";
const NODES: &str = "nodes";
const ZONES: &str = "zones";

/// Tables that fronts are spread over. 3,000 services of several tasks are a hundred in each, whose check takes 0.3 ms.
const PAGES: u32 = 32;

const BEFORE_TRACKING: i32 = -300;
const MANGLE: i32 = -150;
const DESTINATION: i32 = -100;
const SOURCE: i32 = 100;

/// Our table of a family; the namespace is ours alone.
pub(crate) fn table(family: Family) -> Table {
    let name = "swarmrs".to_owned();
    Table { family, name }
}

/// One of the tables that fronts are spread over; the same one for a front at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Page {
    v6: bool,
    number: u32,
}

impl Page {
    /// The one a front is in. Addresses and ports are given out one after another, so their ends spread evenly.
    pub(crate) fn of(front: Front) -> Page {
        let (v6, spread) = match front {
            Front::Vip(IpAddr::V4(vip)) => (false, u32::from(vip)),
            Front::Vip(IpAddr::V6(vip)) => (true, u128::from(vip) as u32),
            Front::Port(_, port) => (false, u32::from(port)),
        };
        let number = spread % PAGES;
        Page { v6, number }
    }

    pub(crate) fn family(self) -> Family {
        if self.v6 { Family::Ip6 } else { Family::Ip }
    }

    pub(crate) fn table(self) -> Table {
        let name = format!("swarmrs-{}", self.number);
        Table {
            family: self.family(),
            name,
        }
    }
}

/// What the lasting rules depend on.
pub(crate) struct Ground<'a> {
    pub family: Family,
    pub subnets: &'a [IpNet],
    /// What a container sees as its client when it calls itself through its service.
    pub gateway: IpAddr,
    /// None: no way out, and no published ports.
    pub uplink: Option<&'a Uplink>,
    /// What a container sees as its client if the host or a container calls.
    pub own: IpAddr,
}

/// The table anew, with chains, empty sets and the rules that last.
pub(crate) fn lay(transaction: &mut Transaction, ground: &Ground<'_>) {
    let table = table(ground.family);
    transaction.fresh_table(&table);
    sets(transaction, &table);
    ways_back(transaction, &table);
    destinations(transaction, &table, ground);
    forwarding(transaction, &table, ground);
    sources(transaction, &table, ground);
}

fn sets(transaction: &mut Transaction, table: &Table) {
    let two: &[Type] = match table.family {
        Family::Ip6 => &[Type::Ipv6, Type::Ipv6],
        Family::Ip | Family::Bridge | Family::Netdev => &[Type::Ipv4, Type::Ipv4],
    };
    let mut set = |name, key, gives| {
        let ranges = false;
        transaction.set(
            table,
            &Set {
                name,
                key,
                gives,
                ranges,
            },
        );
    };
    set(HAIRPIN, two, Gives::Nothing);
    set(
        BOUND,
        &[Type::Protocol, Type::Port],
        Gives::Data(with_port(table.family)),
    );
    if table.family == Family::Ip {
        set(INNER, &[Type::Ipv4], Gives::Data(&[Type::Ipv4]));
        set(OUTER, &[Type::Ipv4], Gives::Data(&[Type::Ipv4]));
    }
    set(NODES, &[Type::Mac], Gives::Data(&[Type::Mark]));
    set(ZONES, &[Type::Mac], Gives::Data(&[Type::Port]));
}

fn with_port(family: Family) -> &'static [Type] {
    match family {
        Family::Ip6 => &[Type::Ipv6, Type::Port],
        Family::Ip | Family::Bridge | Family::Netdev => &[Type::Ipv4, Type::Port],
    }
}

/// Registers an address takes.
fn registers(family: Family) -> u8 {
    if family == Family::Ip6 { 4 } else { 1 }
}

fn hook(kind: &'static str, at: At, priority: i32) -> Option<Hook> {
    Some(Hook { kind, at, priority })
}

/// Which node a flow came over.
fn ways_back(transaction: &mut Transaction, table: &Table) {
    transaction.chain(
        table,
        "zone",
        hook("filter", At::Prerouting, BEFORE_TRACKING),
    );
    let mut zone = rule::comes_from(BRIDGE);
    zone.extend([
        rule::source_mac(0),
        rule::load_from(0, ZONES, 2),
        Expression::SetCt {
            key: rule::CT_ZONE,
            direction: Some(Direction::Original),
            from: 2,
        },
    ]);
    transaction.rule(table, "zone", &zone);

    transaction.chain(table, "mark", hook("filter", At::Prerouting, MANGLE));
    let mut begun = rule::comes_from(BRIDGE);
    begun.extend(rule::flow_goes(Direction::Original));
    begun.extend(rule::flow_has(rule::CT_STATE, rule::NEW, true));
    begun.extend([
        rule::source_mac(0),
        rule::load_from(0, NODES, 2),
        Expression::SetCt {
            key: rule::CT_MARK,
            direction: None,
            from: 2,
        },
    ]);
    transaction.rule(table, "mark", &begun);
    let mut answered = rule::comes_from(BRIDGE);
    answered.extend(rule::flow_goes(Direction::Reply));
    answered.extend(marked());
    answered.extend([
        Expression::Ct {
            key: rule::CT_MARK,
            to: 0,
        },
        Expression::SetMark { from: 0 },
    ]);
    transaction.rule(table, "mark", &answered);
}

/// The flow bears a node's mark.
fn marked() -> Vec<Expression> {
    vec![
        Expression::Ct {
            key: rule::CT_MARK,
            to: 0,
        },
        Expression::And {
            register: 0,
            mask: MARK_MASK.to_ne_bytes().to_vec(),
        },
        rule::compare(0, &MARK.to_ne_bytes()),
    ]
}

fn destinations(transaction: &mut Transaction, table: &Table, ground: &Ground<'_>) {
    let family = table.family;
    transaction.chain(
        table,
        "destination",
        hook("nat", At::Prerouting, DESTINATION),
    );
    if let Some(target) = ground.uplink.and_then(|uplink| uplink.target(family)) {
        let mut bound = rule::comes_from(UPLINK);
        bound.extend(rule::destination_is(target));
        bound.extend(rule::transport_and_port(0));
        bound.extend([
            rule::load_from(0, BOUND, 2),
            rule::rewrite_destination(family, 2, Some(2 + registers(family))),
        ]);
        transaction.rule(table, "destination", &bound);
    }
    if stands_in(table, ground) {
        let mut called = rule::comes_from(UPLINK);
        called.extend([
            rule::destination(family, 0),
            rule::load_from(0, INNER, 1),
            rule::rewrite_destination(family, 1, None),
        ]);
        transaction.rule(table, "destination", &called);
    }
}

/// Whether the host calls containers of the network by stand-ins.
fn stands_in(table: &Table, ground: &Ground<'_>) -> bool {
    let uplink = ground.uplink.and_then(|uplink| uplink.stand_ins.as_ref());
    table.family == Family::Ip && uplink.is_some()
}

/// A page anew, without fronts. With the address that published ports come to, if any do.
pub(crate) fn lay_page(transaction: &mut Transaction, page: Page, target: Option<IpAddr>) {
    let table = page.table();
    transaction.fresh_table(&table);
    let address: &'static [Type] = if page.v6 {
        &[Type::Ipv6]
    } else {
        &[Type::Ipv4]
    };
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
    let port: &'static [Type] = &[Type::Protocol, Type::Port];
    set(VIPS, address, Gives::Chain);
    set(VIPS_OF_ONE, address, Gives::Data(address));
    set(PUBLISHED, port, Gives::Chain);
    set(
        PUBLISHED_OF_ONE,
        port,
        Gives::Data(with_port(page.family())),
    );
    let chain = "destination";
    transaction.chain(&table, chain, hook("nat", At::Prerouting, DESTINATION));
    let behind = registers(page.family());
    if let Some(target) = target {
        let leads = [
            vec![rule::lead_by(0, PUBLISHED)],
            vec![
                rule::load_from(0, PUBLISHED_OF_ONE, 2),
                rule::rewrite_destination(page.family(), 2, Some(2 + behind)),
            ],
        ];
        for lead in leads {
            let mut published = rule::comes_from(UPLINK);
            published.extend(rule::destination_is(target));
            published.extend(rule::transport_and_port(0));
            published.extend(lead);
            transaction.rule(&table, chain, &published);
        }
    }
    let vip = [rule::destination(page.family(), 0), rule::lead_by(0, VIPS)];
    transaction.rule(&table, chain, &vip);
    let of_one = [
        rule::destination(page.family(), 0),
        rule::load_from(0, VIPS_OF_ONE, behind),
        rule::rewrite_destination(page.family(), behind, None),
    ];
    transaction.rule(&table, chain, &of_one);
}

fn forwarding(transaction: &mut Transaction, table: &Table, ground: &Ground<'_>) {
    transaction.chain(table, "forward", hook("filter", At::Forward, 0));
    if ground.uplink.is_none() {
        return;
    }
    let with = |mut beginning: Vec<Expression>, condition: Vec<Expression>, verdict| {
        beginning.extend(condition);
        beginning.push(verdict);
        beginning
    };
    let from_host = || rule::comes_from(UPLINK);
    let to_host = || rule::goes_to(UPLINK);
    let known = rule::flow_has(rule::CT_STATE, rule::ESTABLISHED_OR_RELATED, true);
    let led = rule::flow_has(rule::CT_STATUS, rule::DESTINATION_REWRITTEN, true);
    let invalid = rule::flow_has(rule::CT_STATE, rule::INVALID, true);
    let rules = [
        with(from_host(), known, Expression::Accept),
        with(from_host(), led, Expression::Accept),
        with(from_host(), vec![], Expression::Drop),
        // A reply whose node is gone would leave from here with a wrong source.
        with(to_host(), marked(), Expression::Drop),
        with(to_host(), invalid, Expression::Drop),
    ];
    for rule in &rules {
        transaction.rule(table, "forward", rule);
    }
}

fn sources(transaction: &mut Transaction, table: &Table, ground: &Ground<'_>) {
    let family = table.family;
    transaction.chain(table, "source", hook("nat", At::Postrouting, SOURCE));
    let mut itself = rule::goes_to(BRIDGE);
    itself.extend([
        rule::source(family, 0),
        rule::destination(family, registers(family)),
        rule::is_in(0, HAIRPIN),
    ]);
    itself.extend(rule::rewrite_source(ground.gateway));
    transaction.rule(table, "source", &itself);
    let Some(uplink) = ground.uplink else {
        return;
    };
    if stands_in(table, ground) {
        // What begins here comes from the same one, so a flow may change ways.
        let mut called = rule::goes_to(UPLINK);
        called.extend([
            rule::source(family, 0),
            rule::load_from(0, OUTER, 1),
            Expression::Nat {
                nat: Nat::Source,
                family,
                address: 1,
                port: None,
            },
        ]);
        transaction.rule(table, "source", &called);
    }
    if let Some(out) = uplink.egress(family) {
        for subnet in ground.subnets {
            let mut way_out = rule::goes_to(UPLINK);
            way_out.extend(rule::source_within(*subnet));
            way_out.extend(rule::rewrite_source(out));
            transaction.rule(table, "source", &way_out);
        }
    }
    if let Some(host) = uplink.host(family) {
        let mut way_in = rule::goes_to(BRIDGE);
        way_in.extend(rule::source_is(host));
        way_in.extend(rule::rewrite_source(ground.own));
        transaction.rule(table, "source", &way_in);
    }
}

/// Brings a change of a front into the rules.
pub(crate) fn change(transaction: &mut Transaction, change: &Change) {
    let front = change.front;
    let (table, chain) = (Page::of(front).table(), chain_of(front));
    let (map, element) = entry(front, &chain);
    let turns = Turns {
        table: &table,
        chain: &chain,
        map,
        element,
    };
    match (change.before.as_slice(), change.now.as_slice()) {
        ([_, _, ..], now @ [_, _, ..]) => turns.redirect(transaction, now),
        (before, now) => {
            if let [only] = before {
                lead_to_one(transaction, &table, front, *only, false);
            }
            if let [only] = now {
                lead_to_one(transaction, &table, front, *only, true);
            }
            match (before, now) {
                ([_, _, ..], _) => turns.end(transaction),
                (_, [_, _, ..]) => turns.begin(transaction, now),
                _ => {}
            }
        }
    }
}

/// Leads a front to its one target, or no more.
fn lead_to_one(
    transaction: &mut Transaction,
    table: &Table,
    front: Front,
    (address, port): Target,
    here: bool,
) {
    let address = octets(address);
    let (map, element) = match front {
        Front::Vip(vip) => (VIPS_OF_ONE, Element::data(&[&octets(vip)], &[&address])),
        Front::Port(transport, published) => {
            let key: [&[u8]; 2] = [&[transport.number()], &published.to_be_bytes()];
            let port = port.unwrap_or(published).to_be_bytes();
            (PUBLISHED_OF_ONE, Element::data(&key, &[&address, &port]))
        }
    };
    transaction.elements_if(here, table, map, &[element]);
}

fn chain_of(front: Front) -> String {
    match front {
        Front::Vip(vip) => format!("vip-{vip}"),
        Front::Port(transport, port) => format!("port-{}-{port}", transport.name()),
    }
}

fn entry(front: Front, chain: &str) -> (&'static str, Element) {
    match front {
        Front::Vip(vip) => (VIPS, Element::chain(&[&octets(vip)], chain)),
        Front::Port(transport, port) => {
            let key: [&[u8]; 2] = [&[transport.number()], &port.to_be_bytes()];
            (PUBLISHED, Element::chain(&key, chain))
        }
    }
}

/// A chain that leads each new flow to the next of some targets, and what leads to the chain.
pub(crate) struct Turns<'a> {
    pub table: &'a Table,
    pub chain: &'a str,
    pub map: &'a str,
    pub element: Element,
}

impl Turns<'_> {
    pub(crate) fn begin(self, transaction: &mut Transaction, targets: &[Target]) {
        transaction.chain(self.table, self.chain, None);
        self.lead(transaction, targets);
        transaction.elements(self.table, self.map, &[self.element]);
    }

    pub(crate) fn redirect(self, transaction: &mut Transaction, targets: &[Target]) {
        transaction.flush_chain(self.table, self.chain);
        self.lead(transaction, targets);
    }

    pub(crate) fn end(self, transaction: &mut Transaction) {
        transaction.no_elements(self.table, self.map, &[self.element]);
        transaction.no_chain(self.table, self.chain);
    }

    fn lead(&self, transaction: &mut Transaction, targets: &[Target]) {
        let rule = turns(self.table.family, targets);
        transaction.rule(self.table, self.chain, &rule);
    }
}

/// Each new flow goes to the next target.
fn turns(family: Family, targets: &[Target]) -> Vec<Expression> {
    let with_ports = targets.iter().any(|(_, port)| port.is_some());
    let element = |(turn, (address, port)): (usize, &Target)| {
        let turn = (turn as u32).to_ne_bytes();
        let address = octets(*address);
        match port {
            Some(port) => Element::data(&[&turn], &[&address, &port.to_be_bytes()]),
            None => Element::data(&[&turn], &[&address]),
        }
    };
    let gives: &'static [Type] = match (with_ports, family) {
        (true, _) => with_port(family),
        (false, Family::Ip6) => &[Type::Ipv6],
        (false, _) => &[Type::Ipv4],
    };
    let values = targets.iter().enumerate().map(element);
    let mut rule = rule::take_turns(gives, values, 4);
    let port = with_ports.then(|| 4 + registers(family));
    rule.push(rule::rewrite_destination(family, 4, port));
    rule
}

/// A container of this node may be its own backend, or is gone.
pub(crate) fn hairpin(transaction: &mut Transaction, address: IpAddr, here: bool) {
    let table = table(rule::family_of(address));
    let address = octets(address);
    let element = [Element::key(&[&address, &address])];
    transaction.elements_if(here, &table, HAIRPIN, &element);
}

/// A container of this node and what the host calls it by, or no more.
pub(crate) fn stand_in(
    transaction: &mut Transaction,
    address: Ipv4Addr,
    stand_in: Ipv4Addr,
    here: bool,
) {
    let table = table(Family::Ip);
    let (address, stand_in) = (address.octets(), stand_in.octets());
    let inner = [Element::data(&[&stand_in], &[&address])];
    let outer = [Element::data(&[&address], &[&stand_in])];
    transaction.elements_if(here, &table, INNER, &inner);
    transaction.elements_if(here, &table, OUTER, &outer);
}

/// A host port that leads to one container, or no more.
pub(crate) fn bound(
    transaction: &mut Transaction,
    front: (u8, u16),
    target: (IpAddr, u16),
    here: bool,
) {
    let table = table(rule::family_of(target.0));
    let key: [&[u8]; 2] = [&[front.0], &front.1.to_be_bytes()];
    let data: [&[u8]; 2] = [&octets(target.0), &target.1.to_be_bytes()];
    let element = [Element::data(&key, &data)];
    transaction.elements_if(here, &table, BOUND, &element);
}

/// Another node of the network, by its bridge's address, or no more.
pub(crate) fn node(
    transaction: &mut Transaction,
    family: Family,
    mac: Mac,
    index: u16,
    here: bool,
) {
    let table = table(family);
    let mark = [Element::data(
        &[&mac],
        &[&(MARK | u32::from(index)).to_ne_bytes()],
    )];
    let zone = [Element::data(&[&mac], &[&index.to_ne_bytes()])];
    transaction.elements_if(here, &table, NODES, &mark);
    transaction.elements_if(here, &table, ZONES, &zone);
}
