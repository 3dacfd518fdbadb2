//! The language of nf_tables as values, and its transactions as netlink messages.
//!
//! Rules go to the kernel as it wants them, without `nft` between: a change of one service costs what that
//! service costs, however many there are, and the program need not be on the host
//! (docs/decisions/0004). All that is put into one [`Transaction`] comes into force at one moment.

mod expression;

pub(crate) use expression::{Direction, Expression, Nat, Source, Sum, rule};

use crate::netlink::{Message, Socket, attribute};
use std::ffi::CStr;
use std::io;

/// Whose packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ip,
    Ip6,
    Bridge,
    /// Of one link, before anything else sees its packets.
    Netdev,
}

impl Family {
    /// As the kernel numbers it.
    pub(crate) fn number(self) -> u8 {
        match self {
            Family::Ip => libc::NFPROTO_IPV4 as u8,
            Family::Ip6 => libc::NFPROTO_IPV6 as u8,
            Family::Bridge => libc::NFPROTO_BRIDGE as u8,
            Family::Netdev => libc::NFPROTO_NETDEV as u8,
        }
    }
}

/// A table: its family and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub family: Family,
    pub name: String,
}

/// What a packet's way through a base chain is.
#[derive(Clone, Copy)]
pub(crate) struct Hook {
    /// `filter` or `nat`.
    pub kind: &'static str,
    pub at: At,
    /// Lower ones come first.
    pub priority: i32,
}

/// The places of a packet's way.
#[derive(Clone, Copy)]
pub(crate) enum At {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// What a set's keys or a map's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Integer,
    Ipv4,
    Ipv6,
    Mac,
    Protocol,
    Port,
    Mark,
    Name,
}

impl Type {
    /// How `nft` knows it, and its length in bytes. Source: nftables `include/datatype.h`.
    fn known(self) -> (u32, u32) {
        match self {
            Type::Integer => (4, 4),
            Type::Ipv4 => (7, 4),
            Type::Ipv6 => (8, 16),
            Type::Mac => (9, 6),
            Type::Protocol => (12, 1),
            Type::Port => (13, 2),
            Type::Mark => (19, 4),
            Type::Name => (41, 16),
        }
    }
}

/// Several together: each part begins on a register of four bytes.
fn together(types: &[Type]) -> (u32, u32) {
    if let [one] = types {
        return one.known();
    }
    let add = |(kind, length): (u32, u32), one: &Type| {
        let (own, bytes) = one.known();
        (kind << 6 | own, length + bytes.next_multiple_of(4))
    };
    types.iter().fold((0, 0), add)
}

/// What a map gives for a key.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    /// It is a set.
    Nothing,
    Data(&'static [Type]),
    /// The chain to go on with.
    Chain,
}

/// A named set or map.
pub(crate) struct Set {
    pub name: &'static str,
    pub key: &'static [Type],
    pub gives: Gives,
    /// Its keys are where ranges begin and end.
    pub ranges: bool,
}

/// One member of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub key: Vec<u8>,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Nothing,
    /// The key is one behind a range.
    RangeEnd,
    Data(Vec<u8>),
    Chain(String),
}

impl Element {
    pub(crate) fn key(parts: &[&[u8]]) -> Element {
        Element {
            key: concatenated(parts),
            value: Value::Nothing,
        }
    }

    pub(crate) fn data(parts: &[&[u8]], data: &[&[u8]]) -> Element {
        Element {
            key: concatenated(parts),
            value: Value::Data(concatenated(data)),
        }
    }

    pub(crate) fn chain(parts: &[&[u8]], chain: &str) -> Element {
        Element {
            key: concatenated(parts),
            value: Value::Chain(chain.to_owned()),
        }
    }
}

/// One part stands as it is; of several, each is filled up to whole registers.
fn concatenated(parts: &[&[u8]]) -> Vec<u8> {
    if let [one] = parts {
        return one.to_vec();
    }
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(part);
        all.resize(all.len().next_multiple_of(4), 0);
    }
    all
}

/// A link's name as a set's key has it.
pub(crate) fn name_key(name: &str) -> [u8; 16] {
    let mut key = [0; 16];
    let length = name.len().min(15);
    key[..length].copy_from_slice(&name.as_bytes()[..length]);
    key
}

// Messages and attributes. Source: linux/netfilter/nf_tables.h.
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const GET_TABLE: u16 = 1;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;
const DELETE_ELEMENTS: u16 = 14;
const LIST_ELEMENT: u16 = 1;
const TABLE_OWNED: u32 = 2;
const SET_ANONYMOUS: u32 = 1;
const SET_CONSTANT: u32 = 2;
const SET_INTERVAL: u32 = 4;
const SET_MAP: u32 = 8;
const DATA_VERDICT: u32 = 0xffff_ff00;
const DATA_VALUE: u16 = 1;
const DATA_OF_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const GOTO: i32 = -4;
/// `NF_NETDEV_INGRESS`.
const INGRESS: u32 = 0;

/// Elements are sent in lists that stay below an attribute's 64 KiB: an element has at most 150 bytes.
const ELEMENTS_AT_ONCE: usize = 400;

/// Changes that come into force together, or not at all.
#[derive(Default)]
pub(crate) struct Transaction {
    messages: Vec<Message>,
    maps: u32,
}

impl Transaction {
    /// Makes a table, or leaves it as it is.
    pub(crate) fn table(&mut self, table: &Table) {
        self.add(table.family, NEW_TABLE, libc::NLM_F_CREATE, |m| {
            m.text(1, &table.name);
        });
    }

    /// Makes a table that ends with the socket which this is sent over: nothing of it outlives whoever made it.
    pub(crate) fn own_table(&mut self, table: &Table) {
        self.add(table.family, NEW_TABLE, libc::NLM_F_CREATE, |m| {
            m.text(1, &table.name).number(2, TABLE_OWNED);
        });
    }

    /// Makes a table anew: what it held is gone.
    pub(crate) fn fresh_table(&mut self, table: &Table) {
        self.no_table(table);
        self.table(table);
    }

    /// Takes a table away, if there is one.
    pub(crate) fn no_table(&mut self, table: &Table) {
        self.table(table);
        self.add(table.family, DELETE_TABLE, 0, |m| {
            m.text(1, &table.name);
        });
    }

    pub(crate) fn chain(&mut self, table: &Table, name: &str, hook: Option<Hook>) {
        self.add(table.family, NEW_CHAIN, libc::NLM_F_CREATE, |m| {
            m.text(1, &table.name).text(3, name);
            if let Some(hook) = hook {
                m.nest(4, |nest| {
                    nest.number(1, hook.at as u32);
                    nest.number(2, hook.priority as u32);
                });
                m.text(7, hook.kind);
            }
        });
    }

    /// A chain that sees what comes in over a link, before all else does; it ends with the link.
    pub(crate) fn entrance(&mut self, table: &Table, name: &str, link: &str) {
        self.add(table.family, NEW_CHAIN, libc::NLM_F_CREATE, |m| {
            m.text(1, &table.name).text(3, name);
            m.nest(4, |nest| {
                nest.number(1, INGRESS).number(2, 0).text(3, link);
            });
            m.text(7, "filter");
        });
    }

    /// Takes all rules out of a chain.
    pub(crate) fn flush_chain(&mut self, table: &Table, name: &str) {
        self.add(table.family, DELETE_RULE, 0, |m| {
            m.text(1, &table.name).text(2, name);
        });
    }

    /// Takes a chain and its rules away; nothing may lead to it any more.
    pub(crate) fn no_chain(&mut self, table: &Table, name: &str) {
        self.flush_chain(table, name);
        self.add(table.family, DELETE_CHAIN, 0, |m| {
            m.text(1, &table.name).text(3, name);
        });
    }

    /// Adds a rule at the end of a chain. The maps it looks up in place are made with it.
    pub(crate) fn rule(&mut self, table: &Table, chain: &str, rule: &[Expression]) {
        let first = self.maps + 1;
        for expression in rule {
            if let Expression::Lookup {
                from: Source::InPlace {
                    gives, elements, ..
                },
                ..
            } = expression
            {
                self.map_in_place(table, gives, elements);
            }
        }
        let create = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
        self.add(table.family, NEW_RULE, create, |m| {
            m.text(1, &table.name).text(2, chain);
            m.nest(4, |list| expression::put(list, rule, first));
        });
    }

    /// Makes a named set or map, empty.
    pub(crate) fn set(&mut self, table: &Table, set: &Set) {
        let (kind, length) = together(set.key);
        let mut flags = if set.ranges { SET_INTERVAL } else { 0 };
        self.maps += 1;
        let id = self.maps;
        self.add(table.family, NEW_SET, libc::NLM_F_CREATE, |m| {
            m.text(1, &table.name).text(2, set.name);
            m.number(4, kind).number(5, length).number(10, id);
            if !matches!(set.gives, Gives::Nothing) {
                flags |= SET_MAP;
                put_gives(m, set.gives);
            }
            m.number(3, flags);
        });
    }

    /// A map that only one rule knows: from numbers below a count to what they stand for.
    fn map_in_place(&mut self, table: &Table, gives: &'static [Type], elements: &[Element]) {
        self.maps += 1;
        let id = self.maps;
        let (kind, length) = Type::Integer.known();
        self.add(table.family, NEW_SET, libc::NLM_F_CREATE, |m| {
            m.text(1, &table.name).text(2, "__map%d");
            m.number(3, SET_ANONYMOUS | SET_CONSTANT | SET_MAP);
            m.number(4, kind).number(5, length).number(10, id);
            put_gives(m, Gives::Data(gives));
            m.nest(9, |nest| {
                nest.number(1, elements.len() as u32);
            });
        });
        self.put_elements(table, "__map%d", Some(id), elements, NEW_ELEMENTS);
    }

    /// Adds members to a named set or map.
    pub(crate) fn elements(&mut self, table: &Table, set: &str, elements: &[Element]) {
        self.put_elements(table, set, None, elements, NEW_ELEMENTS);
    }

    /// Takes members out of a named set or map; they must be in it.
    pub(crate) fn no_elements(&mut self, table: &Table, set: &str, elements: &[Element]) {
        self.put_elements(table, set, None, elements, DELETE_ELEMENTS);
    }

    /// Puts members in, or takes them out.
    pub(crate) fn elements_if(&mut self, here: bool, table: &Table, set: &str, some: &[Element]) {
        match here {
            true => self.elements(table, set, some),
            false => self.no_elements(table, set, some),
        }
    }

    fn put_elements(
        &mut self,
        table: &Table,
        set: &str,
        id: Option<u32>,
        elements: &[Element],
        kind: u16,
    ) {
        for some in elements.chunks(ELEMENTS_AT_ONCE) {
            self.add(table.family, kind, libc::NLM_F_CREATE, |m| {
                m.text(1, &table.name).text(2, set);
                if let Some(id) = id {
                    m.number(4, id);
                }
                m.nest(3, |list| {
                    for element in some {
                        list.nest(LIST_ELEMENT, |item| put_element(item, element));
                    }
                });
            });
        }
    }

    fn add(&mut self, family: Family, kind: u16, flags: i32, fill: impl FnOnce(&mut Message)) {
        let kind = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | kind;
        let mut message = Message::new(kind, flags, &[family.number(), 0, 0, 0]);
        fill(&mut message);
        self.messages.push(message);
    }

    /// Brings it all into force.
    pub(crate) fn commit(self, socket: &mut Socket) -> io::Result<()> {
        if self.messages.is_empty() {
            return Ok(());
        }
        let edge = |kind: i32| {
            let subsystem = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes();
            Message::new(kind as u16, 0, &[0, 0, subsystem[0], subsystem[1]])
        };
        let last = self.messages.len();
        let mut all = vec![edge(libc::NFNL_MSG_BATCH_BEGIN)];
        all.extend(self.messages);
        all.push(edge(libc::NFNL_MSG_BATCH_END));
        socket.requests(all, last)
    }
}

/// The tables of our families that the kernel has.
pub(crate) fn tables(socket: &mut Socket) -> io::Result<Vec<Table>> {
    let families = [Family::Ip, Family::Ip6, Family::Bridge, Family::Netdev];
    let table = |(number, name): (u8, String)| {
        let family = families.into_iter().find(|f| f.number() == number)?;
        Some(Table { family, name })
    };
    Ok(listed(socket)?.into_iter().filter_map(table).collect())
}

/// Whether there is a table of that name that sees packets of both families: we make none of those.
pub(crate) fn has_common_table(socket: &mut Socket, name: &str) -> io::Result<bool> {
    let inet = (libc::NFPROTO_INET as u8, name.to_owned());
    Ok(listed(socket)?.contains(&inet))
}

/// All tables, by the number of their family and their name.
fn listed(socket: &mut Socket) -> io::Result<Vec<(u8, String)>> {
    let kind = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | GET_TABLE;
    let found = socket.dump(Message::new(kind, 0, &[0, 0, 0, 0]))?;
    let table = |payload: &Vec<u8>| {
        let name = attribute(payload.get(4..)?, 1)?;
        let name = CStr::from_bytes_until_nul(name).ok()?.to_string_lossy();
        Some((payload[0], name.into_owned()))
    };
    Ok(found.iter().filter_map(table).collect())
}

fn put_gives(message: &mut Message, gives: Gives) {
    match gives {
        Gives::Nothing => {}
        Gives::Data(types) => {
            let (kind, length) = together(types);
            message.number(6, kind).number(7, length);
        }
        Gives::Chain => {
            message.number(6, DATA_VERDICT).number(7, 16);
        }
    }
}

fn put_element(item: &mut Message, element: &Element) {
    item.nest(1, |key| {
        key.put(DATA_VALUE, &element.key);
    });
    match &element.value {
        Value::Nothing => {}
        Value::RangeEnd => {
            item.number(3, 1);
        }
        Value::Data(data) => {
            item.nest(2, |value| {
                value.put(DATA_VALUE, data);
            });
        }
        Value::Chain(chain) => {
            item.nest(2, |value| put_verdict(value, GOTO, Some(chain)));
        }
    }
}

/// A verdict as data.
fn put_verdict(value: &mut Message, code: i32, chain: Option<&str>) {
    value.nest(DATA_OF_VERDICT, |verdict| {
        verdict.number(VERDICT_CODE, code as u32);
        if let Some(chain) = chain {
            verdict.text(VERDICT_CHAIN, chain);
        }
    });
}
