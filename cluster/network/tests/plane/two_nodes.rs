//! Two planes with frames between them: what one host builds is what several need.

use crate::rig::*;
use std::net::IpAddr;
use swarmrs_network::plane::{Config, Plane, Tag};
use swarmrs_types::endpoint::{Endpoint, Fact, Overlay, Peer};
use swarmrs_types::id::NodeId;

/// The neighbour on the wire as a second node.
fn second() -> NodeId {
    format!("node{:0>21}", 2).parse().unwrap()
}

fn other_peer() -> Fact {
    Fact::Peer(Peer {
        node: second(),
        index: 2,
        data_path: CLIENT.parse().unwrap(),
        ingress: Some("10.0.0.4/24".parse().unwrap()),
    })
}

fn on_second(endpoint: Endpoint) -> Endpoint {
    Endpoint {
        node: second(),
        ..endpoint
    }
}

/// The plane of the second node. Its runtime lives as long as the test.
fn second_plane(host: &Host) -> Plane {
    let folder = host.folder().with_file_name("second");
    let config = Config {
        node: second(),
        tag: Tag::of(&folder),
        folder,
        data_path: CLIENT.parse().unwrap(),
        data_path_port: 4789,
        underlay_mtu: None,
    };
    host.client.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let plane = runtime.block_on(Plane::open(config)).unwrap();
        std::mem::forget(runtime);
        plane
    })
}

/// A container on the second node.
async fn there(host: &Host, plane: &Plane, overlay: &Overlay, address: &str) -> Container {
    let (bare, prefix) = address.split_once('/').unwrap();
    let bare: IpAddr = bare.parse().unwrap();
    let joined = plane.join(overlay.id, bare).await.unwrap();
    let space = Space::new();
    host.client.within(|| {
        ip(&format!(
            "link set {} netns {}",
            joined.source_name,
            space.path()
        ));
    });
    space.within(|| {
        ip(&format!("link set {} name eth0", joined.source_name));
        ip(&format!("addr add {bare}/{prefix} dev eth0"));
        ip("link set eth0 up");
        if let Some(gateway) = joined.gateway {
            ip(&format!("route add default via {gateway}"));
        }
    });
    Container {
        space,
        address: bare,
        joined,
    }
}

#[test]
fn containers_of_two_nodes_reach_each_other_and_share_a_virtual_address() {
    on_a_host(|host| async move {
        let (one, two) = (host.plane().await, second_plane(&host));
        let facts = put([
            peer(),
            other_peer(),
            Fact::Network(overlay(1)),
            Fact::Service(balanced(1, 1, "10.0.1.2", &[])),
            Fact::Endpoint(endpoint(1, 1, 1, 11)),
            Fact::Endpoint(on_second(endpoint(1, 2, 1, 12))),
            Fact::Endpoint(endpoint(1, 50, 0, 50)),
        ]);
        one.tell(&facts, true).await.unwrap();
        two.tell(&facts, true).await.unwrap();
        let near = container(&one, network(1), "10.0.1.11/24").await;
        let client_ = container(&one, network(1), "10.0.1.50/24").await;
        let far = there(&host, &two, &overlay(1), "10.0.1.12/24").await;
        near.serve(80);
        far.serve(80);
        assert_eq!(client_.tcp("10.0.1.12:80").unwrap(), "10.0.1.12 10.0.1.50");
        for ask in [Container::tcp, Container::udp] {
            let mut answers: Vec<_> = (0..4)
                .map(|_| ask(&client_, "10.0.1.2:80").unwrap())
                .collect();
            answers.sort();
            let [near, far] = ["10.0.1.11 10.0.1.50", "10.0.1.12 10.0.1.50"];
            assert_eq!(answers, [near, near, far, far]);
        }
        // A task that is gone from the other node is gone here.
        let gone = Fact::Endpoint(on_second(endpoint(1, 2, 1, 12)));
        one.tell(&without([gone]), false).await.unwrap();
        assert_eq!(server(client_.tcp("10.0.1.2:80")), "10.0.1.11");
        assert_eq!(server(client_.tcp("10.0.1.2:80")), "10.0.1.11");
        one.clear().await.unwrap();
        two.clear().await.unwrap();
    });
}

#[test]
fn a_task_on_another_node_sees_the_client_of_a_published_port() {
    on_a_host(|host| async move {
        // A client that only the first node knows a way to.
        let outside = Space::new();
        ip(&format!(
            "link add yard type veth peer name eth0 netns {}",
            outside.path()
        ));
        ip("addr add 10.78.0.1/24 dev yard");
        ip("link set yard up");
        outside.within(|| {
            ip("addr add 10.78.0.9/24 dev eth0");
            ip("link set eth0 up");
            ip("route add default via 10.78.0.1");
        });
        let (one, two) = (host.plane().await, second_plane(&host));
        run("iptables", "-N DOCKER-USER");
        let facts = put([
            peer(),
            other_peer(),
            Fact::Network(overlay(0)),
            Fact::Service(balanced(0, 1, "10.0.0.3", &[(8080, 80)])),
            Fact::Endpoint(on_second(endpoint(0, 1, 1, 11))),
        ]);
        one.tell(&facts, true).await.unwrap();
        two.tell(&facts, true).await.unwrap();
        let far = there(&host, &two, &overlay(0), "10.0.0.11/24").await;
        far.serve(80);
        let to = format!("{HOST}:8080");
        for ask in [tcp, udp] {
            assert_eq!(outside.within(|| ask(&to)).unwrap(), "10.0.0.11 10.78.0.9");
            assert_eq!(ask("127.0.0.1:8080").unwrap(), "10.0.0.11 10.0.0.2");
        }
        one.clear().await.unwrap();
        two.clear().await.unwrap();
    });
}

/// A frame for the container at 10.0.1.11, as a node sends it: a datagram to port 99 that says a word.
fn over_vxlan(number: u32, word: &[u8]) -> Vec<u8> {
    let vni = (number << 8).to_be_bytes();
    let ethernet = [
        0x02, 0x42, 10, 0, 1, 11, 0x02, 0x42, 10, 0, 1, 12, 0x08, 0x00,
    ];
    let length = (28 + word.len()) as u16;
    let mut ip = vec![
        0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 1, 12, 10, 0, 1, 11,
    ];
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    let pairs = ip
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]));
    let sum: u32 = pairs.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    // A datagram need not have a sum of its own.
    let udp = [0x12, 0x34, 0, 99, 0, (8 + word.len()) as u8, 0, 0];
    [&[0x08, 0, 0, 0], &vni[..], &ethernet, &ip, &udp, word].concat()
}

#[test]
fn frames_come_from_nodes_only() {
    const STRANGER: &str = "10.77.0.66";
    on_a_host(|host| async move {
        let one = host.plane().await;
        let here = Fact::Endpoint(endpoint(1, 1, 0, 11));
        let facts = put([peer(), other_peer(), Fact::Network(overlay(1)), here]);
        one.tell(&facts, true).await.unwrap();
        let task = container(&one, network(1), "10.0.1.11/24").await;
        let bind = || std::net::UdpSocket::bind("0.0.0.0:99").unwrap();
        let heard = task.space.within(bind);
        heard.set_read_timeout(Some(PATIENCE / 10)).unwrap();
        let word = || {
            let mut word = [0; 16];
            let length = heard.recv(&mut word).ok()?;
            Some(String::from_utf8_lossy(&word[..length]).into_owned())
        };
        host.client
            .within(|| ip(&format!("addr add {STRANGER}/24 dev eth0")));
        let say = |from: &str, what: &str| {
            host.client.within(|| {
                let socket = std::net::UdpSocket::bind((from, 0)).unwrap();
                let frame = over_vxlan(4097, what.as_bytes());
                socket.send_to(&frame, (HOST, 4789)).unwrap();
            });
        };
        say(STRANGER, "stranger");
        assert_eq!(word(), None);
        say(CLIENT, "node");
        assert_eq!(word().as_deref(), Some("node"));
        // A node that is no more is a stranger.
        one.tell(&without([other_peer()]), false).await.unwrap();
        say(CLIENT, "former");
        assert_eq!(word(), None);
        one.clear().await.unwrap();
    });
}

#[test]
fn an_encrypted_network_sends_nothing_in_clear() {
    on_a_host(|host| async move {
        let (one, two) = (host.plane().await, second_plane(&host));
        let mut secret = overlay(1);
        secret.encrypted = true;
        let facts = put([
            peer(),
            other_peer(),
            Fact::Network(secret.clone()),
            Fact::Endpoint(on_second(endpoint(1, 2, 1, 12))),
            Fact::Endpoint(endpoint(1, 1, 1, 11)),
            Fact::Endpoint(endpoint(1, 50, 0, 50)),
        ]);
        one.tell(&facts, true).await.unwrap();
        two.tell(&facts, true).await.unwrap();
        let near = container(&one, network(1), "10.0.1.11/24").await;
        let client_ = container(&one, network(1), "10.0.1.50/24").await;
        let far = there(&host, &two, &secret, "10.0.1.12/24").await;
        near.serve(80);
        far.serve(80);
        assert_eq!(client_.tcp("10.0.1.11:80").unwrap(), "10.0.1.11 10.0.1.50");
        client_.tcp("10.0.1.12:80").unwrap_err();
        one.clear().await.unwrap();
        two.clear().await.unwrap();
    });
}
