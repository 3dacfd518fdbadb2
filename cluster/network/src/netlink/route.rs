//! Links, their addresses, routes and neighbours.

use super::{Message, Socket, attribute, u32_at};
use ipnet::IpNet;
use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

pub(crate) type Mac = [u8; 6];

/// A link as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: u32,
    pub name: String,
    pub mtu: u32,
    pub bridge: bool,
    /// Of a VXLAN link: where its frames come from, and the port they go to. Of others it says nothing.
    pub tunnel: Option<(IpAddr, u16)>,
}

/// What a link is made as.
pub(crate) enum Kind<'a> {
    /// With frames shown to the IP families' rules.
    Bridge,
    /// Frames within UDP; answers for neighbours it was told of, learns none.
    Vxlan { vni: u32, local: IpAddr, port: u16 },
    /// One end; the other stands in another namespace and is down, as the kernel wants it.
    Veth {
        peer: &'a str,
        peer_mac: Option<Mac>,
        peer_namespace: BorrowedFd<'a>,
    },
}

/// A link to be made, and up.
pub(crate) struct NewLink<'a> {
    pub name: &'a str,
    pub kind: Kind<'a>,
    pub mac: Option<Mac>,
    pub mtu: u32,
    /// The index of the bridge it is a port of.
    pub master: Option<u32>,
    /// None: in the socket's own namespace.
    pub namespace: Option<BorrowedFd<'a>>,
}

const CREATE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const PUT: i32 = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
const UP: u32 = libc::IFF_UP as u32;

/// The group of links that are to go. Links are in group 0 unless an administrator gave them another, as small a number as
/// people choose: nobody's are in this one, which is `swrm`.
const GONE: u32 = 0x7377_726d;

// Attributes that the libc crate does not name. Source: linux/if_link.h, linux/veth.h.
const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PROXY: u16 = 11;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_VXLAN_LOCAL6: u16 = 17;
const IFLA_BR_NF_CALL_IPTABLES: u16 = 36;
const IFLA_BR_NF_CALL_IP6TABLES: u16 = 37;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BRPORT_MODE: u16 = 4;
const VETH_INFO_PEER: u16 = 1;

impl Socket {
    /// All links of the socket's namespace.
    pub(crate) fn links(&mut self) -> io::Result<Vec<Link>> {
        let found = self.dump(Message::new(libc::RTM_GETLINK, 0, &link_head(0, 0)))?;
        Ok(found.iter().map(|payload| link_of(payload)).collect())
    }

    /// The link of a name, if there is one.
    pub(crate) fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut message = Message::new(libc::RTM_GETLINK, 0, &link_head(0, 0));
        message.text(libc::IFLA_IFNAME, name);
        match self.ask(message) {
            Ok(payload) => Ok(Some(link_of(&payload))),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn add_link(&mut self, link: &NewLink<'_>) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link_head(0, UP));
        message.text(libc::IFLA_IFNAME, link.name);
        message.put(libc::IFLA_MTU, &link.mtu.to_ne_bytes());
        if let Some(mac) = link.mac {
            message.put(libc::IFLA_ADDRESS, &mac);
        }
        if let Some(master) = link.master {
            message.put(libc::IFLA_MASTER, &master.to_ne_bytes());
        }
        if let Some(namespace) = link.namespace {
            put_namespace(&mut message, namespace);
        }
        message.nest(libc::IFLA_LINKINFO, |info| match &link.kind {
            Kind::Bridge => bridge(info),
            Kind::Vxlan { vni, local, port } => vxlan(info, *vni, *local, *port),
            Kind::Veth { .. } => veth(info, link),
        });
        self.request(message)
    }

    pub(crate) fn delete_link(&mut self, index: u32) -> io::Result<()> {
        self.request(Message::new(libc::RTM_DELLINK, 0, &link_head(index, 0)))
    }

    /// Deletes the link of a name; no error if there is none.
    pub(crate) fn delete_named(&mut self, name: &str) -> io::Result<()> {
        match self.link(name)? {
            Some(link) => self.delete_link(link.index),
            None => Ok(()),
        }
    }

    /// Deletes links at once: for each that is deleted alone the kernel waits anew until no packet is on its way in it,
    /// and nobody changes links meanwhile. No error for one that is gone.
    pub(crate) fn delete_links(&mut self, links: &[Link]) -> io::Result<()> {
        for link in links {
            let mut message = Message::new(libc::RTM_NEWLINK, 0, &link_head(link.index, 0));
            message.put(libc::IFLA_GROUP, &GONE.to_ne_bytes());
            no_link_is_fine(self.request(message))?;
        }
        let mut message = Message::new(libc::RTM_DELLINK, 0, &link_head(0, 0));
        message.put(libc::IFLA_GROUP, &GONE.to_ne_bytes());
        no_link_is_fine(self.request(message))
    }

    pub(crate) fn set_up(&mut self, index: u32) -> io::Result<()> {
        self.request(Message::new(libc::RTM_NEWLINK, 0, &link_head(index, UP)))
    }

    pub(crate) fn set_master(&mut self, index: u32, master: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0, &link_head(index, UP));
        message.put(libc::IFLA_MASTER, &master.to_ne_bytes());
        self.request(message)
    }

    /// Lets a bridge send frames back through the port that they came from, as a container's to itself.
    pub(crate) fn set_hairpin(&mut self, port: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0, &link_head(port, UP));
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_SLAVE_KIND, "bridge");
            info.nest(IFLA_INFO_SLAVE_DATA, |data| {
                data.put(IFLA_BRPORT_MODE, &[1]);
            });
        });
        self.request(message)
    }

    /// All addresses, with the index of their link.
    pub(crate) fn addresses(&mut self) -> io::Result<Vec<(u32, IpNet)>> {
        let found = self.dump(Message::new(libc::RTM_GETADDR, 0, &[0; 8]))?;
        let one = |payload: &Vec<u8>| {
            let attributes = payload.get(8..)?;
            let address = attribute(attributes, libc::IFA_LOCAL)
                .or_else(|| attribute(attributes, libc::IFA_ADDRESS));
            let address = IpNet::new(ip(address?)?, payload[1]).ok()?;
            Some((u32_at(payload, 4), address))
        };
        Ok(found.iter().filter_map(one).collect())
    }

    /// Gives a link an address, which it may have already. IPv6: usable at once, no one else is asked.
    pub(crate) fn add_address(&mut self, link: u32, address: IpNet) -> io::Result<()> {
        let message = address_message(libc::RTM_NEWADDR, PUT, link, address);
        self.request(message)
    }

    pub(crate) fn delete_address(&mut self, link: u32, address: IpNet) -> io::Result<()> {
        self.request(address_message(libc::RTM_DELADDR, 0, link, address))
    }

    /// Routes to `to` over a router, from a preferred address.
    pub(crate) fn add_route(
        &mut self,
        to: IpNet,
        via: IpAddr,
        source: IpAddr,
        link: u32,
    ) -> io::Result<()> {
        let head = [
            family(via),
            to.prefix_len(),
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        let mut message = Message::new(libc::RTM_NEWROUTE, PUT, &head);
        if to.prefix_len() > 0 {
            message.put(libc::RTA_DST, &octets(to.network()));
        }
        message.put(libc::RTA_GATEWAY, &octets(via));
        message.put(libc::RTA_PREFSRC, &octets(source));
        message.put(libc::RTA_OIF, &link.to_ne_bytes());
        self.request(message)
    }

    /// Tells a link where a neighbour is, for good.
    pub(crate) fn put_neighbour(&mut self, link: u32, address: IpAddr, mac: Mac) -> io::Result<()> {
        let head = neighbour_head(family(address), link, 0);
        let mut message = Message::new(libc::RTM_NEWNEIGH, PUT, &head);
        message.put(libc::NDA_DST, &octets(address));
        message.put(libc::NDA_LLADDR, &mac);
        self.request(message)
    }

    pub(crate) fn delete_neighbour(&mut self, link: u32, address: IpAddr) -> io::Result<()> {
        let head = neighbour_head(family(address), link, 0);
        let mut message = Message::new(libc::RTM_DELNEIGH, 0, &head);
        message.put(libc::NDA_DST, &octets(address));
        absent_is_fine(self.request(message))
    }

    /// Tells a VXLAN link behind which node a MAC address is.
    pub(crate) fn put_forward(&mut self, link: u32, mac: Mac, node: IpAddr) -> io::Result<()> {
        let head = neighbour_head(libc::AF_BRIDGE as u8, link, libc::NTF_SELF);
        let mut message = Message::new(libc::RTM_NEWNEIGH, PUT, &head);
        message.put(libc::NDA_LLADDR, &mac);
        message.put(libc::NDA_DST, &octets(node));
        self.request(message)
    }

    pub(crate) fn delete_forward(&mut self, link: u32, mac: Mac, node: IpAddr) -> io::Result<()> {
        let head = neighbour_head(libc::AF_BRIDGE as u8, link, libc::NTF_SELF);
        let mut message = Message::new(libc::RTM_DELNEIGH, 0, &head);
        message.put(libc::NDA_LLADDR, &mac);
        message.put(libc::NDA_DST, &octets(node));
        absent_is_fine(self.request(message))
    }
}

fn no_link_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        other => other,
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

fn link_head(index: u32, flags: u32) -> [u8; 16] {
    let mut head = [0; 16];
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    head[8..12].copy_from_slice(&flags.to_ne_bytes());
    head[12..16].copy_from_slice(&flags.to_ne_bytes());
    head
}

fn neighbour_head(family: u8, link: u32, flags: u8) -> [u8; 12] {
    let mut head = [0; 12];
    head[0] = family;
    head[4..8].copy_from_slice(&link.to_ne_bytes());
    head[8..10].copy_from_slice(&libc::NUD_PERMANENT.to_ne_bytes());
    head[10] = flags;
    head
}

fn address_message(kind: u16, flags: i32, link: u32, address: IpNet) -> Message {
    let no_detection = match address {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => libc::IFA_F_NODAD as u8,
    };
    let mut head = [
        family(address.addr()),
        address.prefix_len(),
        no_detection,
        0,
    ]
    .to_vec();
    head.extend_from_slice(&link.to_ne_bytes());
    let mut message = Message::new(kind, flags, &head);
    message.put(libc::IFA_LOCAL, &octets(address.addr()));
    message.put(libc::IFA_ADDRESS, &octets(address.addr()));
    message
}

fn bridge(info: &mut Message) {
    info.text(libc::IFLA_INFO_KIND, "bridge");
    info.nest(libc::IFLA_INFO_DATA, |data| {
        data.put(IFLA_BR_NF_CALL_IPTABLES, &[1]);
        data.put(IFLA_BR_NF_CALL_IP6TABLES, &[1]);
    });
}

fn vxlan(info: &mut Message, vni: u32, local: IpAddr, port: u16) {
    let local_kind = match local {
        IpAddr::V4(_) => IFLA_VXLAN_LOCAL,
        IpAddr::V6(_) => IFLA_VXLAN_LOCAL6,
    };
    info.text(libc::IFLA_INFO_KIND, "vxlan");
    info.nest(libc::IFLA_INFO_DATA, |data| {
        data.put(IFLA_VXLAN_ID, &vni.to_ne_bytes());
        data.put(local_kind, &octets(local));
        data.put(IFLA_VXLAN_PORT, &port.to_be_bytes());
        data.put(IFLA_VXLAN_LEARNING, &[0]);
        data.put(IFLA_VXLAN_PROXY, &[1]);
    });
}

fn veth(info: &mut Message, link: &NewLink<'_>) {
    let Kind::Veth {
        peer,
        peer_mac,
        peer_namespace,
    } = &link.kind
    else {
        return;
    };
    info.text(libc::IFLA_INFO_KIND, "veth");
    info.nest(libc::IFLA_INFO_DATA, |data| {
        data.nest(VETH_INFO_PEER, |other| {
            other.bytes.extend_from_slice(&link_head(0, 0));
            other.text(libc::IFLA_IFNAME, peer);
            other.put(libc::IFLA_MTU, &link.mtu.to_ne_bytes());
            put_namespace(other, *peer_namespace);
            if let Some(mac) = peer_mac {
                other.put(libc::IFLA_ADDRESS, mac);
            }
        });
    });
}

fn put_namespace(message: &mut Message, namespace: BorrowedFd<'_>) {
    let fd = namespace.as_raw_fd() as u32;
    message.put(libc::IFLA_NET_NS_FD, &fd.to_ne_bytes());
}

fn link_of(payload: &[u8]) -> Link {
    let attributes = payload.get(16..).unwrap_or_default();
    let name = attribute(attributes, libc::IFLA_IFNAME).unwrap_or_default();
    let name = CStr::from_bytes_until_nul(name).unwrap_or_default();
    Link {
        index: u32_at(payload, 4),
        name: name.to_string_lossy().into_owned(),
        mtu: u32_at(attribute(attributes, libc::IFLA_MTU).unwrap_or_default(), 0),
        bridge: kind_of(attributes).is_some_and(|kind| kind.starts_with(b"bridge")),
        tunnel: tunnel_of(attributes),
    }
}

fn kind_of(attributes: &[u8]) -> Option<&[u8]> {
    let info = attribute(attributes, libc::IFLA_LINKINFO)?;
    attribute(info, libc::IFLA_INFO_KIND)
}

fn tunnel_of(attributes: &[u8]) -> Option<(IpAddr, u16)> {
    let info = attribute(attributes, libc::IFLA_LINKINFO)?;
    let kind = kind_of(attributes)?;
    let data = attribute(info, libc::IFLA_INFO_DATA)?;
    let fourth = || {
        let local: [u8; 4] = attribute(data, IFLA_VXLAN_LOCAL)?.try_into().ok()?;
        Some(IpAddr::from(local))
    };
    let sixth = || {
        let local: [u8; 16] = attribute(data, IFLA_VXLAN_LOCAL6)?.try_into().ok()?;
        Some(IpAddr::from(local))
    };
    let port: [u8; 2] = attribute(data, IFLA_VXLAN_PORT)?.try_into().ok()?;
    let local = fourth()
        .or_else(sixth)
        .filter(|_| kind.starts_with(b"vxlan"))?;
    Some((local, u16::from_be_bytes(port)))
}

/// An address family's number.
pub(crate) fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

/// An address's bytes.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The address of four or sixteen bytes.
pub(crate) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}
