//! Servers of the host, good and bad.

use super::*;
use tokio::net::TcpListener;

/// A query for `example.com`, kind A.
fn query() -> Vec<u8> {
    let mut packet = vec![0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(b"\x07example\x03com\x00\x00\x01\x00\x01");
    packet
}

/// The reply to it, marked by its code.
fn reply_to(packet: &[u8], code: u8) -> Vec<u8> {
    let mut reply = packet.to_vec();
    reply[2] |= 0x80;
    reply[3] = 0x80 | code;
    reply
}

async fn server() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn received(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut packet = vec![0; 4096];
    let (length, client) = socket.recv_from(&mut packet).await.unwrap();
    packet.truncate(length);
    (packet, client)
}

fn upstream(servers: &[SocketAddr]) -> Arc<Upstream> {
    Upstream::new(Resolvers::fixed(servers.to_vec()))
}

#[tokio::test]
async fn a_reply_comes_back_under_the_clients_id() {
    let (socket, address) = server().await;
    let serving = tokio::spawn(async move {
        let (packet, client) = received(&socket).await;
        let reply = reply_to(&packet, 3);
        socket.send_to(&reply, client).await.unwrap();
        packet
    });
    let reply = upstream(&[address])
        .ask(&query(), Carriage::Udp)
        .await
        .unwrap();
    assert_eq!(reply, reply_to(&query(), 3));
    let asked = serving.await.unwrap();
    assert_eq!(asked[2..], query()[2..], "the rest goes on as it came");
}

#[tokio::test]
async fn a_guessed_reply_is_not_taken() {
    let (socket, address) = server().await;
    tokio::spawn(async move {
        let (packet, client) = received(&socket).await;
        let mut guess = reply_to(&packet, 0);
        guess[0] ^= 1;
        socket.send_to(&guess, client).await.unwrap();
        let mut other = reply_to(&packet, 0);
        other[14] = b'y';
        socket.send_to(&other, client).await.unwrap();
        socket.send_to(&reply_to(&packet, 3), client).await.unwrap();
    });
    let reply = upstream(&[address])
        .ask(&query(), Carriage::Udp)
        .await
        .unwrap();
    assert_eq!(reply[3] & 0x0F, 3);
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_not_there() {
    let (gone, nobody) = server().await;
    drop(gone);
    let (socket, address) = server().await;
    tokio::spawn(async move {
        let (packet, client) = received(&socket).await;
        socket.send_to(&reply_to(&packet, 0), client).await.unwrap();
    });
    let reply = upstream(&[nobody, address])
        .ask(&query(), Carriage::Udp)
        .await;
    assert!(reply.is_some());
}

#[tokio::test]
async fn without_a_server_there_is_no_reply() {
    assert_eq!(upstream(&[]).ask(&query(), Carriage::Udp).await, None);
    let (gone, nobody) = server().await;
    drop(gone);
    assert_eq!(upstream(&[nobody]).ask(&query(), Carriage::Tcp).await, None);
}

#[tokio::test]
async fn over_tcp_a_large_reply_comes_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut packet = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut packet).await.unwrap();
        let mut reply = reply_to(&packet, 0);
        reply.resize(60_000, 7);
        stream.write_all(&60_000u16.to_be_bytes()).await.unwrap();
        stream.write_all(&reply).await.unwrap();
    });
    let reply = upstream(&[address])
        .ask(&query(), Carriage::Tcp)
        .await
        .unwrap();
    assert_eq!(reply.len(), 60_000);
}

#[tokio::test]
async fn a_server_without_tcp_is_asked_over_udp() {
    let (socket, address) = server().await;
    tokio::spawn(async move {
        let (packet, client) = received(&socket).await;
        socket.send_to(&reply_to(&packet, 0), client).await.unwrap();
    });
    let reply = upstream(&[address]).ask(&query(), Carriage::Tcp).await;
    assert!(reply.is_some());
}
