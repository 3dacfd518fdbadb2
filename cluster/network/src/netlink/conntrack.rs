//! Flows that the kernel keeps track of: looked at, and cut.

use super::route::{family, ip};
use super::{Message, Socket, attribute, u32_at};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

// Source: linux/netfilter/nfnetlink_conntrack.h.
const CT_GET: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 1;
const CT_DELETE: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 2;
const CT_GET_STATS: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 5;
const CTA_STATS_GLOBAL_ENTRIES: u16 = 1;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_PROTOINFO: u16 = 4;
const CTA_TIMEOUT: u16 = 7;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTOINFO_TCP: u16 = 1;
const CTA_PROTOINFO_TCP_STATE: u16 = 1;
/// The flow's destination was rewritten, by a virtual address or a published port.
const IPS_DST_NAT: u32 = 1 << 5;
/// Seconds that the kernel gives a flow of datagrams that went both ways, and one that did not.
/// Source: Documentation/networking/nf_conntrack-sysctl.rst.
const STREAM_SECONDS: u32 = 120;
const SINGLE_SECONDS: u32 = 30;

/// Which flows are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that were led to one of the addresses.
    LedTo(Vec<IpAddr>),
    /// Datagrams to one of the addresses that were led nowhere: while they go on, no newer rule is asked.
    Unled(Vec<IpAddr>),
    /// Those that were led on at the first address, but for the second's own.
    Balanced(IpAddr, IpAddr),
    /// Datagrams to a port of this host, wherever they were led.
    Port(u16),
}

/// A flow that the kernel remembers.
pub(crate) struct Flow {
    family: u8,
    original: Vec<u8>,
    zone: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    /// Whether someone still speaks.
    pub alive: bool,
}

impl Socket {
    /// The flows that are meant. The kernel walks its whole table, whoever's flows are in it: some ten milliseconds
    /// where the table is large.
    pub(crate) fn flows(&mut self, which: &[Which]) -> io::Result<Vec<Flow>> {
        let families: BTreeSet<u8> = which.iter().flat_map(Which::families).collect();
        if families.is_empty() || self.tracked()? == 0 {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for family in families {
            let answers = self.dump(Message::new(CT_GET, 0, &[family, 0, 0, 0]))?;
            let flows = answers.iter().filter_map(|payload| flow(payload));
            found.extend(flows.filter(|(_, ends)| which.iter().any(|which| which.means(ends))));
        }
        Ok(found.into_iter().map(|(flow, _)| flow).collect())
    }

    /// How many flows the socket's namespace has. Costs little, whatever others have.
    fn tracked(&mut self) -> io::Result<u32> {
        let answer = self.ask(Message::new(CT_GET_STATS, 0, &[0, 0, 0, 0]))?;
        let count = attribute(
            answer.get(4..).unwrap_or_default(),
            CTA_STATS_GLOBAL_ENTRIES,
        );
        // Who does not say may have some.
        Ok(count.map_or(u32::MAX, |count| u32_at(count, 0).to_be()))
    }

    /// Whether a flow that was found is still there and someone speaks. Costs little.
    pub(crate) fn still_alive(&mut self, one: &Flow) -> io::Result<bool> {
        match self.ask(one.message(CT_GET)) {
            Ok(payload) => Ok(flow(&payload).is_some_and(|(now, _)| now.alive && now.id == one.id)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets the flows that are meant: the next packet of each is a stranger's.
    pub(crate) fn cut_flows(&mut self, which: &[Which]) -> io::Result<()> {
        for flow in self.flows(which)? {
            match self.request(flow.message(CT_DELETE)) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

impl Flow {
    /// A request that names the flow.
    fn message(&self, kind: u16) -> Message {
        let mut message = Message::new(kind, 0, &[self.family, 0, 0, 0]);
        message.put(CTA_TUPLE_ORIG | libc::NLA_F_NESTED as u16, &self.original);
        if let Some(zone) = &self.zone {
            message.put(CTA_ZONE, zone);
        }
        if kind == CT_DELETE
            && let Some(id) = &self.id
        {
            message.put(CTA_ID, id);
        }
        message
    }
}

/// What of a flow says whether it is meant.
struct Ends {
    /// Its destination was rewritten.
    led: bool,
    datagrams: bool,
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    to_port: Option<u16>,
    answered_by: Option<IpAddr>,
}

impl Which {
    fn families(&self) -> BTreeSet<u8> {
        match self {
            Which::LedTo(addresses) | Which::Unled(addresses) => {
                addresses.iter().map(|address| family(*address)).collect()
            }
            Which::Balanced(at, _) => BTreeSet::from([family(*at)]),
            Which::Port(_) => BTreeSet::from([libc::AF_INET as u8]),
        }
    }

    fn means(&self, ends: &Ends) -> bool {
        let among =
            |list: &[IpAddr], one: Option<IpAddr>| one.is_some_and(|one| list.contains(&one));
        match self {
            Which::LedTo(addresses) => ends.led && among(addresses, ends.answered_by),
            Which::Unled(addresses) => ends.datagrams && !ends.led && among(addresses, ends.to),
            Which::Balanced(at, but) => ends.led && ends.to == Some(*at) && ends.from != Some(*but),
            Which::Port(port) => ends.datagrams && ends.to_port == Some(*port),
        }
    }
}

fn flow(payload: &[u8]) -> Option<(Flow, Ends)> {
    let attributes = payload.get(4..)?;
    let number = |kind| attribute(attributes, kind).map(|v| u32_at(v, 0).to_be());
    let original = attribute(attributes, CTA_TUPLE_ORIG)?;
    let reply = attribute(attributes, CTA_TUPLE_REPLY)?;
    let ports = attribute(original, CTA_TUPLE_PROTO)?;
    let protocol = *attribute(ports, CTA_PROTO_NUM)?.first()?;
    let to_port = attribute(ports, CTA_PROTO_DST_PORT).and_then(|port| port.try_into().ok());
    let ends = Ends {
        led: number(CTA_STATUS)? & IPS_DST_NAT != 0,
        datagrams: i32::from(protocol) == libc::IPPROTO_UDP,
        from: end(original, Side::Source),
        to: end(original, Side::Destination),
        to_port: to_port.map(u16::from_be_bytes),
        answered_by: end(reply, Side::Source),
    };
    let flow = Flow {
        family: *payload.first()?,
        original: original.to_vec(),
        zone: attribute(attributes, CTA_ZONE).map(<[u8]>::to_vec),
        id: attribute(attributes, CTA_ID).map(<[u8]>::to_vec),
        alive: alive(protocol, attributes, number(CTA_TIMEOUT).unwrap_or(0)),
    };
    Some((flow, ends))
}

/// The ends of a flow as one direction of it has them.
#[derive(Clone, Copy)]
enum Side {
    Source = 0,
    Destination = 1,
}

fn end(tuple: &[u8], side: Side) -> Option<IpAddr> {
    let addresses = attribute(tuple, CTA_TUPLE_IP)?;
    let fourth = attribute(addresses, CTA_IP_V4_SRC + side as u16);
    ip(fourth.or(attribute(addresses, CTA_IP_V6_SRC + side as u16))?)
}

/// A TCP connection lives until both sides closed it. Datagrams have no end: a flow of them lives
/// while one was seen within the last second, which its timeout tells.
fn alive(protocol: u8, attributes: &[u8], seconds_left: u32) -> bool {
    match i32::from(protocol) {
        libc::IPPROTO_TCP => {
            let info = attribute(attributes, CTA_PROTOINFO)
                .and_then(|info| attribute(info, CTA_PROTOINFO_TCP))
                .and_then(|tcp| attribute(tcp, CTA_PROTOINFO_TCP_STATE));
            // 1: SYN sent, 2: SYN received, 3: established, 4: FIN wait, 5: close wait, 6: last ACK.
            matches!(info, Some([1..=6, ..]))
        }
        libc::IPPROTO_UDP => {
            seconds_left >= STREAM_SECONDS - 1
                || (SINGLE_SECONDS - 1..=SINGLE_SECONDS).contains(&seconds_left)
        }
        _ => false,
    }
}
