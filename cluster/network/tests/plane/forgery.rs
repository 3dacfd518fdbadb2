//! A container that says it is another: root in its own namespace, raw sockets and all.

use crate::rig::*;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, sendto,
    socket,
};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;
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

/// Puts a frame on a container's wire as it is.
fn send(from: &Container, frame: &[u8]) {
    from.space.within(|| {
        let all = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), all).unwrap();
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
