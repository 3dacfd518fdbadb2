//! Queries and answers on the wire, as much of the format as a resolver speaks that forwards whatever it does not know. Pure.
//!
//! A query is read in place and an answer is written behind a copy of its question, so that a look-up costs one buffer.
//! Source: RFC 1035 for the format, RFC 6891 for the size that a client takes.

use std::net::IpAddr;

/// Bytes of an answer over UDP to a client that names no size.
const PLAIN_SIZE: usize = 512;
/// Most that is sent over UDP whatever the client takes: more is cut in fragments on the way.
const LARGEST_DATAGRAM: usize = 1232;
/// Most that fits behind TCP's length.
pub const LARGEST_MESSAGE: usize = 65_535;
const HEADER: usize = 12;
/// Of a name as text. Source: RFC 1035, 2.3.4.
const LONGEST_NAME: usize = 253;
/// How long an answer of ours may be kept, in seconds: as long as a task may take to move.
const TTL: u32 = 2;
/// A name given as where it was first written: right behind the header.
const SAME_NAME: [u8; 2] = [0xC0, HEADER as u8];

/// Record types that mean something here.
pub mod kind {
    pub const A: u16 = 1;
    pub const PTR: u16 = 12;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
    pub const ANY: u16 = 255;
}

const CLASS_IN: u16 = 1;

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Success = 0,
    Malformed = 1,
    ServerFailure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
}

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    Udp,
    Tcp,
}

/// A question that was read.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    packet: &'a [u8],
    name: Name,
    pub kind: u16,
    class: u16,
    /// Where the question ends.
    end: usize,
    /// What the client takes over UDP, if it says so.
    size: Option<u16>,
}

/// Why a packet is not answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing can be said to whoever sent it.
    Drop,
    /// Its sender is told so by this code.
    Refuse(Code),
}

/// A name in lower case, its labels joined by dots.
#[derive(Clone, Copy)]
pub struct Name {
    text: [u8; LONGEST_NAME],
    length: usize,
    /// A label holds something no name of a container or service can.
    odd: bool,
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl Name {
    fn new() -> Self {
        Name {
            text: [0; LONGEST_NAME],
            length: 0,
            odd: false,
        }
    }

    /// The name; none if it holds bytes that ours never do.
    pub fn text(&self) -> Option<&str> {
        let bytes = self.text.get(..self.length)?;
        (!self.odd)
            .then(|| std::str::from_utf8(bytes).ok())
            .flatten()
    }

    fn push(&mut self, label: &[u8]) -> Option<()> {
        let dot = usize::from(self.length > 0);
        let end = self.length + dot + label.len();
        let room = self.text.get_mut(self.length..end)?;
        room[..dot].fill(b'.');
        room[dot..].copy_from_slice(label);
        room.make_ascii_lowercase();
        self.odd |= !label
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b'.');
        self.length = end;
        Some(())
    }
}

impl<'a> Query<'a> {
    /// Reads a query: one question, perhaps followed by what the client can do.
    pub fn read(packet: &'a [u8]) -> Result<Self, Unfit> {
        let malformed = Unfit::Refuse(Code::Malformed);
        let header = packet.get(..HEADER).ok_or(Unfit::Drop)?;
        if header[2] & 0x80 != 0 {
            // An answer: replying to one could go on for ever.
            return Err(Unfit::Drop);
        }
        if header[2] & 0x78 != 0 {
            return Err(Unfit::Refuse(Code::NotImplemented));
        }
        if number(packet, 4) != Some(1) {
            return Err(malformed);
        }
        let (name, after) = read_name(packet, HEADER).ok_or(malformed)?;
        let kind = number(packet, after).ok_or(malformed)?;
        let class = number(packet, after + 2).ok_or(malformed)?;
        let end = after + 4;
        Ok(Query {
            packet,
            name,
            kind,
            class,
            end,
            size: offered_size(packet, end),
        })
    }

    /// What is asked for; none if it is no name of ours whatever our names are.
    pub fn name(&self) -> Option<&str> {
        match self.class {
            CLASS_IN => self.name.text(),
            _ => None,
        }
    }

    /// The question as it was written: what an answer must repeat.
    pub fn question(&self) -> &'a [u8] {
        self.packet.get(HEADER..self.end).unwrap_or_default()
    }

    /// The whole packet.
    pub fn packet(&self) -> &'a [u8] {
        self.packet
    }

    /// Most bytes that an answer may have.
    pub fn room(&self, carriage: Carriage) -> usize {
        match (carriage, self.size) {
            (Carriage::Tcp, _) => LARGEST_MESSAGE,
            (Carriage::Udp, None) => PLAIN_SIZE,
            (Carriage::Udp, Some(size)) => usize::from(size).clamp(PLAIN_SIZE, LARGEST_DATAGRAM),
        }
    }

    /// An answer without records.
    pub fn bare(&self, code: Code, out: &mut Vec<u8>) {
        self.begin(code, out);
        self.finish(0, false, out);
    }

    /// An answer of addresses, as many as fit into `room` bytes; if some do not, it says so.
    pub fn addresses(&self, addresses: &[IpAddr], room: usize, out: &mut Vec<u8>) {
        self.begin(Code::Success, out);
        let room = room.saturating_sub(self.options().len());
        let mut count = 0;
        for address in addresses {
            let length = out.len();
            match address {
                IpAddr::V4(v4) => record(kind::A, &v4.octets(), out),
                IpAddr::V6(v6) => record(kind::AAAA, &v6.octets(), out),
            }
            if out.len() > room {
                out.truncate(length);
                break;
            }
            count += 1;
        }
        self.finish(count, usize::from(count) < addresses.len(), out);
    }

    /// The answer to what an address is called.
    pub fn pointer(&self, name: &str, out: &mut Vec<u8>) {
        let mut written = Vec::with_capacity(name.len() + 2);
        if !write_name(name, &mut written) {
            return self.bare(Code::ServerFailure, out);
        }
        self.begin(Code::Success, out);
        record(kind::PTR, &written, out);
        self.finish(1, false, out);
    }

    fn begin(&self, code: Code, out: &mut Vec<u8>) {
        out.clear();
        head(self.packet, code, out);
        out.extend_from_slice(self.question());
        out[5] = 1;
    }

    /// Puts in what is known only at the end: how many records, and whether some are missing.
    fn finish(&self, count: u16, truncated: bool, out: &mut Vec<u8>) {
        out[6..8].copy_from_slice(&count.to_be_bytes());
        out[2] |= u8::from(truncated) << 1;
        let options = self.options();
        out[11] = u8::from(!options.is_empty());
        out.extend_from_slice(options);
    }

    /// What we can do, for a client that said what it can.
    fn options(&self) -> &'static [u8] {
        // Root name, OPT, 1232 bytes, no extended code, version 0, no flags, no data.
        const OURS: [u8; 11] = [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0];
        match self.size {
            Some(_) => &OURS,
            None => &[],
        }
    }
}

/// Tells the sender of a packet that could not be read.
pub fn refuse(packet: &[u8], code: Code, out: &mut Vec<u8>) {
    out.clear();
    head(packet, code, out);
}

/// A header that answers `packet`'s: same id, recursion on offer, nothing counted.
fn head(packet: &[u8], code: Code, out: &mut Vec<u8>) {
    let mut header = [0; HEADER];
    if let Some(asked) = packet.get(..3) {
        header[..2].copy_from_slice(&asked[..2]);
        // An answer, with authority; opcode and "recursion desired" as they were asked.
        header[2] = 0x84 | (asked[2] & 0x79);
    }
    header[3] = 0x80 | code as u8;
    out.extend_from_slice(&header);
}

/// Whether `reply` answers the query: same id, same question, and an answer at all.
pub fn answers(query: &Query<'_>, reply: &[u8]) -> bool {
    let question = query.question();
    let echoed = reply.get(HEADER..HEADER + question.len());
    let header = reply.get(..HEADER);
    header.is_some_and(|header| {
        let bare = header[5] == 0 && header[4] == 0;
        header[..2] == query.packet[..2]
            && header[2] & 0x80 != 0
            // Servers that cannot make sense of a query may leave its question out.
            && (bare || echoed.is_some_and(|echoed| echoed.eq_ignore_ascii_case(question)))
    })
}

fn number(packet: &[u8], at: usize) -> Option<u16> {
    let bytes = packet.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// A name and where it ends. In a question nothing was written before, so nothing can be referred to.
fn read_name(packet: &[u8], mut at: usize) -> Option<(Name, usize)> {
    let mut name = Name::new();
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        match length {
            0 => return Some((name, at)),
            1..=63 => name.push(packet.get(at..at + length)?)?,
            _ => return None,
        }
        at += length;
    }
}

/// Writes a name, its labels joined by dots. False if it is none.
fn write_name(name: &str, out: &mut Vec<u8>) -> bool {
    let fits = |label: &str| (1..=63).contains(&label.len());
    if name.len() > LONGEST_NAME || !name.split('.').all(fits) {
        return false;
    }
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    true
}

fn record(kind: u16, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&SAME_NAME);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    out.extend_from_slice(&TTL.to_be_bytes());
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}

/// The size in the options record, which clients put right behind the question.
fn offered_size(packet: &[u8], at: usize) -> Option<u16> {
    let nothing_between = number(packet, 6) == Some(0) && number(packet, 8) == Some(0);
    let is_options = packet.get(at) == Some(&0) && number(packet, at + 1) == Some(kind::OPT);
    (nothing_between && number(packet, 10)? > 0 && is_options)
        .then(|| number(packet, at + 3))
        .flatten()
}

#[cfg(test)]
mod tests;
