//! What lasts and what goes: a later plane takes over, and nothing is left of one that was cleared.

use crate::rig::*;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use swarmrs_network::plane::{Joined, Plane, Route};
use swarmrs_network::port::HostPort;
use swarmrs_types::endpoint::{Endpoint, Fact, FactDiff};
use swarmrs_types::spec::Protocol;

/// The ingress network with a published service, an application's network with another, and a task of each.
fn facts() -> FactDiff {
    put([
        peer(),
        Fact::Network(overlay(0)),
        Fact::Service(balanced(0, 1, "10.0.0.3", &[(8080, 80)])),
        Fact::Endpoint(endpoint(0, 1, 1, 11)),
        Fact::Network(overlay(1)),
        Fact::Service(balanced(1, 2, "10.0.1.2", &[])),
        Fact::Endpoint(endpoint(1, 2, 2, 11)),
        Fact::Endpoint(endpoint(1, 3, 0, 50)),
    ])
}

/// All that a plane could leave on a host.
fn traces(host: &Host) -> String {
    let settings = [
        "ip_forward",
        "conf/all/rp_filter",
        "conf/all/route_localnet",
    ];
    let settings = settings.map(|name| {
        let value = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        format!("{name} {value}")
    });
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let folder = host.folder().display().to_string();
    let mounts: Vec<&str> = mounts
        .lines()
        .filter(|line| line.contains(&folder))
        .collect();
    [
        run("nft", "list ruleset"),
        ip("-o link show"),
        ip("-o addr show"),
        ip("route show table all"),
        settings.concat(),
        mounts.join("\n"),
        run("iptables", "-S"),
    ]
    .join("\n")
}

#[test]
fn a_cleared_plane_leaves_the_host_as_it_was() {
    on_a_host(|host| async move {
        run("iptables", "-P FORWARD DROP");
        let before = traces(&host);
        let plane = host.plane().await;
        plane.tell(&facts(), true).await.unwrap();
        let one = container(&plane, network(1), "10.0.1.11/24").await;
        let port = HostPort {
            protocol: Protocol::Tcp,
            port: 80,
            host_ip: None,
            host_port: 8081,
            host_port_end: 0,
        };
        plane
            .publish(network(1), one.address, &[port])
            .await
            .unwrap();
        assert_ne!(traces(&host), before);
        plane.clear().await.unwrap();
        assert_eq!(traces(&host), before);
        assert!(!host.folder().exists());
    });
}

#[test]
fn what_facts_take_back_goes_one_by_one() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        plane.tell(&put([peer()]), true).await.unwrap();
        let links = ip("-o link show");
        plane.tell(&facts(), false).await.unwrap();
        assert!(plane.namespace(network(1)).is_some());
        let told = facts()
            .put
            .into_iter()
            .filter(|fact| !matches!(fact, Fact::Peer(_)));
        plane.tell(&without(told), false).await.unwrap();
        assert_eq!(plane.namespace(network(1)), None);
        assert_eq!(ip("-o link show"), links);
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_later_plane_takes_over_without_a_packet_lost() {
    on_a_host(|host| async move {
        let first = host.plane().await;
        first.tell(&facts(), true).await.unwrap();
        let outer = container(&first, network(0), "10.0.0.11/24").await;
        let inner = container(&first, network(1), "10.0.1.11/24").await;
        let client_ = container(&first, network(1), "10.0.1.50/24").await;
        outer.serve(80);
        inner.serve(80);
        let to = format!("{HOST}:8080");
        let mut old = [
            client_.space.within(|| connect("10.0.1.2:80")).unwrap(),
            host.client.within(|| connect(&to)).unwrap(),
        ];
        drop(first);

        // Without any plane, and while another takes over.
        assert_eq!(server(client_.tcp("10.0.1.2:80")), "10.0.1.11");
        assert_eq!(server(host.client.within(|| tcp(&to))), "10.0.0.11");
        let before = Instant::now();
        let second = host.plane().await;
        second.tell(&facts(), true).await.unwrap();
        println!("taken over in {:?}", before.elapsed());
        for connection in &mut old {
            connection.echo().unwrap();
        }
        assert_eq!(server(client_.tcp("10.0.1.2:80")), "10.0.1.11");
        assert_eq!(
            host.client.within(|| tcp(&to)).unwrap(),
            format!("10.0.0.11 {CLIENT}")
        );
        let mut present = second.present(network(1)).await.unwrap();
        present.sort();
        assert_eq!(present, [inner.address, client_.address]);

        // What the second did not make goes with it all the same.
        second.tell(&put([peer()]), true).await.unwrap();
        assert_eq!(second.namespace(network(1)), None);
        second.clear().await.unwrap();
    });
}

#[test]
fn a_later_plane_removes_what_is_no_more_so() {
    on_a_host(|host| async move {
        let first = host.plane().await;
        first.tell(&facts(), true).await.unwrap();
        drop(first);
        let second = host.plane().await;
        second
            .tell(&put([peer(), Fact::Network(overlay(1))]), true)
            .await
            .unwrap();
        assert_eq!(second.namespace(network(0)), None);
        let space = second.namespace(network(1)).unwrap();
        let space = Space::at(&space);
        let addresses = space.within(|| ip("-o -4 addr show dev br0"));
        assert!(
            addresses.contains("10.0.1.1/24") && !addresses.contains("10.0.1.2/"),
            "{addresses}"
        );
        second.clear().await.unwrap();
    });
}

/// Most of a round is waiting for the kernel: so many hosts side by side take a third of the time of one.
const SIDE_BY_SIDE: usize = 4;
const ROUNDS: &str = "PLANE_ROUNDS";

/// Each host is in a process of its own, whose files are those of its plane.
#[test]
fn a_thousand_networks_and_containers_leave_nothing() {
    let name = "lifetime::a_thousand_networks_and_containers_leave_nothing";
    if let Ok(rounds) = std::env::var(ROUNDS) {
        let rounds = rounds.parse().unwrap();
        return on_a_host(move |host| come_and_go(host, rounds));
    }
    let alone = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ROUNDS, (1000 / SIDE_BY_SIDE).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let all: Vec<Child> = (0..SIDE_BY_SIDE).map(|_| alone()).collect();
    for one in all {
        let Output {
            status,
            stdout,
            stderr,
        } = one.wait_with_output().unwrap();
        let said = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        println!("{}", said.concat());
        assert!(status.success());
    }
}

async fn come_and_go(host: Host, rounds: usize) {
    let plane = host.plane().await;
    // A first network brings the host's table, which stays until the plane is cleared.
    plane.tell(&facts(), true).await.unwrap();
    plane.join(network(1), facts_address(1)).await.unwrap();
    plane.tell(&put([peer()]), true).await.unwrap();
    let before = traces(&host);
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let open = files();
    let mut sums = [Duration::ZERO; 4];
    for round in 0..rounds {
        let number = round % 200 + 1;
        let vip = format!("10.0.{number}.2");
        let facts = [
            Fact::Network(overlay(number)),
            Fact::Service(balanced(number, 1, &vip, &[])),
            Fact::Endpoint(endpoint(number, 1, 1, 11)),
        ];
        let at = facts_address(number);
        let mut steps = [Instant::now(); 5];
        plane.tell(&put(facts.clone()), false).await.unwrap();
        steps[1] = Instant::now();
        plane.join(network(number), at).await.unwrap();
        steps[2] = Instant::now();
        plane.leave(network(number), at).await.unwrap();
        steps[3] = Instant::now();
        plane.tell(&without(facts), false).await.unwrap();
        steps[4] = Instant::now();
        for (sum, step) in sums.iter_mut().zip(steps.windows(2)) {
            *sum += step[1] - step[0];
        }
    }
    let each = sums.map(|sum| sum / rounds as u32);
    println!("network made, joined, left, removed: {each:?}");
    let without_numbers = |text: String| {
        let lines = text
            .lines()
            .map(|line| line.split_once(": ").map_or(line, |(_, rest)| rest));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_numbers(traces(&host)), without_numbers(before));
    assert_eq!(files(), open);
    assert_eq!(std::fs::read_dir(host.folder()).unwrap().count(), 1);
    plane.clear().await.unwrap();
}

fn facts_address(number: usize) -> std::net::IpAddr {
    format!("10.0.{number}.11").parse().unwrap()
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    on_a_host(|host| async move {
        let plane: Plane = host.plane().await;
        plane.tell(&facts(), true).await.unwrap();
        let at = |text: &str| text.parse().unwrap();
        let unknown = plane.join(network(9), at("10.0.9.5")).await.unwrap_err();
        assert_eq!(
            unknown.to_string(),
            format!("network {} is not known on this node", network(9))
        );
        let nobody = plane.join(network(1), at("10.0.1.77")).await.unwrap_err();
        assert_eq!(
            nobody.to_string(),
            format!(
                "no container of this node has the address 10.0.1.77 on network {}",
                network(1)
            )
        );
        plane.leave(network(9), at("10.0.9.5")).await.unwrap();
        plane.leave(network(1), at("10.0.1.77")).await.unwrap();
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_taken_network_number_is_a_warning_and_the_network_works_here() {
    on_a_host(|host| async move {
        ip(&format!(
            "link add other type vxlan id 4097 dstport 4789 local {HOST} nolearning"
        ));
        let plane = host.plane().await;
        plane.tell(&facts(), true).await.unwrap();
        assert_eq!(
            plane.warnings(),
            [
                "network net1 does not reach other nodes: another link of this host has its VXLAN number 4097"
            ]
        );
        let inner = container(&plane, network(1), "10.0.1.11/24").await;
        let client = container(&plane, network(1), "10.0.1.50/24").await;
        inner.serve(80);
        assert_eq!(server(client.tcp("10.0.1.2:80")), "10.0.1.11");
        ip("link del other");
        plane.tell(&FactDiff::default(), false).await.unwrap();
        plane.clear().await.unwrap();
    });
}

#[test]
fn the_engine_is_told_one_way_out_and_one_way_to_names() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        plane.tell(&facts(), true).await.unwrap();
        let mut inner = endpoint(2, 1, 0, 11);
        inner.gateway = false;
        let mut second = overlay(2);
        second.internal = true;
        let alone = Endpoint {
            owner: owner(9),
            gateway: false,
            ..endpoint(2, 9, 0, 12)
        };
        let more = [
            Fact::Network(second),
            Fact::Endpoint(inner),
            Fact::Endpoint(alone),
        ];
        plane.tell(&put(more), false).await.unwrap();
        let names = [Route {
            destination: "169.254.77.53/32".parse().unwrap(),
            via: None,
        }];
        let told = |container: &Container| {
            let Joined {
                gateway,
                disable_gateway_service,
                routes,
                mac,
                ..
            } = &container.joined;
            (*gateway, *disable_gateway_service, routes.clone(), *mac)
        };
        let out = container(&plane, network(0), "10.0.0.11/24").await;
        let gateway = Some("10.0.0.1".parse().unwrap());
        assert_eq!(
            told(&out),
            (gateway, false, names.to_vec(), [2, 0x42, 10, 0, 0, 11])
        );
        let other = container(&plane, network(2), "10.0.2.11/24").await;
        assert_eq!(told(&other), (None, true, vec![], [2, 0x42, 10, 0, 2, 11]));
        let alone = container(&plane, network(2), "10.0.2.12/24").await;
        assert_eq!(
            told(&alone),
            (None, true, names.to_vec(), [2, 0x42, 10, 0, 2, 12])
        );
        plane.clear().await.unwrap();
    });
}
