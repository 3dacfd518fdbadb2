//! Virtual addresses: who answers, what the backend sees, and what an update does to connections.

use crate::rig::*;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;
use swarmrs_network::plane::Plane;
use swarmrs_types::endpoint::Fact;

const VIP: &str = "10.0.1.2:80";

/// Network 1 with service 1 at 10.0.1.2 and tasks at .11, .12, …; and a client at .50 that is of no service.
async fn serving(plane: &Plane, tasks: usize) -> (Vec<Container>, Container) {
    let mut facts = vec![
        peer(),
        Fact::Network(overlay(1)),
        Fact::Service(balanced(1, 1, "10.0.1.2", &[])),
        Fact::Endpoint(endpoint(1, 50, 0, 50)),
    ];
    facts.extend((1..=tasks).map(|task| Fact::Endpoint(endpoint(1, task, 1, 10 + task as u8))));
    plane.tell(&put(facts), true).await.unwrap();
    let mut containers = Vec::new();
    for task in 1..=tasks {
        let container = container(plane, network(1), &format!("10.0.1.{}/24", 10 + task)).await;
        container.serve(80);
        containers.push(container);
    }
    (
        containers,
        container(plane, network(1), "10.0.1.50/24").await,
    )
}

fn count(answers: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    answers.fold(BTreeMap::new(), |mut counts, answer| {
        *counts.entry(answer).or_default() += 1;
        counts
    })
}

fn even(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts
        .iter()
        .map(|(address, count)| ((*address).to_owned(), *count))
        .collect()
}

#[test]
fn backends_take_turns_and_see_their_client() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_tasks, client_) = serving(&plane, 3).await;
        let each = even(&[("10.0.1.11", 10), ("10.0.1.12", 10), ("10.0.1.13", 10)]);
        assert_eq!(count((0..30).map(|_| server(client_.tcp(VIP)))), each);
        assert_eq!(count((0..30).map(|_| server(client_.udp(VIP)))), each);
        assert_eq!(client(client_.tcp(VIP)), "10.0.1.50");
        assert_eq!(client(client_.udp(VIP)), "10.0.1.50");
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_task_reaches_itself_by_its_own_service() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (tasks, _client) = serving(&plane, 1).await;
        assert_eq!(tasks[0].tcp(VIP).unwrap(), "10.0.1.11 10.0.1.1");
        assert_eq!(tasks[0].udp(VIP).unwrap(), "10.0.1.11 10.0.1.1");
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_service_without_backends_refuses_at_once() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_tasks, client) = serving(&plane, 0).await;
        let before = std::time::Instant::now();
        assert_eq!(
            client.tcp(VIP).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        assert_eq!(
            client.udp(VIP).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        assert!(before.elapsed() < Duration::from_secs(1));
        plane.clear().await.unwrap();
    });
}

#[test]
fn one_that_is_not_ready_gets_no_new_connections_and_keeps_the_old_until_they_are_cut() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_tasks, client) = serving(&plane, 2).await;
        let mut old: Vec<_> = (0..2)
            .map(|_| client.space.within(|| connect(VIP)).unwrap())
            .collect();
        old.sort_by_key(|connection| connection.answer.clone());
        let mut leaving = endpoint(1, 1, 1, 11);
        leaving.ready = false;
        plane
            .tell(&put([Fact::Endpoint(leaving)]), false)
            .await
            .unwrap();
        let only = even(&[("10.0.1.12", 10)]);
        assert_eq!(count((0..10).map(|_| server(client.tcp(VIP)))), only);
        for connection in &mut old {
            connection.echo().unwrap();
        }
        assert_eq!(plane.flows(network(1), owner(1)).await.unwrap(), 1);
        plane.reset(network(1), owner(1)).await.unwrap();
        let cut = old[0].echo().unwrap_err().kind();
        assert!(
            [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof].contains(&cut),
            "{cut}"
        );
        old[1].echo().unwrap();
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_flow_ends_with_its_connection() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_tasks, client) = serving(&plane, 1).await;
        let connection = client.space.within(|| connect(VIP)).unwrap();
        assert_eq!(plane.flows(network(1), owner(1)).await.unwrap(), 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(plane.flows(network(1), owner(1)).await.unwrap(), 1);
        drop(connection);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while plane.flows(network(1), owner(1)).await.unwrap() > 0 {
            assert!(std::time::Instant::now() < deadline, "it still lives");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        plane.clear().await.unwrap();
    });
}

#[test]
fn containers_reach_each_other_and_the_outside_as_the_host() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_tasks, client_) = serving(&plane, 1).await;
        assert_eq!(client_.tcp("10.0.1.11:80").unwrap(), "10.0.1.11 10.0.1.50");
        host.client.serve(CLIENT.parse().unwrap(), 99);
        assert_eq!(
            client_.tcp(&format!("{CLIENT}:99")).unwrap(),
            format!("{CLIENT} {HOST}")
        );
        assert_eq!(
            client_.udp(&format!("{CLIENT}:99")).unwrap(),
            format!("{CLIENT} {HOST}")
        );
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_client_of_datagrams_is_served_once_there_is_a_backend() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_tasks, client) = serving(&plane, 0).await;
        // One socket that goes on asking, as a resolver or a reporter of metrics does.
        let socket = client
            .space
            .within(|| UdpSocket::bind("0.0.0.0:0").unwrap());
        let to = VIP.parse().unwrap();
        assert!(udp_from(&socket, to).is_err());
        let task = Fact::Endpoint(endpoint(1, 1, 1, 11));
        plane.tell(&put([task.clone()]), false).await.unwrap();
        let one = container(&plane, network(1), "10.0.1.11/24").await;
        one.serve(80);
        assert_eq!(server(udp_from(&socket, to)), "10.0.1.11");
        // And by another once the first is gone.
        let other = Fact::Endpoint(endpoint(1, 2, 1, 12));
        plane.tell(&put([other]), false).await.unwrap();
        container(&plane, network(1), "10.0.1.12/24")
            .await
            .serve(80);
        plane.tell(&without([task]), false).await.unwrap();
        // Flows are cut after the answer, and after what waits for the rules.
        soon(|| match udp_from(&socket, to) {
            Ok(answer) if answer.starts_with("10.0.1.12 ") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_removed_backend_resets_its_connections_at_once() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_tasks, client) = serving(&plane, 1).await;
        let mut connection = client.space.within(|| connect(VIP)).unwrap();
        let task = Fact::Endpoint(endpoint(1, 1, 1, 11));
        plane.tell(&without([task]), false).await.unwrap();
        soon(|| match connection.echo().map_err(|error| error.kind()) {
            Err(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        assert_eq!(
            client.tcp(VIP).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        plane.clear().await.unwrap();
    });
}

#[test]
fn the_address_of_a_removed_service_refuses_as_long_as_one_of_its_tasks_is_there() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_tasks, client) = serving(&plane, 1).await;
        let mut connection = client.space.within(|| connect(VIP)).unwrap();
        let service = Fact::Service(balanced(1, 1, "10.0.1.2", &[]));
        plane.tell(&without([service]), false).await.unwrap();
        connection.echo().unwrap();
        let refused = client.tcp(VIP).unwrap_err().kind();
        assert_eq!(refused, ErrorKind::ConnectionRefused);
        plane.reset(network(1), owner(1)).await.unwrap();
        let cut = connection.echo().unwrap_err().kind();
        assert!(
            [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof].contains(&cut),
            "{cut}"
        );
        let task = Fact::Endpoint(endpoint(1, 1, 1, 11));
        plane.tell(&without([task]), false).await.unwrap();
        assert_ne!(client.tcp(VIP).unwrap_err().kind(), refused);
        plane.clear().await.unwrap();
    });
}

#[test]
fn an_address_that_a_removed_service_leaves_serves_its_next_one() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let (_task, client) = serving(&plane, 1).await;
        let former = Fact::Service(balanced(1, 1, "10.0.1.2", &[]));
        plane.tell(&without([former]), false).await.unwrap();
        let next = Fact::Service(balanced(1, 2, "10.0.1.2", &[]));
        let its_task = Fact::Endpoint(endpoint(1, 9, 2, 19));
        plane.tell(&put([next, its_task]), false).await.unwrap();
        let container = container(&plane, network(1), "10.0.1.19/24").await;
        container.serve(80);
        assert_eq!(server(client.tcp(VIP)), "10.0.1.19");
        let last = Fact::Endpoint(endpoint(1, 1, 1, 11));
        plane.tell(&without([last]), false).await.unwrap();
        client.space.within(|| ip("neigh flush all"));
        assert_eq!(server(client.tcp(VIP)), "10.0.1.19");
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_network_with_ipv6_carries_both() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let facts = [
            peer(),
            Fact::Network(both_families(1)),
            Fact::Service(balanced(1, 1, "10.0.1.2", &[])),
            Fact::Service(balanced(1, 2, "fd10:1::2", &[])),
            Fact::Endpoint(endpoint_of_both(1, 1, 1, 11)),
            Fact::Endpoint(endpoint_of_both(1, 2, 2, 12)),
            Fact::Endpoint(endpoint_of_both(1, 3, 0, 50)),
        ];
        plane.tell(&put(facts), true).await.unwrap();
        let mut containers = Vec::new();
        for host in [11, 12, 50] {
            containers.push(container_of_both(&plane, 1, host).await);
        }
        let [first, second, client] = &containers[..] else {
            unreachable!()
        };
        first.serve(80);
        second
            .space
            .serve_on("::".parse().unwrap(), second.address, 80);
        assert_eq!(client.tcp("10.0.1.2:80").unwrap(), "10.0.1.11 10.0.1.50");
        for to in ["[fd10:1::12]:80", "[fd10:1::2]:80"] {
            assert_eq!(client.tcp(to).unwrap(), "10.0.1.12 fd10:1::50", "{to}");
            assert_eq!(client.udp(to).unwrap(), "10.0.1.12 fd10:1::50", "{to}");
        }
        assert_eq!(server(second.tcp("[fd10:1::2]:80")), "10.0.1.12");
        // The way out, as the host.
        host.client
            .serve_on("::".parse().unwrap(), "fd77::100".parse().unwrap(), 99);
        assert_eq!(client.tcp("[fd77::100]:99").unwrap(), "fd77::100 fd77::1");
        plane.clear().await.unwrap();
    });
}
