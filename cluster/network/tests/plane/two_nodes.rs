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
