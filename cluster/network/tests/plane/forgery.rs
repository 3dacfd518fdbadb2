//! A container that says it is another: root in its own namespace, raw sockets and all.

use crate::rig::*;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, recv,
    sendto, socket,
};
use std::net::{Ipv6Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};
use swarmrs_network::plane::Plane;
use swarmrs_types::endpoint::Fact;

type Mac = [u8; 6];

const FORGER: Mac = [0x02, 0x42, 10, 0, 1, 11];
const VICTIM: Mac = [0x02, 0x42, 10, 0, 1, 12];
const NODE: Mac = [0x02, 0x5a, 0, 0, 0, 2];
const EVERYONE: Mac = [0xff; 6];

/// A forger at .11, its victim at .12 and a witness at .13.
async fn scene(plane: &Plane) -> [Container; 3] {
    let mut facts = vec![peer(), Fact::Network(overlay(1))];
    facts.extend((1..=3).map(|task| Fact::Endpoint(endpoint(1, task, 0, 10 + task as u8))));
    plane.tell(&put(facts), true).await.unwrap();
    let forger = container(plane, network(1), "10.0.1.11/24").await;
    let victim = container(plane, network(1), "10.0.1.12/24").await;
    let witness = container(plane, network(1), "10.0.1.13/24").await;
    [forger, victim, witness]
}

/// Hears and says whatever is on the wire of the namespace it is opened in.
fn wire() -> OwnedFd {
    let all = SockProtocol::EthAll;
    socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), all).unwrap()
}

/// Puts a frame on a container's wire as it is.
fn send(from: &Container, frame: &[u8]) {
    from.space.within(|| {
        let socket = wire();
        let index = nix::net::if_::if_nametoindex("eth0").unwrap();
        let mut raw = [0u8; 20];
        raw[0..2].copy_from_slice(&(libc_packet()).to_ne_bytes());
        raw[4..8].copy_from_slice(&index.to_ne_bytes());
        let to = link_address(&raw);
        sendto(socket.as_raw_fd(), frame, &to, MsgFlags::empty()).unwrap();
    });
}

fn libc_packet() -> u16 {
    AddressFamily::Packet as i32 as u16
}

#[expect(
    unsafe_code,
    reason = "a packet socket's address has no safe constructor"
)]
fn link_address(raw: &[u8; 20]) -> LinkAddr {
    // SAFETY: the bytes are a whole sockaddr_ll, whose family is its first field.
    unsafe { LinkAddr::from_raw(raw.as_ptr().cast(), Some(20)).unwrap() }
}

fn ethernet(to: Mac, from: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), payload].concat()
}

/// "I am at this address", for everyone.
fn arp(from: Mac, says_mac: Mac, says_ip: [u8; 4]) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, 2];
    let payload = [&head[..], &says_mac, &says_ip, &says_mac, &says_ip].concat();
    ethernet(EVERYONE, from, 0x0806, &payload)
}

/// A datagram to port 7 of the witness.
fn datagram(from: Mac, says_ip: [u8; 4]) -> Vec<u8> {
    let witness = [10, 0, 1, 13];
    let mut ip = vec![0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0, 0];
    ip.extend(says_ip);
    ip.extend(witness);
    let sum: u32 = ip
        .chunks(2)
        .map(|two| u32::from(u16::from_be_bytes([two[0], two[1]])))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend([0, 9, 0, 7, 0, 9, 0, 0, b'!']);
    ethernet([0x02, 0x42, 10, 0, 1, 13], from, 0x0800, &ip)
}

/// Whether the witness hears of it.
fn heard(witness: &UdpSocket) -> bool {
    witness
        .set_read_timeout(Some(Duration::from_millis(400)))
        .unwrap();
    witness.recv(&mut [0; 8]).is_ok()
}

/// What the witness takes an address's neighbour for.
fn neighbour(witness: &Container, address: &str) -> String {
    witness
        .space
        .within(|| ip(&format!("neigh show {address}")))
}

#[test]
fn frames_pass_only_with_their_containers_own_addresses() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let [forger, _victim, witness] = scene(&plane).await;
        let socket = witness
            .space
            .within(|| UdpSocket::bind("0.0.0.0:7"))
            .unwrap();
        let own = [10, 0, 1, 11];
        send(&forger, &datagram(FORGER, own));
        assert!(heard(&socket), "its own frame does not pass");
        for (what, mac, address) in [
            ("a neighbour's IP address", FORGER, [10, 0, 1, 12]),
            ("the gateway's IP address", FORGER, [10, 0, 1, 1]),
            ("a stranger's IP address", FORGER, [8, 8, 8, 8]),
            ("a neighbour's MAC address", VICTIM, own),
            ("a node's MAC address", NODE, own),
        ] {
            send(&forger, &datagram(mac, address));
            assert!(!heard(&socket), "a frame with {what} passes");
        }
        plane.clear().await.unwrap();
    });
}

#[test]
fn nobody_takes_over_a_neighbours_address_or_the_gateways() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let [forger, victim, witness] = scene(&plane).await;
        victim.serve(80);
        assert_eq!(witness.tcp("10.0.1.12:80").unwrap(), "10.0.1.12 10.0.1.13");
        let right = neighbour(&witness, "10.0.1.12");
        assert!(right.contains("02:42:0a:00:01:0c"), "{right}");
        assert!(witness.tcp("10.0.1.1:9").is_err());
        send(&forger, &arp(FORGER, VICTIM, [10, 0, 1, 11]));
        send(&forger, &arp(FORGER, FORGER, [10, 0, 1, 12]));
        send(&forger, &arp(FORGER, FORGER, [10, 0, 1, 1]));
        std::thread::sleep(Duration::from_millis(100));
        assert!(neighbour(&witness, "10.0.1.12").contains("02:42:0a:00:01:0c"));
        assert!(!neighbour(&witness, "10.0.1.1").contains("02:42"));
        assert_eq!(witness.tcp("10.0.1.12:80").unwrap(), "10.0.1.12 10.0.1.13");
        // Its own it may announce.
        witness.space.within(|| {
            ip("neigh replace 10.0.1.11 lladdr 02:00:00:00:00:01 dev eth0 nud stale");
            // A newer claim within a second would not count.
            std::fs::write("/proc/sys/net/ipv4/neigh/eth0/locktime", "0").unwrap();
        });
        send(&forger, &arp(FORGER, FORGER, [10, 0, 1, 11]));
        std::thread::sleep(Duration::from_millis(100));
        let announced = neighbour(&witness, "10.0.1.11");
        assert!(announced.contains("02:42:0a:00:01:0b"), "{announced}");
        plane.clear().await.unwrap();
    });
}

#[test]
fn loopback_addresses_of_the_host_are_out_of_reach() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let [forger, ..] = scene(&plane).await;
        let local = UdpSocket::bind("127.0.0.1:7").unwrap();
        // Out of the container over its gateway, as a route to it would have it.
        forger.space.within(|| {
            std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap();
            ip("route del local 127.0.0.0/8 dev lo table local");
            ip("route del local 127.0.0.1 dev lo table local");
            ip("route add 127.0.0.1 via 10.0.1.1");
            let socket = UdpSocket::bind("10.0.1.11:0").unwrap();
            let _ = socket.send_to(b"!", "127.0.0.1:7");
        });
        assert!(!heard(&local));
        plane.clear().await.unwrap();
    });
}

/// Numbers of ICMPv6 messages. Source: RFC 4861.
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

const UDP: u8 = 17;
const ICMP6: u8 = 58;

fn v6(address: &str) -> [u8; 16] {
    address.parse::<Ipv6Addr>().unwrap().octets()
}

/// What the forger has of its own: an address that it was given and one that follows from its hardware.
const OWN_V6: &str = "fd10:1::11";
const OWN_LINK: &str = "fe80::42:aff:fe00:10b";

/// To the witness. `headers` stand between the IPv6 header and the message, and begin with the number of the first.
fn ipv6(from: Mac, says: &str, protocol: u8, message: &[u8], headers: &[u8]) -> Vec<u8> {
    let witness = v6("fd10:1::13");
    let (next, between) = headers.split_first().unwrap_or((&protocol, &[]));
    let length = (between.len() + message.len()) as u16;
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([*next, 255]);
    packet.extend(v6(says));
    packet.extend(witness);
    packet.extend(between);
    let sum_at = if protocol == UDP { 6 } else { 2 };
    let mut message = message.to_vec();
    let pseudo = [&v6(says)[..], &witness, &[0, 0, 0, message.len() as u8]].concat();
    let summed = [&pseudo[..], &[0, 0, 0, protocol], &message].concat();
    let mut sum: u32 = summed
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | u32::from(*two.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[sum_at..sum_at + 2].copy_from_slice(&(!sum as u16).to_be_bytes());
    packet.extend(message);
    ethernet([0x02, 0x42, 10, 0, 1, 13], from, 0x86dd, &packet)
}

/// "That address is here", or for a solicitation: "who has that address? I am here".
fn neighbour_message(kind: u8, says: &str, target: &str, headers: &[u8]) -> Vec<u8> {
    let (flags, option) = match kind {
        ADVERTISEMENT => (0x20, 2),
        _ => (0, 1),
    };
    let head = [kind, 0, 0, 0, flags, 0, 0, 0];
    let message = [&head[..], &v6(target), &[option, 1], &FORGER].concat();
    ipv6(FORGER, says, ICMP6, &message, headers)
}

/// "The way out is by me, for an hour."
fn router_advertisement(says: &str) -> Vec<u8> {
    let head = [ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0, 0x0e, 0x10];
    let message = [&head[..], &[0; 8], &[1, 1], &FORGER].concat();
    ipv6(FORGER, says, ICMP6, &message, &[])
}

/// "There is a better way to the outside: me."
fn redirect(says: &str) -> Vec<u8> {
    let head = [REDIRECT, 0, 0, 0, 0, 0, 0, 0];
    let (better, outside) = (v6(OWN_LINK), v6("2001:db8::8"));
    let message = [&head[..], &better, &outside, &[2, 1], &FORGER].concat();
    ipv6(FORGER, says, ICMP6, &message, &[])
}

fn datagram_v6(from: Mac, says: &str) -> Vec<u8> {
    ipv6(from, says, UDP, &[0, 9, 0, 7, 0, 9, 0, 0, b'!'], &[])
}

/// Whether the frame comes out at the witness's end, unchanged.
fn arrives(forger: &Container, witness: &OwnedFd, frame: &[u8]) -> bool {
    send(forger, frame);
    let end = Instant::now() + Duration::from_millis(400);
    let mut heard = [0; 256];
    while Instant::now() < end {
        match recv(witness.as_raw_fd(), &mut heard, MsgFlags::MSG_DONTWAIT) {
            Ok(length) if heard[..length] == *frame => return true,
            Ok(_) => {}
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    false
}

#[test]
fn over_ipv6_too_nobody_is_another_or_the_way_out() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let mut facts = vec![peer(), Fact::Network(both_families(1))];
        let member = |task| Fact::Endpoint(endpoint_of_both(1, task, 0, 10 + task as u8));
        facts.extend((1..=3).map(member));
        plane.tell(&put(facts), true).await.unwrap();
        let forger = container_of_both(&plane, 1, 11).await;
        let victim = container_of_both(&plane, 1, 12).await;
        let witness = container_of_both(&plane, 1, 13).await;
        victim
            .space
            .serve_on("::".parse().unwrap(), victim.address, 80);
        let answered = || witness.tcp("[fd10:1::12]:80").unwrap();
        assert_eq!(answered(), "10.0.1.12 fd10:1::13");
        let known = |address: &str| {
            let words = neighbour(&witness, address);
            let hardware = words.split("lladdr ").nth(1).unwrap_or_default();
            hardware.split(' ').next().unwrap_or_default().to_owned()
        };
        assert!(witness.tcp("[fd10:1::1]:9").is_err());
        let ways = || witness.space.within(|| ip("-6 route show default"));
        let before = (known("fd10:1::12"), known("fd10:1::1"), ways());
        assert_eq!(before.0, "02:42:0a:00:01:0c");
        assert_ne!(before.1, "");

        let ear = witness.space.within(wire);
        let own = neighbour_message(ADVERTISEMENT, OWN_V6, OWN_V6, &[]);
        // Behind a header that says nothing ("hop by hop", padding).
        let padded = [0, ICMP6, 0, 1, 4, 0, 0, 0, 0];
        for (what, frame) in [
            ("a datagram", datagram_v6(FORGER, OWN_V6)),
            ("an advertisement", own.clone()),
            (
                "a solicitation",
                neighbour_message(SOLICITATION, OWN_LINK, "fd10:1::13", &[]),
            ),
            (
                "a padded one",
                neighbour_message(SOLICITATION, OWN_V6, "fd10:1::13", &padded),
            ),
        ] {
            let passes = arrives(&forger, &ear, &frame);
            assert!(passes, "{what} of its own does not pass");
        }
        let claims =
            |says, target, headers| neighbour_message(ADVERTISEMENT, says, target, headers);
        let asks = |says| neighbour_message(SOLICITATION, says, "fd10:1::13", &[]);
        let tagged = [&own[..12], &[0x81, 0, 0, 1], &own[12..]].concat();
        for (what, frame) in [
            ("a neighbour's address", claims(OWN_V6, "fd10:1::12", &[])),
            ("the gateway's address", claims(OWN_V6, "fd10:1::1", &[])),
            (
                "an address behind a header",
                claims(OWN_V6, "fd10:1::12", &padded),
            ),
            (
                "a neighbour's claim",
                claims("fd10:1::12", "fd10:1::12", &[]),
            ),
            ("a neighbour's question", asks("fd10:1::12")),
            ("the gateway's question", asks("fd10:1::1")),
            ("a way out", router_advertisement(OWN_LINK)),
            ("the gateway's way out", router_advertisement("fe80::1")),
            ("a better way", redirect(OWN_LINK)),
            ("the gateway's better way", redirect("fd10:1::1")),
            ("a neighbour's datagram", datagram_v6(FORGER, "fd10:1::12")),
            ("the gateway's datagram", datagram_v6(FORGER, "fd10:1::1")),
            ("a stranger's datagram", datagram_v6(FORGER, "2001:db8::8")),
            ("a neighbour's hardware", datagram_v6(VICTIM, OWN_V6)),
            ("a node's hardware", datagram_v6(NODE, OWN_V6)),
            ("a tagged frame", tagged),
        ] {
            assert!(!arrives(&forger, &ear, &frame), "{what} passes");
        }
        let after = (known("fd10:1::12"), known("fd10:1::1"), ways());
        assert_eq!(after, before);
        assert_eq!(answered(), "10.0.1.12 fd10:1::13");
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_network_of_ipv4_alone_carries_no_ipv6() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let [forger, _victim, witness] = scene(&plane).await;
        let ear = witness.space.within(wire);
        let own = datagram(FORGER, [10, 0, 1, 11]);
        assert!(arrives(&forger, &ear, &own), "its own does not pass");
        for (what, frame) in [
            ("a datagram", datagram_v6(FORGER, OWN_LINK)),
            (
                "a question",
                neighbour_message(SOLICITATION, OWN_LINK, "fd10:1::13", &[]),
            ),
            (
                "an advertisement",
                neighbour_message(ADVERTISEMENT, OWN_LINK, OWN_LINK, &[]),
            ),
            ("a way out", router_advertisement(OWN_LINK)),
            ("a better way", redirect(OWN_LINK)),
        ] {
            assert!(!arrives(&forger, &ear, &frame), "{what} passes");
        }
        plane.clear().await.unwrap();
    });
}
