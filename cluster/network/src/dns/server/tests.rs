//! Queries through real sockets.

use super::*;
use crate::dns::fixture::{names, network, query};
use std::net::IpAddr;
use swarmrs_types::endpoint::{Endpoint, Fact};

struct Serving {
    servers: Servers,
    udp: SocketAddr,
    tcp: SocketAddr,
}

fn serve(names: Arc<Names>) -> Serving {
    let udp = StdSocket::bind("127.0.0.1:0").unwrap();
    let tcp = StdListener::bind("127.0.0.1:0").unwrap();
    let (at, tcp_at) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    let mut servers = Servers::new(names);
    servers.serve(network(), 0, udp, tcp).unwrap();
    Serving {
        servers,
        udp: at,
        tcp: tcp_at,
    }
}

async fn ask(at: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(packet, at).await.unwrap();
    let mut reply = vec![0; 4096];
    let received = timeout(Duration::from_secs(5), socket.recv(&mut reply));
    let length = received.await.expect("an answer").unwrap();
    reply.truncate(length);
    reply
}

fn code(reply: &[u8]) -> u8 {
    reply[3] & 0x0F
}

#[tokio::test]
async fn known_and_unknown_names_are_answered_over_udp() {
    let serving = serve(names(Vec::new()));
    let reply = ask(serving.udp, &query("web")).await;
    assert_eq!((code(&reply), reply[7]), (0, 1));
    assert!(reply.ends_with(&[10, 0, 1, 100]), "{reply:?}");
    assert_eq!(code(&ask(serving.udp, &query("nope")).await), 3);
    assert_eq!(
        code(&ask(serving.udp, &query("example.com")).await),
        2,
        "nobody to ask"
    );
    let mut malformed = query("web");
    malformed.truncate(14);
    assert_eq!(code(&ask(serving.udp, &malformed).await), 1);
}

#[tokio::test]
async fn two_queries_on_one_connection_are_answered_over_tcp() {
    let serving = serve(names(Vec::new()));
    let mut stream = TcpStream::connect(serving.tcp).await.unwrap();
    for (name, wanted) in [("web", 0), ("nope", 3)] {
        let packet = query(name);
        stream.write_u16(packet.len() as u16).await.unwrap();
        stream.write_all(&packet).await.unwrap();
        let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(code(&reply), wanted, "{name}");
    }
}

/// More than an answer of 512 bytes has room for.
const MANY: u8 = 40;

/// The names of the fixture, and the tasks of its service.
fn names_of_many() -> Arc<Names> {
    let names = names(Vec::new());
    let mut zone = Zone::clone(&names.zone.load());
    for last in 1..=MANY {
        zone.put(&Fact::Endpoint(Endpoint {
            network: network(),
            owner: format!("t{last:024}").parse().unwrap(),
            node: "d000000000000000000000001".parse().unwrap(),
            name: format!("web.{last}"),
            aliases: Vec::new(),
            addresses: vec![format!("10.0.1.{last}/24").parse().unwrap()],
            service: Some("s000000000000000000000001".parse().unwrap()),
            ready: true,
            gateway: true,
            resolvers: Vec::new(),
            container: None,
        }));
    }
    names.zone.store(Arc::new(zone));
    names
}

#[tokio::test]
async fn an_answer_that_a_datagram_cannot_hold_is_had_over_tcp() {
    let serving = serve(names_of_many());
    let mut packet = query("tasks.web");
    let truncated = |reply: &[u8]| reply[2] & 2 != 0;
    let cut = ask(serving.udp, &packet).await;
    assert!(cut.len() <= 512 && truncated(&cut), "{cut:?}");
    assert!((20..MANY).contains(&cut[7]), "{cut:?}");

    let mut stream = TcpStream::connect(serving.tcp).await.unwrap();
    stream.write_u16(packet.len() as u16).await.unwrap();
    stream.write_all(&packet).await.unwrap();
    let mut whole = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut whole).await.unwrap();
    assert_eq!((truncated(&whole), whole[7]), (false, MANY));

    // Or by whoever says that it takes larger ones: root name, OPT, 1232 bytes, nothing else.
    packet[11] = 1;
    packet.extend([0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0]);
    let large = ask(serving.udp, &packet).await;
    assert_eq!((truncated(&large), large[7]), (false, MANY));
}

#[tokio::test]
async fn a_name_of_others_is_asked_of_them() {
    let outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = outside.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = vec![0; 4096];
        let (length, client) = outside.recv_from(&mut packet).await.unwrap();
        packet[2] |= 0x80;
        packet[3] = 5;
        outside.send_to(&packet[..length], client).await.unwrap();
    });
    let serving = serve(names(vec![at]));
    let reply = ask(serving.udp, &query("example.com")).await;
    assert_eq!((reply[0], reply[1], code(&reply)), (0xAB, 0xCD, 5));
}

#[tokio::test]
async fn nothing_is_said_to_an_answer() {
    let serving = serve(names(Vec::new()));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut answer = query("web");
    answer[2] |= 0x80;
    socket.send_to(&answer, serving.udp).await.unwrap();
    socket.send_to(&query("web"), serving.udp).await.unwrap();
    let mut reply = vec![0; 4096];
    socket.recv(&mut reply).await.unwrap();
    assert_eq!(reply[7], 1, "the second was answered first");
}

#[tokio::test]
async fn a_closed_server_leaves_its_address() {
    let mut serving = serve(names(Vec::new()));
    serving.servers.close(network()).await;
    StdSocket::bind(serving.udp).unwrap();
    StdListener::bind(serving.tcp).unwrap();
}

#[test]
fn every_address_comes_first_now_and_then() {
    let all: Vec<IpAddr> = (0..4).map(|last| IpAddr::from([10, 0, 0, last])).collect();
    let mut first = std::collections::BTreeMap::new();
    for turn in 0..4000 {
        let mut mixed = all.clone();
        shuffle(&mut mixed, turn);
        *first.entry(mixed[0]).or_insert(0) += 1;
        mixed.sort();
        assert_eq!(mixed, all);
    }
    assert!(
        first.values().all(|count| (900..1100).contains(count)),
        "{first:?}"
    );
}
