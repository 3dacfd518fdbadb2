//! The short way of published ports while all tasks are here: past the network's own tracking, and no one notices.

use crate::rig::*;
use std::net::UdpSocket;
use swarmrs_network::plane::Plane;
use swarmrs_network::port::HostPort;
use swarmrs_types::endpoint::{Fact, FactDiff, Peer};
use swarmrs_types::id::NodeId;
use swarmrs_types::spec::Protocol;

fn facts() -> FactDiff {
    put([
        peer(),
        Fact::Network(overlay(0)),
        Fact::Service(balanced(0, 1, "10.0.0.3", &[(8080, 80)])),
        Fact::Endpoint(endpoint(0, 1, 1, 11)),
    ])
}

async fn serving(plane: &Plane) -> Container {
    plane.tell(&facts(), true).await.unwrap();
    let task = container(plane, network(0), "10.0.0.11/24").await;
    task.serve(80);
    task
}

fn another_node() -> Fact {
    let node: NodeId = format!("node{:0>21}", 2).parse().unwrap();
    Fact::Peer(Peer {
        node,
        index: 2,
        data_path: CLIENT.parse().unwrap(),
        ingress: Some("10.0.0.4/24".parse().unwrap()),
    })
}

/// Flows of the client's that a namespace keeps track of.
fn tracked() -> usize {
    let all = std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap();
    let of_client = |line: &&str| line.contains(&format!("src={CLIENT} "));
    all.lines().filter(of_client).count()
}

fn inside(plane: &Plane) -> Space {
    Space::at(&plane.namespace(network(0)).unwrap())
}

#[test]
fn a_flow_is_tracked_by_the_host_alone() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let task = serving(&plane).await;
        let to = format!("{HOST}:8080");
        let mut open = host.client.within(|| connect(&to)).unwrap();
        assert_eq!(open.answer, format!("10.0.0.11 {CLIENT}"));
        host.client.within(|| udp(&to)).unwrap();
        assert_eq!((tracked(), inside(&plane).within(tracked)), (2, 0));
        // Whoever waits for its end knows of it, and may end it.
        assert_eq!(plane.flows(network(0), owner(1)).await.unwrap(), 2);
        let mut leaving = endpoint(0, 1, 1, 11);
        leaving.ready = false;
        plane
            .tell(&put([Fact::Endpoint(leaving)]), false)
            .await
            .unwrap();
        open.echo().unwrap();
        plane.reset(network(0), owner(1)).await.unwrap();
        assert_eq!(plane.flows(network(0), owner(1)).await.unwrap(), 0);
        open.echo().unwrap_err();
        // Its own ways out are short too.
        host.client.serve(CLIENT.parse().unwrap(), 99);
        let out = task.tcp(&format!("{CLIENT}:99")).unwrap();
        assert_eq!(out, format!("{CLIENT} {HOST}"));
        plane.clear().await.unwrap();
    });
}

#[test]
fn connections_go_on_when_a_second_node_comes_and_goes() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let task = serving(&plane).await;
        let to = format!("{HOST}:8080");
        host.client.serve(CLIENT.parse().unwrap(), 99);
        let socket = host.client.within(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
        let mut all = vec![
            host.client.within(|| connect(&to)).unwrap(),
            task.space
                .within(|| connect(&format!("{CLIENT}:99")))
                .unwrap(),
        ];
        let answer = format!("10.0.0.11 {CLIENT}");
        for change in [put([another_node()]), without([another_node()])] {
            plane.tell(&change, false).await.unwrap();
            for connection in &mut all {
                connection.echo().unwrap();
            }
            assert_eq!(udp_from(&socket, to.parse().unwrap()).unwrap(), answer);
            // One that begins now goes on after the next change.
            all.push(host.client.within(|| connect(&to)).unwrap());
        }
        for connection in &mut all {
            connection.echo().unwrap();
        }
        // Those that were balanced inside keep the long way open; with their end the short one is back.
        drop(all);
        let end = std::time::Instant::now() + 10 * PATIENCE;
        loop {
            let before = inside(&plane).within(tracked);
            assert_eq!(host.client.within(|| tcp(&to)).unwrap(), answer);
            if inside(&plane).within(tracked) == before {
                break;
            }
            assert!(std::time::Instant::now() < end, "still the long way");
            tokio::time::sleep(PATIENCE / 10).await;
        }
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_port_of_the_host_leads_to_a_container_whose_way_is_short() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let task = serving(&plane).await;
        let wish = |protocol| HostPort {
            protocol,
            port: 80,
            host_ip: None,
            host_port: 8081,
            host_port_end: 0,
        };
        let wishes = [Protocol::Tcp, Protocol::Udp].map(wish);
        plane
            .publish(network(0), task.address, &wishes)
            .await
            .unwrap();
        let to = format!("{HOST}:8081");
        let answers = || {
            for ask in [tcp, udp] {
                let seen = host.client.within(|| ask(&to)).unwrap();
                assert_eq!(seen, format!("10.0.0.11 {CLIENT}"));
            }
        };
        answers();
        let mut open = host.client.within(|| connect(&to)).unwrap();
        for change in [put([another_node()]), without([another_node()])] {
            plane.tell(&change, false).await.unwrap();
            open.echo().unwrap();
            answers();
        }
        assert_eq!(tcp("127.0.0.1:8081").unwrap(), "10.0.0.11 10.0.0.2");
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_later_plane_finds_connections_as_they_were() {
    on_a_host(|host| async move {
        let first = host.plane().await;
        let _task = serving(&first).await;
        let to = format!("{HOST}:8080");
        let mut open = host.client.within(|| connect(&to)).unwrap();
        drop(first);
        let second = host.plane().await;
        second.tell(&facts(), true).await.unwrap();
        open.echo().unwrap();
        let before = inside(&second).within(tracked);
        assert_eq!(server(host.client.within(|| tcp(&to))), "10.0.0.11");
        assert_eq!(inside(&second).within(tracked), before);
        second.clear().await.unwrap();
    });
}

/// What an error speaks of is led back as the packet itself was.
#[test]
fn errors_find_their_way_in_both_directions() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let mut service = balanced(0, 1, "10.0.0.3", &[(8080, 80)]);
        service.ports[1].target_port = 81;
        let task = serving(&plane).await;
        plane
            .tell(&put([Fact::Service(service)]), false)
            .await
            .unwrap();
        let to = format!("{HOST}:8080");
        let refused = host.client.within(|| udp(&to)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        ip("link set wire mtu 1300");
        let learned = task.space.within(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect(format!("{CLIENT}:99")).unwrap();
            socket.send(&[0; 1400]).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(100));
            ip(&format!("route get {CLIENT}"))
        });
        assert!(learned.contains("mtu 1300"), "{learned}");
        plane.clear().await.unwrap();
    });
}

#[test]
fn nobody_outside_speaks_to_a_container_by_what_the_host_calls_it() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let task = serving(&plane).await;
        // As on a host that forwards whatever comes.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let called = "169.254.192.11:80";
        assert_eq!(server(tcp(called)), "10.0.0.11", "the host itself may");
        let asked = host.client.within(|| {
            ip(&format!("route add 169.254.192.0/24 via {HOST}"));
            tcp(called)
        });
        assert_eq!(asked.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        drop(task);
        plane.clear().await.unwrap();
    });
}
