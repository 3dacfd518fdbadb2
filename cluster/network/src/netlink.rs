//! Speaks netlink: requests made of attributes, and the kernel's answers.
//!
//! A socket belongs to the network namespace it was opened in and stays with it, whoever uses it: one
//! is opened inside each namespace ([`crate::netns`]) and used from outside. It keeps that namespace alive.

pub(crate) mod conntrack;
pub(crate) mod route;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname,
    recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Which part of the kernel a socket speaks to.
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    /// Links, addresses, routes, neighbours.
    Route,
    /// nf_tables and conntrack.
    Netfilter,
}

/// Bytes of a message's own header.
const HEADER: usize = 16;

/// Answers of a dump come in pieces of at most 32 KiB; an error may carry the request's head.
const ANSWER: usize = 64 * 1024;

/// A whole network of thousands of services is one request; the kernel's default would refuse it.
const REQUEST: usize = 64 * 1024 * 1024;

/// The kernel answers at once or not at all.
const PATIENCE_SECONDS: i64 = 20;

/// A netlink socket in the namespace that it was opened in.
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens one in the calling thread's network namespace.
    pub(crate) fn open(protocol: Protocol) -> io::Result<Socket> {
        Socket::open_in(protocol, 0)
    }

    /// One that also hears what the kernel tells all who listen to a group below 32.
    pub(crate) fn listen(protocol: Protocol, group: u32) -> io::Result<Socket> {
        Socket::open_in(protocol, 1 << (group - 1))
    }

    fn open_in(protocol: Protocol, groups: u32) -> io::Result<Socket> {
        let protocol = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let kind = SockType::Raw;
        let fd = socket(
            AddressFamily::Netlink,
            kind,
            SockFlag::SOCK_CLOEXEC,
            protocol,
        )?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        setsockopt(&fd, sockopt::SndBufForce, &REQUEST)?;
        setsockopt(&fd, sockopt::RcvBufForce, &(4 * 1024 * 1024))?;
        setsockopt(
            &fd,
            sockopt::ReceiveTimeout,
            &TimeVal::seconds(PATIENCE_SECONDS),
        )?;
        Ok(Socket::of(fd))
    }

    /// One that is open already.
    pub(crate) fn of(fd: OwnedFd) -> Socket {
        Socket { fd, sequence: 0 }
    }

    /// The kernel's number for the socket: what is done over it is known by that.
    pub(crate) fn number(&self) -> io::Result<u32> {
        Ok(getsockname::<NetlinkAddr>(self.fd.as_raw_fd())?.pid())
    }

    /// What was said since the last time, in pieces: none, when that was all.
    pub(crate) fn hear(&mut self) -> io::Result<Vec<Said>> {
        match self.receive(MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            other => other,
        }
    }

    /// Sends one request and waits until it is done.
    pub(crate) fn request(&mut self, message: Message) -> io::Result<()> {
        let first = self.sequence + 1;
        self.send(vec![message.flagged(libc::NLM_F_ACK as u16)])?;
        self.acknowledged(first, first)
    }

    /// Sends requests as one; the kernel answers for the last of them, and for each that it refuses.
    pub(crate) fn requests(&mut self, mut messages: Vec<Message>, last: usize) -> io::Result<()> {
        let first = self.sequence + 1;
        messages[last].flag(libc::NLM_F_ACK as u16);
        self.send(messages)?;
        self.acknowledged(first, first + last as u32)
    }

    /// Asks for all there is of something; each answer is a message's payload.
    pub(crate) fn dump(&mut self, message: Message) -> io::Result<Vec<Vec<u8>>> {
        self.send(vec![message.flagged(libc::NLM_F_DUMP as u16)])?;
        let mut found = Vec::new();
        loop {
            for said in self.receive(MsgFlags::empty())? {
                match i32::from(said.kind) {
                    _ if said.sequence != self.sequence => {}
                    libc::NLMSG_DONE => return Ok(found),
                    libc::NLMSG_ERROR => refusal(&said.payload)?,
                    _ => found.push(said.payload),
                }
            }
        }
    }

    /// Asks for one thing: the payload of the answer.
    pub(crate) fn ask(&mut self, message: Message) -> io::Result<Vec<u8>> {
        self.send(vec![message])?;
        loop {
            for said in self.receive(MsgFlags::empty())? {
                if said.sequence != self.sequence {
                    continue;
                }
                if i32::from(said.kind) == libc::NLMSG_ERROR {
                    refusal(&said.payload)?;
                }
                return Ok(said.payload);
            }
        }
    }

    fn send(&mut self, messages: Vec<Message>) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(messages.iter().map(|m| m.bytes.len()).sum());
        for message in messages {
            self.sequence += 1;
            bytes.extend_from_slice(&message.finish(self.sequence));
        }
        send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// Reads until the answer to `last`; the first refusal on the way is the result.
    fn acknowledged(&mut self, first: u32, last: u32) -> io::Result<()> {
        let mut result = Ok(());
        loop {
            for said in self.receive(MsgFlags::empty())? {
                let ours = (first..=last).contains(&said.sequence);
                if !ours || i32::from(said.kind) != libc::NLMSG_ERROR {
                    continue;
                }
                let answer = refusal(&said.payload);
                if result.is_ok() {
                    result = answer;
                }
                if said.sequence == last {
                    return result;
                }
            }
        }
    }

    fn receive(&mut self, flags: MsgFlags) -> io::Result<Vec<Said>> {
        let mut buffer = vec![0; ANSWER];
        let length = recv(
            self.fd.as_raw_fd(),
            &mut buffer,
            flags | MsgFlags::MSG_TRUNC,
        )?;
        if length > buffer.len() {
            return Err(io::Error::other("the kernel's answer does not fit"));
        }
        let mut rest = &buffer[..length];
        let mut messages = Vec::new();
        while rest.len() >= HEADER {
            let size = u32_at(rest, 0) as usize;
            if size < HEADER || size > rest.len() {
                break;
            }
            let kind = u16::from_ne_bytes([rest[4], rest[5]]);
            messages.push(Said {
                kind,
                sequence: u32_at(rest, 8),
                by: u32_at(rest, 12),
                payload: rest[HEADER..size].to_vec(),
            });
            rest = &rest[padded(size).min(rest.len())..];
        }
        Ok(messages)
    }
}

/// A message of the kernel's.
pub(crate) struct Said {
    pub kind: u16,
    pub sequence: u32,
    /// The socket that it answers, or whose doing it tells of.
    pub by: u32,
    pub payload: Vec<u8>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Zero is an acknowledgement.
fn refusal(payload: &[u8]) -> io::Result<()> {
    match u32_at(payload, 0) as i32 {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code)),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_ne_bytes)
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// A request: its kind, the fixed head of that kind, and attributes.
#[derive(Clone)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub(crate) fn new(kind: u16, flags: i32, head: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(head);
        bytes.resize(padded(bytes.len()), 0);
        let mut message = Message { bytes };
        message.flag((libc::NLM_F_REQUEST | flags) as u16);
        message
    }

    /// Adds an attribute.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) -> &mut Message {
        let length = (4 + value.len()) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(padded(self.bytes.len()), 0);
        self
    }

    /// Adds a text that ends in a zero byte.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Message {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes)
    }

    /// Adds a number in the network's order.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Message {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds an attribute made of attributes; at most 64 KiB of them.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) -> &mut Message {
        let start = self.bytes.len();
        self.put(kind | libc::NLA_F_NESTED as u16, &[]);
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn flag(&mut self, flag: u16) {
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | flag;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    }

    fn flagged(mut self, flag: u16) -> Message {
        self.flag(flag);
        self
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// The attributes of an answer: kind and value.
pub(crate) fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let kind = u16::from_ne_bytes([bytes[2], bytes[3]]) & libc::NLA_TYPE_MASK as u16;
        if length < 4 || length > bytes.len() {
            break;
        }
        found.push((kind, &bytes[4..length]));
        bytes = &bytes[padded(length).min(bytes.len())..];
    }
    found
}

/// The value of the attribute of a kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = attributes(bytes).into_iter();
    all.find(|(other, _)| *other == kind)
        .map(|(_, value)| value)
}
