//! Flows that the kernel keeps track of: looked at, and cut.

use super::route::{family, ip};
use super::{Message, Socket, attribute, u32_at};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

// Source: linux/netfilter/nfnetlink_conntrack.h.
const CT_GET: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 1;
const CT_DELETE: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 2;
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
    /// The flows that are meant.
    pub(crate) fn flows(&mut self, which: &Which) -> io::Result<Vec<Flow>> {
        let families: BTreeSet<u8> = match which {
            Which::LedTo(addresses) | Which::Unled(addresses) => {
                addresses.iter().map(|address| family(*address)).collect()
            }
            Which::Port(_) => BTreeSet::from([libc::AF_INET as u8]),
        };
        let mut found = Vec::new();
        for family in families {
            let answers = self.dump(Message::new(CT_GET, 0, &[family, 0, 0, 0]))?;
            found.extend(answers.iter().filter_map(|payload| flow(payload, which)));
        }
        Ok(found)
    }

    /// Forgets the flows that are meant.
    pub(crate) fn cut_flows(&mut self, which: &Which) -> io::Result<()> {
        for flow in self.flows(which)? {
            self.cut(&flow)?;
        }
        Ok(())
    }

    /// Forgets the flow: the next packet of it is a stranger's.
    fn cut(&mut self, flow: &Flow) -> io::Result<()> {
        let mut message = Message::new(CT_DELETE, 0, &[flow.family, 0, 0, 0]);
        message.put(CTA_TUPLE_ORIG | libc::NLA_F_NESTED as u16, &flow.original);
        if let Some(zone) = &flow.zone {
            message.put(CTA_ZONE, zone);
        }
        if let Some(id) = &flow.id {
            message.put(CTA_ID, id);
        }
        match self.request(message) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            other => other,
        }
    }
}

fn flow(payload: &[u8], which: &Which) -> Option<Flow> {
    let attributes = payload.get(4..)?;
    let number = |kind| attribute(attributes, kind).map(|v| u32_at(v, 0).to_be());
    let led = number(CTA_STATUS)? & IPS_DST_NAT != 0;
    let original = attribute(attributes, CTA_TUPLE_ORIG)?;
    let reply = attribute(attributes, CTA_TUPLE_REPLY)?;
    let ports = attribute(original, CTA_TUPLE_PROTO)?;
    let protocol = *attribute(ports, CTA_PROTO_NUM)?.first()?;
    let datagrams = i32::from(protocol) == libc::IPPROTO_UDP;
    let meant = match which {
        Which::LedTo(addresses) => led && addresses.contains(&end(reply, Side::Source)?),
        Which::Unled(addresses) => {
            datagrams && !led && addresses.contains(&end(original, Side::Destination)?)
        }
        Which::Port(port) => {
            datagrams && attribute(ports, CTA_PROTO_DST_PORT) == Some(&port.to_be_bytes()[..])
        }
    };
    meant.then(|| Flow {
        family: payload[0],
        original: original.to_vec(),
        zone: attribute(attributes, CTA_ZONE).map(<[u8]>::to_vec),
        id: attribute(attributes, CTA_ID).map(<[u8]>::to_vec),
        alive: alive(protocol, attributes, number(CTA_TIMEOUT).unwrap_or(0)),
    })
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
