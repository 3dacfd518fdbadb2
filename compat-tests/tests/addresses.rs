//! Nodes at addresses and ports of their own choice, and nodes whose address changes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::Duration;

use swarmrs_compat_tests::swarm::{self, token, until_nodes};
use swarmrs_compat_tests::web::{answers, overlay, servers};
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const SOON: Duration = Duration::from_secs(60);

/// Runs a program on the host; it must go well.
#[track_caller]
fn inside(host: &Host, line: &str) -> String {
    let output = host.inside(&["sh", "-ec", line]).unwrap();
    assert_eq!(output.status, 0, "{line}: {output:?}");
    output.stdout
}

/// The host's second address, for the packets of networks alone.
fn second(at: usize) -> String {
    format!("10.78.0.{}", at + 1)
}

/// Waits until so many tasks of the service answer in a container on the host.
#[track_caller]
fn until_all_answer(host: &Host, network: &str, service: &str, tasks: usize) {
    let answered = wait::until("all tasks answer", SOON, || {
        let who: BTreeSet<String> = answers(host, network, service, 20).into_iter().collect();
        match who.len() == tasks {
            true => Ok(()),
            false => Err(format!("{who:?}")),
        }
    });
    answered.unwrap();
}

#[test]
fn every_address_and_port_may_be_another_than_the_usual() {
    let mut testbed = Testbed::hosts(3, &Options::default()).unwrap();
    for at in 0..3 {
        let add = format!("ip address add {}/24 dev eth0", second(at));
        inside(testbed.host(at), &add);
    }
    let first = testbed.host(0);
    let here = format!("{}:2399", first.address());
    let (data, port) = (second(0), "5789");
    let at = ["--listen-addr", &here, "--advertise-addr", &here];
    let packets = ["--data-path-addr", &data, "--data-path-port", port];
    first.docker_ok(&[&["swarm", "init"], &at[..], &packets].concat());
    for (at, role, listen) in [(1, "manager", "eth0:2401"), (2, "worker", "0.0.0.0:2402")] {
        let host = testbed.host(at);
        // Of the two addresses of eth0 neither is the obvious one.
        let listen = listen.replace("eth0", host.address());
        let (token, data) = (token(first, role), second(at));
        let join = ["swarm", "join", "--token", &token, "--listen-addr", &listen];
        let advertise = ["--advertise-addr", host.address()];
        let packets = ["--data-path-addr", &data, &here];
        host.docker_ok(&[&join[..], &advertise, &packets].concat());
    }
    until_nodes(
        first,
        &[
            "atlas Ready Active Leader",
            "boreas Ready Active Reachable",
            "castor Ready Active",
        ],
    );
    let shown = [
        "node",
        "inspect",
        "--format",
        "{{.ManagerStatus.Addr}}",
        "boreas",
    ];
    let expected = format!("{}:2401", testbed.host(1).address());
    assert_eq!(first.docker_ok(&shown), expected);

    // Packets of networks go by the second addresses and that port, and by no other way.
    for at in 0..3 {
        inside(
            testbed.host(at),
            "nft add table inet closed && nft add chain inet closed in '{ type filter hook input priority 0; }' &&
             nft add rule inet closed in ip daddr 10.77.0.0/24 udp dport { 4789, 5789 } drop &&
             nft add rule inet closed in udp dport 4789 drop",
        );
    }
    let network = overlay(first, &[]);
    let service = servers(first, 3, &["--network", &network, "--mode", "replicated"]);
    for at in 0..2 {
        until_all_answer(testbed.host(at), &network, &service, 3);
    }
    assert!(inside(first, "ss --udp --listening --numeric").contains(":5789"));

    // Whoever starts again is there again, and the others are found at what they said.
    for at in [1, 0] {
        testbed.host_mut(at).kill_daemon();
        testbed.host_mut(at).start_daemon().unwrap();
    }
    swarm::until_well(&testbed, 2, 1);
}

/// Gives the host another address, as a lease that was not renewed does.
fn move_to(host: &Host, address: &str) {
    let line = format!(
        "ip address delete {}/24 dev eth0 && ip address add {address}/24 dev eth0",
        host.address()
    );
    inside(host, &line);
}

fn shown_address(manager: &Host, node: &str, format: &str) -> String {
    manager.docker_ok(&["node", "inspect", "--format", format, node])
}

#[test]
fn a_node_whose_address_changes_says_so_and_works_on() {
    let testbed = Testbed::hosts(4, &Options::default()).unwrap();
    let first = testbed.host(0);
    swarm::form(&testbed, 3, 1);
    let whole = [
        "atlas Ready Active Leader",
        "boreas Ready Active Reachable",
        "castor Ready Active Reachable",
        "daphne Ready Active",
    ];
    until_nodes(first, &whole);
    let network = overlay(first, &[]);
    let service = servers(first, 4, &["--network", &network]);
    until_all_answer(first, &network, &service, 4);
    let containers = || (0..4).map(|at| swarm::running(testbed.host(at), &service));
    let before: Vec<_> = containers().collect();

    for (at, address, format, expected) in [
        (3, "10.77.0.33", "{{.Status.Addr}}", "10.77.0.33"),
        (
            2,
            "10.77.0.32",
            "{{.ManagerStatus.Addr}}",
            "10.77.0.32:2377",
        ),
    ] {
        let (host, begun) = (testbed.host(at), std::time::Instant::now());
        move_to(host, address);
        wait::until("its new address", SOON, || {
            match shown_address(first, host.name(), format) {
                shown if shown == expected => Ok(()),
                shown => Err(shown),
            }
        })
        .unwrap();
        until_nodes(first, &whole);
        println!(
            "{}: known at {address} after {:?}",
            host.name(),
            begun.elapsed()
        );
    }
    assert_eq!(
        shown_address(first, "castor", "{{.Status.Addr}}"),
        "10.77.0.32"
    );
    assert!(containers().eq(before), "a container was touched");
    // Packets find the containers there, and those of the moved hosts find the others.
    for at in [0, 2] {
        until_all_answer(testbed.host(at), &network, &service, 4);
    }
    let again = testbed
        .host(2)
        .docker_ok(&["node", "ls", "--format", "{{.Hostname}}"]);
    assert_eq!(again.lines().count(), 4);
}

/// What the host says of its own part in the swarm.
fn standing(host: &Host) -> String {
    host.docker_ok(&[
        "info",
        "--format",
        "{{.Swarm.LocalNodeState}} {{.Swarm.Error}}",
    ])
}

#[test]
fn a_manager_whose_address_is_not_there_waits_for_it_or_for_another() {
    let mut testbed = Testbed::hosts(3, &Options::default()).unwrap();
    swarm::init(testbed.host(0));
    for at in [1, 2] {
        let host = testbed.host(at);
        let (token, listen) = (token(testbed.host(0), "manager"), host.address());
        let join = ["swarm", "join", "--token", &token, "--listen-addr", listen];
        host.docker_ok(
            &[
                &join[..],
                &["--advertise-addr", listen, testbed.host(0).address()],
            ]
            .concat(),
        );
    }
    swarm::until_well(&testbed, 3, 0);
    let service = swarm::sleepers(
        testbed.host(0),
        1,
        &["--constraint", "node.hostname==castor"],
    );
    let before = swarm::running(testbed.host(2), &service);
    for at in [1, 2] {
        testbed.host_mut(at).kill_daemon();
        let host = testbed.host(at);
        inside(
            host,
            &format!("ip address delete {}/24 dev eth0", host.address()),
        );
        testbed.host_mut(at).start_daemon().unwrap();
        let host = testbed.host(at);
        let said = format!("error cannot listen on {}:2377: ", host.address());
        let stands = standing(host);
        assert!(stands.starts_with(&said), "{stands}");
    }
    assert_eq!(swarm::running(testbed.host(2), &service), before);
    for (at, address) in [(1, testbed.host(1).address()), (2, "10.77.0.32")] {
        inside(
            testbed.host(at),
            &format!("ip address add {address}/24 dev eth0"),
        );
    }
    swarm::until_well(&testbed, 3, 0);
    let shown = shown_address(testbed.host(0), "castor", "{{.ManagerStatus.Addr}}");
    assert_eq!(shown, "10.77.0.32:2377");
    assert_eq!(swarm::running(testbed.host(2), &service), before);
}

/// A program on the host that ends with this.
struct Running(Child);

impl Running {
    fn start(host: &Host, line: &str) -> Running {
        let mut command = host.inside_command();
        command.args(["sh", "-c", &format!("exec {line}")]);
        Running(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `swarm join` says about a port of the first host, none of which is a manager's to be heard at.
fn refusal(host: &Host, first: &Host, token: &str, port: u16) -> String {
    let there = format!("{}:{port}", first.address());
    let said = host
        .docker(&["swarm", "join", "--token", token, &there])
        .unwrap();
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains(&there), "{there}: {}", said.stderr);
    host.docker(&["swarm", "leave", "--force"]).unwrap();
    said.stderr
}

#[test]
fn a_join_that_leads_nowhere_names_the_address_and_the_port() {
    let testbed = Testbed::hosts(3, &Options::default()).unwrap();
    let [first, second, third] = [0, 1, 2].map(|at| testbed.host(at));
    swarm::init(first);
    let token = token(first, "worker");
    inside(
        first,
        "nft add table inet closed && nft add chain inet closed in '{ type filter hook input priority 0; }' &&
         nft add rule inet closed in tcp dport 2377 drop",
    );
    let _others = [
        Running::start(first, "busybox nc -ll -p 2381 -e sleep 600"),
        Running::start(
            first,
            "busybox nc -ll -p 2382 -e echo 'HTTP/1.1 400 Bad Request'",
        ),
    ];
    let listening = || match inside(first, "ss --tcp --listening --numeric") {
        shown if shown.contains(":2381 ") && shown.contains(":2382 ") => Ok(()),
        shown => Err(shown),
    };
    wait::until("who listens", SOON, listening).unwrap();
    let asks = "is that TCP port open there";
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let dropped = refusal(second, first, &token, 2377);
            assert!(dropped.contains(asks), "{dropped}");
        });
        let garbled = refusal(third, first, &token, 2382);
        assert!(garbled.contains("no trust"), "{garbled}");
        let refused = refusal(third, first, &token, 2380);
        assert!(refused.contains("connection refused"), "{refused}");
        let silent = refusal(third, first, &token, 2381);
        assert!(silent.contains(asks), "{silent}");
    });
}
