//! Published ports: from outside, from the host and from containers, with the client's address kept where it can be.

use crate::rig::*;
use std::io::ErrorKind;
use swarmrs_network::plane::Plane;
use swarmrs_network::port::HostPort;
use swarmrs_types::endpoint::{Fact, FactDiff};
use swarmrs_types::spec::Protocol;

/// The ingress network with service 1, which publishes 8080 for 80, and tasks at 10.0.0.11, …
fn facts(tasks: usize) -> FactDiff {
    let mut facts = vec![
        peer(),
        Fact::Network(overlay(0)),
        Fact::Service(balanced(0, 1, "10.0.0.3", &[(8080, 80)])),
    ];
    facts.extend((1..=tasks).map(|task| Fact::Endpoint(endpoint(0, task, 1, 10 + task as u8))));
    put(facts)
}

async fn serving(plane: &Plane, tasks: usize) -> Vec<Container> {
    plane.tell(&facts(tasks), true).await.unwrap();
    let mut containers = Vec::new();
    for task in 1..=tasks {
        let container = container(plane, network(0), &format!("10.0.0.{}/24", 10 + task)).await;
        container.serve(80);
        containers.push(container);
    }
    containers
}

#[test]
fn a_client_outside_is_seen_with_its_own_address_and_tasks_take_turns() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let _tasks = serving(&plane, 2).await;
        let to = format!("{HOST}:8080");
        let asked = |ask: fn(&str) -> std::io::Result<String>| {
            let mut answers: Vec<_> = (0..4)
                .map(|_| host.client.within(|| ask(&to)).unwrap())
                .collect();
            answers.sort();
            answers
        };
        let each = [
            format!("10.0.0.11 {CLIENT}"),
            format!("10.0.0.11 {CLIENT}"),
            format!("10.0.0.12 {CLIENT}"),
            format!("10.0.0.12 {CLIENT}"),
        ];
        assert_eq!(asked(tcp), each);
        assert_eq!(asked(udp), each);
        plane.clear().await.unwrap();
    });
}

/// There may be no SCTP sockets here, so one packet stands for an association: the one that asks for it.
#[test]
fn an_sctp_packet_reaches_a_task_with_its_clients_address() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let mut service = balanced(0, 1, "10.0.0.3", &[(8080, 80)]);
        service.ports[0].protocol = Some(Protocol::Sctp);
        let facts = [
            peer(),
            Fact::Network(overlay(0)),
            Fact::Service(service),
            Fact::Endpoint(endpoint(0, 1, 1, 11)),
        ];
        plane.tell(&put(facts), true).await.unwrap();
        let task = container(&plane, network(0), "10.0.0.11/24").await;
        let listening = task.space.within(sctp::socket);
        let sent = sctp::init(5000, 8080);
        host.client.within(|| sctp::send(&sent, HOST));
        let (from, received) = sctp::receive(&listening);
        assert_eq!(from, CLIENT);
        assert_eq!(received, sctp::init(5000, 80));
        plane.clear().await.unwrap();
    });
}

/// Packets of SCTP, over raw sockets.
mod sctp {
    use socket2::{Domain, Protocol, Socket, Type};
    use std::io::Read;
    use std::net::{IpAddr, SocketAddr};

    /// Bytes of an IPv4 header without options.
    const IP_HEADER: usize = 20;

    pub fn socket() -> Socket {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(132))).unwrap();
        socket.set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
        socket
    }

    /// RFC 9260: the ports, no tag yet, the sum, then an INIT chunk.
    pub fn init(from: u16, to: u16) -> Vec<u8> {
        let chunk = [
            1, 0, 0, 20, 0xc0, 0xff, 0xee, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1,
        ];
        let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
        let with = |sum: [u8; 4]| [&ports[..], &[0; 4], &sum, &chunk].concat();
        with(crc32c(&with([0; 4])).to_le_bytes())
    }

    /// RFC 9260, appendix A.
    fn crc32c(bytes: &[u8]) -> u32 {
        let mut sum = u32::MAX;
        for byte in bytes {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = (sum >> 1) ^ (0x82f6_3b78 * (sum & 1));
            }
        }
        !sum
    }

    pub fn send(packet: &[u8], to: &str) {
        let to = SocketAddr::new(to.parse::<IpAddr>().unwrap(), 0);
        socket().send_to(packet, &to.into()).unwrap();
    }

    /// A packet's sender, and what follows its IP header.
    pub fn receive(mut socket: &Socket) -> (String, Vec<u8>) {
        let mut packet = [0; 128];
        let length = socket.read(&mut packet).unwrap();
        let [a, b, c, d] = [12, 13, 14, 15].map(|at| packet[at]);
        let from = IpAddr::from([a, b, c, d]).to_string();
        (from, packet[IP_HEADER..length].to_vec())
    }
}

#[test]
fn the_host_reaches_a_port_by_loopback_and_by_its_own_address() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let _tasks = serving(&plane, 1).await;
        // By loopback the client is this node's own address on the ingress network.
        assert_eq!(tcp("127.0.0.1:8080").unwrap(), "10.0.0.11 10.0.0.2");
        assert_eq!(udp("127.0.0.1:8080").unwrap(), "10.0.0.11 10.0.0.2");
        assert_eq!(
            tcp(&format!("{HOST}:8080")).unwrap(),
            format!("10.0.0.11 {HOST}")
        );
        assert_eq!(
            udp(&format!("{HOST}:8080")).unwrap(),
            format!("10.0.0.11 {HOST}")
        );
        plane.clear().await.unwrap();
    });
}

#[test]
fn containers_reach_a_port_of_their_host_even_their_own() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let tasks = serving(&plane, 1).await;
        let app = [
            Fact::Network(overlay(1)),
            Fact::Endpoint(endpoint(1, 50, 0, 50)),
        ];
        plane.tell(&put(app), false).await.unwrap();
        let other = container(&plane, network(1), "10.0.1.50/24").await;
        let to = format!("{HOST}:8080");
        for from in [&other, &tasks[0]] {
            assert_eq!(server(from.tcp(&to)), "10.0.0.11");
            assert_eq!(server(from.udp(&to)), "10.0.0.11");
        }
        plane.clear().await.unwrap();
    });
}

#[test]
fn an_ipv6_client_is_served() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let _tasks = serving(&plane, 1).await;
        let client = std::sync::Arc::new(host);
        for to in ["[fd77::1]:8080", "[::1]:8080"] {
            for ask in [tcp, udp] {
                let host = std::sync::Arc::clone(&client);
                let asked = tokio::task::spawn_blocking(move || {
                    match to.contains("::1]") && to.starts_with("[::") {
                        true => ask(to),
                        false => host.client.within(|| ask(to)),
                    }
                });
                assert_eq!(server(asked.await.unwrap()), "10.0.0.11", "{to}");
            }
        }
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_port_without_tasks_refuses() {
    on_a_host(|host| async move {
        // Of an engine that is up the plane knows by this; it lets the host forward then.
        run("iptables", "-N DOCKER-USER");
        let plane = host.plane().await;
        let _tasks = serving(&plane, 0).await;
        let refused = host
            .client
            .within(|| tcp(&format!("{HOST}:8080")))
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(
            tcp("127.0.0.1:8080").unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        plane.clear().await.unwrap();
    });
}

#[test]
fn a_port_that_a_process_has_stays_its_own_until_it_is_free() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let process = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
        let _tasks = serving(&plane, 1).await;
        let warnings = plane.warnings();
        assert_eq!(
            warnings,
            [
                "port 0.0.0.0:8080/tcp is not carried by this node: a process of the host listens on it"
            ]
        );
        let to = format!("{HOST}:8080");
        // Only the protocol that is taken.
        assert_eq!(
            host.client.within(|| udp(&to)).unwrap(),
            format!("10.0.0.11 {CLIENT}")
        );
        drop(process);
        // Nobody says so: the plane notices the process's end by itself.
        for _ in 0..100 {
            if plane.warnings().is_empty() {
                break;
            }
            tokio::time::sleep(PATIENCE / 10).await;
        }
        assert_eq!(
            host.client.within(|| tcp(&to)).unwrap(),
            format!("10.0.0.11 {CLIENT}")
        );
        assert_eq!(plane.warnings(), Vec::<String>::new());
        plane.clear().await.unwrap();
    });
}

#[test]
fn nothing_else_can_take_a_published_port() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let _tasks = serving(&plane, 1).await;
        for address in ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:8080"] {
            let taken = std::net::TcpListener::bind(address).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse, "{address}");
            let taken = std::net::UdpSocket::bind(address).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse, "{address}");
        }
        let unpublished = Fact::Service(balanced(0, 1, "10.0.0.3", &[]));
        plane.tell(&put([unpublished]), false).await.unwrap();
        // Programs that other tests start at this moment have copies of its sockets until they become those programs.
        let deadline = std::time::Instant::now() + PATIENCE;
        while let Err(error) = std::net::TcpListener::bind("0.0.0.0:8080") {
            let is_late = std::time::Instant::now() > deadline;
            assert!(!is_late && error.kind() == ErrorKind::AddrInUse, "{error}");
            tokio::time::sleep(PATIENCE / 100).await;
        }
        let to = format!("{HOST}:8080");
        assert_eq!(
            host.client.within(|| tcp(&to)).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        plane.clear().await.unwrap();
    });
}

fn wish(container_port: u16, host_port: u16) -> HostPort {
    HostPort {
        protocol: Protocol::Tcp,
        port: container_port,
        host_ip: None,
        host_port,
        host_port_end: 0,
    }
}

#[test]
fn a_container_has_ports_of_the_host_of_its_own() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let app = [
            peer(),
            Fact::Network(overlay(1)),
            Fact::Endpoint(endpoint(1, 1, 0, 11)),
            Fact::Endpoint(endpoint(1, 2, 0, 12)),
        ];
        plane.tell(&put(app), true).await.unwrap();
        let one = container(&plane, network(1), "10.0.1.11/24").await;
        one.serve(80);
        let udp_wish = HostPort {
            protocol: Protocol::Udp,
            ..wish(80, 8081)
        };
        let wishes = [wish(80, 8081), udp_wish, wish(80, 0)];
        let bound = plane
            .publish(network(1), one.address, &wishes)
            .await
            .unwrap();
        assert_eq!(bound[0].host_port, 8081);
        assert_ne!(bound[2].host_port, 0);
        for port in [8081, bound[2].host_port] {
            let to = format!("{HOST}:{port}");
            let seen = host.client.within(|| tcp(&to)).unwrap();
            assert_eq!(seen, format!("10.0.1.11 {CLIENT}"));
        }
        let to = format!("{HOST}:8081");
        assert_eq!(
            host.client.within(|| udp(&to)).unwrap(),
            format!("10.0.1.11 {CLIENT}")
        );
        assert_eq!(tcp("127.0.0.1:8081").unwrap(), "10.0.1.11 10.0.1.1");

        let second = plane
            .publish(network(1), "10.0.1.12".parse().unwrap(), &[wish(80, 8081)])
            .await;
        assert_eq!(
            second.unwrap_err().to_string(),
            "Bind for 0.0.0.0:8081 failed: port is already allocated"
        );
        assert_eq!(plane.ports().await.unwrap().len(), 3);
        plane.leave(network(1), one.address).await.unwrap();
        assert_eq!(plane.ports().await.unwrap(), []);
        assert_eq!(
            host.client.within(|| tcp(&to)).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        let _listener = std::net::TcpListener::bind("0.0.0.0:8081").unwrap();
        let taken = plane
            .publish(network(1), "10.0.1.12".parse().unwrap(), &[wish(80, 8081)])
            .await;
        assert_eq!(
            taken.unwrap_err().to_string(),
            "listen tcp 0.0.0.0:8081: bind: address already in use"
        );
        plane.clear().await.unwrap();
    });
}

#[test]
fn ports_work_where_forwarding_is_dropped_and_the_administrators_drop_applies() {
    on_a_host(|host| async move {
        // As the engine leaves a host.
        run("iptables", "-P FORWARD DROP");
        run("iptables", "-N DOCKER-USER");
        run("iptables", "-A DOCKER-USER -j RETURN");
        run("iptables", "-I FORWARD -j DOCKER-USER");
        let plane = host.plane().await;
        let tasks = serving(&plane, 1).await;
        let to = format!("{HOST}:8080");
        assert_eq!(
            host.client.within(|| tcp(&to)).unwrap(),
            format!("10.0.0.11 {CLIENT}")
        );
        host.client.serve(CLIENT.parse().unwrap(), 99);
        assert_eq!(
            tasks[0].tcp(&format!("{CLIENT}:99")).unwrap(),
            format!("{CLIENT} {HOST}")
        );
        run("iptables", &format!("-I DOCKER-USER -s {CLIENT} -j DROP"));
        let dropped = host.client.within(|| tcp(&to)).unwrap_err();
        assert_eq!(dropped.kind(), ErrorKind::TimedOut);
        plane.clear().await.unwrap();
        let left = run("iptables", "-S DOCKER-USER");
        assert_eq!(left.lines().count(), 3, "{left}");
    });
}

#[test]
fn accepts_that_someone_took_away_come_back() {
    on_a_host(|host| async move {
        run("iptables", "-P FORWARD DROP");
        let plane = host.plane().await;
        let _tasks = serving(&plane, 1).await;
        let accepts = || run("iptables", "-S").matches("--comment swarmrs-").count();
        assert_eq!(accepts(), 3);
        run("iptables", "-F FORWARD");
        // As an engine that starts does.
        run("iptables", "-N DOCKER-USER");
        run("iptables", "-A FORWARD -j DOCKER-USER");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while accepts() != 3 {
            assert!(std::time::Instant::now() < end, "not back");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        let to = format!("{HOST}:8080");
        assert_eq!(
            host.client.within(|| tcp(&to)).unwrap(),
            format!("10.0.0.11 {CLIENT}")
        );
        plane.clear().await.unwrap();
    });
}

/// Without rules the port's own socket may take a connection, and leads none of it anywhere.
fn is_led(to: &str) -> bool {
    use std::io::Read;
    let limit = std::time::Duration::from_millis(50);
    let stream = std::net::TcpStream::connect_timeout(&to.parse().unwrap(), limit);
    stream.is_ok_and(|mut stream| {
        stream.set_read_timeout(Some(limit)).unwrap();
        stream.read(&mut [0; 64]).is_ok_and(|read| read > 0)
    })
}

fn run_all(commands: &str) {
    for command in commands.split("; ") {
        let (program, arguments) = command.split_once(' ').unwrap();
        run(program, arguments);
    }
}

/// As firewalld does when it is loaded anew, or an administrator.
#[test]
fn what_others_flush_is_back_in_a_moment() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let _tasks = serving(&plane, 1).await;
        let to = format!("{HOST}:8080");
        let answer = format!("10.0.0.11 {CLIENT}");
        let ours = format!("nft delete table ip sw{}", host.tag);
        let engine =
            "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -I FORWARD -j DOCKER-USER";
        for change in [
            "nft flush ruleset",
            engine,
            "iptables -F DOCKER-USER",
            &ours,
        ] {
            // Two changes are not gathered if there is a moment between them.
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
            run_all(change);
            let began = std::time::Instant::now();
            loop {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                if host.client.within(|| is_led(&to)) {
                    break;
                }
                assert!(began.elapsed() < PATIENCE, "not back");
            }
            println!("back after {:?}", began.elapsed());
            assert_eq!(host.client.within(|| tcp(&to)).unwrap(), answer);
        }
        plane.clear().await.unwrap();
    });
}

#[test]
fn ports_of_containers_outlive_their_plane() {
    on_a_host(|host| async move {
        let first = host.plane().await;
        let app = [
            peer(),
            Fact::Network(overlay(1)),
            Fact::Endpoint(endpoint(1, 1, 0, 11)),
        ];
        first.tell(&put(app.clone()), true).await.unwrap();
        let one = container(&first, network(1), "10.0.1.11/24").await;
        one.serve(80);
        let bound = first
            .publish(network(1), one.address, &[wish(80, 8081)])
            .await
            .unwrap();
        drop(first);
        let second = host.plane().await;
        // Who opens a later plane knows the ports, and gives them before the facts.
        let wishes = [wish(80, 8081)];
        let again = loop {
            // A process that ends lets go of its sockets with that; a plane alone, soon after.
            if let Ok(again) = second.publish(network(1), one.address, &wishes).await {
                break again;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        assert_eq!(again, bound);
        second.tell(&put(app), true).await.unwrap();
        let to = format!("{HOST}:8081");
        assert_eq!(
            host.client.within(|| tcp(&to)).unwrap(),
            format!("10.0.1.11 {CLIENT}")
        );
        // The engine publishes them once more if it starts the container anew.
        let again = second
            .publish(network(1), one.address, &[wish(80, 8081)])
            .await
            .unwrap();
        assert_eq!(again, bound);
        assert_eq!(
            host.client.within(|| tcp(&to)).unwrap(),
            format!("10.0.1.11 {CLIENT}")
        );
        second.clear().await.unwrap();
    });
}
