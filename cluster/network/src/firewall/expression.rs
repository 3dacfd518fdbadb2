//! What rules are made of: values loaded into registers, compared, looked up and acted on.
//!
//! Registers are the sixteen of four bytes; a longer value takes those that follow.

use super::{Element, Family, GOTO, Type, put_verdict};
use crate::netlink::Message;

/// One step of a rule; a comparison that fails ends the rule.
#[derive(Clone, Debug)]
pub(crate) enum Expression {
    /// Loads what is known of the packet.
    Meta {
        key: u32,
        to: u8,
    },
    /// Sets the packet's mark.
    SetMark {
        from: u8,
    },
    /// Loads bytes of a header.
    Payload {
        base: u32,
        offset: u32,
        length: u32,
        to: u8,
    },
    /// Rewrites bytes of a header, and the sum that covers them.
    SetPayload {
        base: u32,
        offset: u32,
        length: u32,
        from: u8,
        sum: Sum,
    },
    /// Goes on if equal, or not.
    Compare {
        register: u8,
        equal: bool,
        value: Vec<u8>,
    },
    /// Keeps the bits of a mask.
    And {
        register: u8,
        mask: Vec<u8>,
    },
    /// Loads what is known of the flow.
    Ct {
        key: u32,
        to: u8,
    },
    /// Sets the flow's mark, or its zone in one direction.
    SetCt {
        key: u32,
        direction: Option<Direction>,
        from: u8,
    },
    /// Goes on if the key is in the set; from a map the value is loaded, a chain is gone on with.
    Lookup {
        from: Source,
        register: u8,
        found: Found,
    },
    /// Counts up, from 0 below the modulus and again.
    Turn {
        modulus: u32,
        to: u8,
    },
    /// Rewrites source or destination.
    Nat {
        nat: Nat,
        family: Family,
        address: u8,
        port: Option<u8>,
    },
    /// Rewrites the source to the outgoing link's address.
    Masquerade,
    /// Sends the packet out over the link whose number the register has: to the frame's receiver as it is, or to a neighbour.
    Send {
        link: u8,
        neighbour: Option<u8>,
    },
    /// Loads of which kind the destination is for this host.
    DestinationKind {
        to: u8,
    },
    Load {
        to: u8,
        value: Vec<u8>,
    },
    Accept,
    Drop,
    Jump(String),
}

/// What a look-up is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// The rule goes on.
    GoesOn,
    /// The rule ends there.
    Ends,
    /// Loads the value.
    Loads(u8),
    /// Goes on with the chain.
    Leads,
}

/// Where a look-up looks.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Named(&'static str),
    /// Made for this rule alone.
    InPlace {
        gives: &'static [Type],
        elements: Vec<Element>,
    },
}

/// What sum goes with bytes that are rewritten.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sum {
    None,
    /// One in the same header, at an offset.
    At(u32),
    /// An IPv4 header's own, and that of TCP or UDP behind it, which covers addresses too.
    OfAddress,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Nat {
    Source = 0,
    Destination = 1,
}

/// Of a flow's packets, those of its beginner or those of the other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Original = 0,
    Reply = 1,
}

const ACCEPT: i32 = 1;
const DROP: i32 = 0;
const JUMP: i32 = -3;
const REGISTERS: u32 = 8;
const VERDICT_REGISTER: u32 = 0;

/// Writes a rule's expressions; maps in place carry numbers from `map` on.
pub(super) fn put(list: &mut Message, rule: &[Expression], mut map: u32) {
    for expression in rule {
        list.nest(1, |item| {
            item.text(1, name(expression));
            item.nest(2, |data| put_one(data, expression, map));
        });
        if let Expression::Lookup {
            from: Source::InPlace { .. },
            ..
        } = expression
        {
            map += 1;
        }
    }
}

fn name(expression: &Expression) -> &'static str {
    match expression {
        Expression::Meta { .. } | Expression::SetMark { .. } => "meta",
        Expression::Payload { .. } | Expression::SetPayload { .. } => "payload",
        Expression::Compare { .. } => "cmp",
        Expression::And { .. } => "bitwise",
        Expression::Ct { .. } | Expression::SetCt { .. } => "ct",
        Expression::Lookup { .. } => "lookup",
        Expression::Turn { .. } => "numgen",
        Expression::Nat { .. } => "nat",
        Expression::Masquerade => "masq",
        Expression::Send { .. } => "fwd",
        Expression::DestinationKind { .. } => "fib",
        Expression::Load { .. } | Expression::Accept | Expression::Drop | Expression::Jump(_) => {
            "immediate"
        }
    }
}

fn register(slot: u8) -> u32 {
    REGISTERS + u32::from(slot)
}

/// Attribute numbers are those of linux/netfilter/nf_tables.h for the expression's name.
fn put_one(data: &mut Message, expression: &Expression, map: u32) {
    match expression {
        Expression::Meta { key, to } => {
            data.number(2, *key).number(1, register(*to));
        }
        Expression::SetMark { from } => {
            data.number(2, rule::MARK).number(3, register(*from));
        }
        Expression::Payload {
            base,
            offset,
            length,
            to,
        } => {
            data.number(1, register(*to));
            data.number(2, *base).number(3, *offset).number(4, *length);
        }
        Expression::SetPayload {
            base,
            offset,
            length,
            from,
            sum,
        } => {
            data.number(5, register(*from));
            data.number(2, *base).number(3, *offset).number(4, *length);
            let (kind, at, pseudo_header) = match sum {
                Sum::None => (0, 0, 0),
                Sum::At(at) => (1, *at, 0),
                Sum::OfAddress => (1, 10, 1),
            };
            data.number(6, kind).number(7, at).number(8, pseudo_header);
        }
        Expression::Compare {
            register: slot,
            equal,
            value,
        } => {
            data.number(1, register(*slot)).number(2, u32::from(!equal));
            data.nest(3, |nest| {
                nest.put(1, value);
            });
        }
        Expression::And {
            register: slot,
            mask,
        } => put_and(data, *slot, mask),
        Expression::Ct { key, to } => {
            data.number(2, *key).number(1, register(*to));
        }
        Expression::SetCt {
            key,
            direction,
            from,
        } => {
            data.number(2, *key).number(4, register(*from));
            if let Some(direction) = direction {
                data.put(3, &[*direction as u8]);
            }
        }
        Expression::Lookup {
            from,
            register: slot,
            found,
        } => {
            put_lookup(data, from, *slot, *found, map);
        }
        Expression::Turn { modulus, to } => {
            data.number(1, register(*to)).number(2, *modulus);
            data.number(3, 0).number(4, 0);
        }
        Expression::Nat {
            nat,
            family,
            address,
            port,
        } => {
            data.number(1, *nat as u32);
            data.number(2, u32::from(family.number()));
            data.number(3, register(*address));
            if let Some(port) = port {
                data.number(5, register(*port));
            }
        }
        Expression::Masquerade => {}
        Expression::Send { link, neighbour } => {
            data.number(1, register(*link));
            if let Some(neighbour) = neighbour {
                data.number(2, register(*neighbour));
                data.number(3, u32::from(Family::Ip.number()));
            }
        }
        Expression::DestinationKind { to } => {
            data.number(1, register(*to)).number(2, 3).number(3, 2);
        }
        Expression::Load { to, value } => {
            data.number(1, register(*to));
            data.nest(2, |nest| {
                nest.put(1, value);
            });
        }
        Expression::Accept => put_immediate(data, ACCEPT, None),
        Expression::Drop => put_immediate(data, DROP, None),
        Expression::Jump(chain) => put_immediate(data, JUMP, Some(chain)),
    }
}

fn put_and(data: &mut Message, slot: u8, mask: &[u8]) {
    data.number(1, register(slot)).number(2, register(slot));
    data.number(3, mask.len() as u32);
    data.nest(4, |nest| {
        nest.put(1, mask);
    });
    data.nest(5, |nest| {
        nest.put(1, &vec![0; mask.len()]);
    });
}

fn put_lookup(data: &mut Message, from: &Source, slot: u8, found: Found, map: u32) {
    match from {
        Source::Named(name) => {
            data.text(1, name);
        }
        Source::InPlace { .. } => {
            data.text(1, "__map%d").number(4, map);
        }
    }
    data.number(2, register(slot));
    match found {
        Found::GoesOn => {}
        Found::Ends => {
            data.number(5, 1);
        }
        Found::Loads(to) => {
            data.number(3, register(to));
        }
        Found::Leads => {
            data.number(3, VERDICT_REGISTER);
        }
    }
}

fn put_immediate(data: &mut Message, code: i32, chain: Option<&str>) {
    debug_assert!(code != GOTO);
    data.number(1, VERDICT_REGISTER);
    data.nest(2, |nest| put_verdict(nest, code, chain));
}

/// Beginnings and ends of rules, named for what they read as.
pub(crate) mod rule {
    use super::{Direction, Element, Expression, Family, Found, Nat, Source, Type};
    use crate::netlink::route::octets;
    use std::net::IpAddr;

    // Keys of `meta`.
    pub(crate) const PROTOCOL: u32 = 1;
    pub(crate) const MARK: u32 = 3;
    pub(crate) const IN_NAME: u32 = 6;
    pub(crate) const OUT_NAME: u32 = 7;
    pub(crate) const TRANSPORT: u32 = 16;
    // Keys of `ct`.
    pub(crate) const CT_STATE: u32 = 0;
    pub(crate) const CT_DIRECTION: u32 = 1;
    pub(crate) const CT_STATUS: u32 = 2;
    pub(crate) const CT_MARK: u32 = 3;
    pub(crate) const CT_ZONE: u32 = 17;
    // Bits of a flow's state and status.
    pub(crate) const INVALID: u32 = 1;
    pub(crate) const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
    pub(crate) const NEW: u32 = 8;
    pub(crate) const DESTINATION_REWRITTEN: u32 = 1 << 5;
    // Headers.
    pub(crate) const LINK: u32 = 0;
    pub(crate) const NETWORK: u32 = 1;
    pub(crate) const BEHIND_NETWORK: u32 = 2;
    // What a frame carries.
    pub(crate) const ETHER_IP: [u8; 2] = [0x08, 0x00];
    pub(crate) const ETHER_ARP: [u8; 2] = [0x08, 0x06];
    pub(crate) const ETHER_IP6: [u8; 2] = [0x86, 0xdd];
    /// `fib … type local`.
    const LOCAL: u32 = 2;

    pub(crate) fn compare(register: u8, value: &[u8]) -> Expression {
        Expression::Compare {
            register,
            equal: true,
            value: value.to_vec(),
        }
    }

    pub(crate) fn differs(register: u8, value: &[u8]) -> Expression {
        Expression::Compare {
            register,
            equal: false,
            value: value.to_vec(),
        }
    }

    /// The link has the name, or a name that begins so if it ends in `*`.
    fn link_is(key: u32, name: &str, equal: bool) -> Vec<Expression> {
        let value = match name.strip_suffix('*') {
            Some(beginning) => beginning.as_bytes().to_vec(),
            None => super::super::name_key(name).to_vec(),
        };
        vec![
            Expression::Meta { key, to: 0 },
            Expression::Compare {
                register: 0,
                equal,
                value,
            },
        ]
    }

    pub(crate) fn comes_from(link: &str) -> Vec<Expression> {
        link_is(IN_NAME, link, true)
    }

    pub(crate) fn goes_to(link: &str) -> Vec<Expression> {
        link_is(OUT_NAME, link, true)
    }

    pub(crate) fn goes_elsewhere(link: &str) -> Vec<Expression> {
        link_is(OUT_NAME, link, false)
    }

    pub(crate) fn comes_from_elsewhere(link: &str) -> Vec<Expression> {
        link_is(IN_NAME, link, false)
    }

    /// Loads the packet's source address.
    pub(crate) fn source(family: Family, to: u8) -> Expression {
        let (offset, length) = if family == Family::Ip6 {
            (8, 16)
        } else {
            (12, 4)
        };
        Expression::Payload {
            base: NETWORK,
            offset,
            length,
            to,
        }
    }

    /// Loads the packet's destination address.
    pub(crate) fn destination(family: Family, to: u8) -> Expression {
        let (offset, length) = if family == Family::Ip6 {
            (24, 16)
        } else {
            (16, 4)
        };
        Expression::Payload {
            base: NETWORK,
            offset,
            length,
            to,
        }
    }

    pub(crate) fn source_mac(to: u8) -> Expression {
        Expression::Payload {
            base: LINK,
            offset: 6,
            length: 6,
            to,
        }
    }

    pub(crate) fn destination_mac(to: u8) -> Expression {
        Expression::Payload {
            base: LINK,
            offset: 0,
            length: 6,
            to,
        }
    }

    pub(crate) fn source_is(address: IpAddr) -> Vec<Expression> {
        vec![source(family_of(address), 0), compare(0, &octets(address))]
    }

    pub(crate) fn destination_is(address: IpAddr) -> Vec<Expression> {
        vec![
            destination(family_of(address), 0),
            compare(0, &octets(address)),
        ]
    }

    /// The source is within the network of the bits.
    pub(crate) fn source_within(network: ipnet::IpNet) -> Vec<Expression> {
        within(source(family_of(network.addr()), 0), network, true)
    }

    /// The source is outside of it.
    pub(crate) fn source_beyond(network: ipnet::IpNet) -> Vec<Expression> {
        within(source(family_of(network.addr()), 0), network, false)
    }

    pub(crate) fn destination_within(network: ipnet::IpNet) -> Vec<Expression> {
        within(destination(family_of(network.addr()), 0), network, true)
    }

    fn within(load: Expression, network: ipnet::IpNet, inside: bool) -> Vec<Expression> {
        let mask = octets(network.netmask());
        let value = octets(network.network());
        let ends = match inside {
            true => compare(0, &value),
            false => differs(0, &value),
        };
        vec![load, Expression::And { register: 0, mask }, ends]
    }

    /// The frame carries a packet of the kind.
    pub(crate) fn carries(kind: [u8; 2]) -> Vec<Expression> {
        vec![
            Expression::Meta {
                key: PROTOCOL,
                to: 0,
            },
            compare(0, &kind),
        ]
    }

    /// The packet is a message of this kind, of ICMP or ICMPv6.
    pub(crate) fn is_message(protocol: u8, kind: u8) -> Vec<Expression> {
        vec![
            Expression::Meta {
                key: TRANSPORT,
                to: 0,
            },
            compare(0, &[protocol]),
            Expression::Payload {
                base: BEHIND_NETWORK,
                offset: 0,
                length: 1,
                to: 0,
            },
            compare(0, &[kind]),
        ]
    }

    /// Loads the transport protocol and the destination port, one register each.
    pub(crate) fn transport_and_port(to: u8) -> Vec<Expression> {
        vec![
            Expression::Meta { key: TRANSPORT, to },
            Expression::Payload {
                base: BEHIND_NETWORK,
                offset: 2,
                length: 2,
                to: to + 1,
            },
        ]
    }

    /// The destination is an address of this host.
    pub(crate) fn destination_is_here() -> Vec<Expression> {
        vec![
            Expression::DestinationKind { to: 0 },
            compare(0, &LOCAL.to_ne_bytes()),
        ]
    }

    /// Some of the bits of a flow's state or status are set, or none.
    pub(crate) fn flow_has(key: u32, bits: u32, some: bool) -> Vec<Expression> {
        vec![
            Expression::Ct { key, to: 0 },
            Expression::And {
                register: 0,
                mask: bits.to_ne_bytes().to_vec(),
            },
            Expression::Compare {
                register: 0,
                equal: !some,
                value: vec![0; 4],
            },
        ]
    }

    pub(crate) fn flow_goes(direction: Direction) -> Vec<Expression> {
        vec![
            Expression::Ct {
                key: CT_DIRECTION,
                to: 0,
            },
            compare(0, &[direction as u8]),
        ]
    }

    pub(crate) fn lookup(register: u8, set: &'static str, found: Found) -> Expression {
        Expression::Lookup {
            from: Source::Named(set),
            register,
            found,
        }
    }

    pub(crate) fn is_in(register: u8, set: &'static str) -> Expression {
        lookup(register, set, Found::GoesOn)
    }

    pub(crate) fn is_not_in(register: u8, set: &'static str) -> Expression {
        lookup(register, set, Found::Ends)
    }

    pub(crate) fn load_from(register: u8, map: &'static str, to: u8) -> Expression {
        lookup(register, map, Found::Loads(to))
    }

    /// Goes on with the chain that the map names.
    pub(crate) fn lead_by(register: u8, map: &'static str) -> Expression {
        lookup(register, map, Found::Leads)
    }

    /// Takes the next of the elements, one after another.
    pub(crate) fn take_turns(
        gives: &'static [Type],
        values: impl Iterator<Item = Element>,
        to: u8,
    ) -> Vec<Expression> {
        let elements: Vec<_> = values.collect();
        let modulus = elements.len() as u32;
        vec![
            Expression::Turn { modulus, to: 0 },
            Expression::Lookup {
                from: Source::InPlace { gives, elements },
                register: 0,
                found: Found::Loads(to),
            },
        ]
    }

    /// Rewrites the destination to the address at a register, and the port at another.
    pub(crate) fn rewrite_destination(family: Family, address: u8, port: Option<u8>) -> Expression {
        Expression::Nat {
            nat: Nat::Destination,
            family,
            address,
            port,
        }
    }

    /// Rewrites the source to an address.
    pub(crate) fn rewrite_source(address: IpAddr) -> Vec<Expression> {
        let family = family_of(address);
        vec![
            Expression::Load {
                to: 0,
                value: octets(address),
            },
            Expression::Nat {
                nat: Nat::Source,
                family,
                address: 0,
                port: None,
            },
        ]
    }

    pub(crate) fn family_of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::Ip,
            IpAddr::V6(_) => Family::Ip6,
        }
    }
}
