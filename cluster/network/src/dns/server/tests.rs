//! Queries through real sockets.

use super::*;
use crate::dns::fixture::{names, network, query};
use std::net::IpAddr;

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
    servers.serve(network(), udp, tcp).unwrap();
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
    assert!(serving.servers.has(network()));
    serving.servers.close(network()).await;
    assert!(!serving.servers.has(network()));
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
