//! Published ports, on the mesh and on the host, and a virtual address: whoever asks, by a connection or by a datagram, is
//! answered, and the service sees the client's own address.

use std::process::Command;

use swarmrs_compat_tests::command;
use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas};
use swarmrs_compat_tests::swarm::{CREATE, shared};
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::web::{overlay, remove, remove_network, sleeper, virtual_address_on};
use swarmrs_compat_tests::{Host, Testbed};

use super::SOON;
use super::ipv6::cable;
use super::load::{IN_CONTAINER, LOAD, mounts};

const ON_THE_MESH: u16 = 18_120;
const ON_THE_HOST: u16 = 18_121;
const NEIGHBOUR: &str = "10.77.0.254";
const PROTOCOLS: [&str; 2] = ["tcp", "udp"];

/// A service that tells its clients what they look like, on a network and at both kinds of ports, in both protocols.
fn mirror(host: &Host, network: &str) -> String {
    let name = unique("mirror");
    let ports = PROTOCOLS.into_iter().flat_map(|protocol| {
        let port =
            |mode, port| format!("mode={mode},target=90,published={port},protocol={protocol}");
        let ports = [port("ingress", ON_THE_MESH), port("host", ON_THE_HOST)];
        ports
            .into_iter()
            .flat_map(|port| ["--publish".to_owned(), port])
    });
    let flags: Vec<String> = ports.chain(mounts()).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let named = ["--name", &name, "--network", network];
    let run = [IMAGE, IN_CONTAINER, "mirror", "90"];
    host.docker_ok(&[&CREATE[..], &named, &flags, &run].concat());
    wait_for_replicas(host, &name, "1/1").unwrap();
    name
}

/// From where a client asks.
enum Place<'a> {
    Outside(&'a Testbed),
    Host(&'a Host),
    Container(&'a Host, &'a str),
}

impl Place<'_> {
    fn command(&self) -> Command {
        match self {
            Place::Outside(testbed) => {
                let mut command = testbed.outside_command();
                command.arg(LOAD);
                command
            }
            Place::Host(host) => {
                let mut command = host.inside_command();
                command.arg(LOAD);
                command
            }
            Place::Container(host, container) => {
                let mut command = host.docker_command();
                command.args(["exec", "--interactive", container, IN_CONTAINER]);
                command
            }
        }
    }

    /// By which address the service sees a client that is here, or why there is no answer.
    fn seen(&self, protocol: &str, address: &str) -> Result<String, String> {
        let mut say = self.command();
        say.args(["say", protocol, address]);
        let output = command::run(&mut say, b"hello", SOON).unwrap();
        let answer = output.success().map_err(|error| error.to_string())?;
        let (seen, echo) = answer.split_once(' ').ok_or(answer)?;
        assert_eq!(echo, "hello");
        Ok(seen.to_owned())
    }
}

fn inspected(host: &Host, container: &str, format: &str) -> String {
    host.docker_ok(&["inspect", "--format", format, container])
}

/// Only where a client cannot be answered past the node does the service see the node in its place.
fn clients_are_answered(testbed: &Testbed, containers: [&str; 4]) {
    let host = testbed.host(0);
    for protocol in PROTOCOLS {
        for port in [ON_THE_MESH, ON_THE_HOST] {
            let [own, own_v6] = [host.address(), "[fd77::1]"].map(|at| format!("{at}:{port}"));
            let seen = Place::Outside(testbed).seen(protocol, &own);
            assert_eq!(seen.as_deref(), Ok(NEIGHBOUR), "{protocol} {port}");
            let seen = Place::Host(host).seen(protocol, &own);
            assert_eq!(seen.as_deref(), Ok(host.address()), "{protocol} {port}");
            let by_loopback = ["127.0.0.1", "[::1]"].map(|at| format!("{at}:{port}"));
            for address in &by_loopback {
                let seen = Place::Host(host).seen(protocol, address);
                assert!(seen.is_ok(), "{protocol} {address}: {seen:?}");
            }
            let seen = Place::Outside(testbed).seen(protocol, &own_v6);
            assert!(seen.is_ok(), "{protocol} {own_v6}: {seen:?}");
            for container in containers {
                let seen = Place::Container(host, container).seen(protocol, &own);
                assert!(seen.is_ok(), "{container}: {protocol} {own}: {seen:?}");
            }
        }
    }
}

/// What the administrator drops in the engine's chain is dropped on its way to our ports too.
fn the_administrator_has_the_last_word(testbed: &Testbed, local: &str) {
    let host = testbed.host(0);
    let address = inspected(host, local, "{{.NetworkSettings.IPAddress}}");
    let clients = [
        (NEIGHBOUR, Place::Outside(testbed)),
        (&address, Place::Container(host, local)),
    ];
    for (source, place) in clients {
        let rule = |verb| {
            let rule = [
                "iptables",
                "-w",
                verb,
                "DOCKER-USER",
                "-s",
                source,
                "-j",
                "DROP",
            ];
            host.inside(&rule).unwrap().success().unwrap();
        };
        for (verb, served) in [("-I", false), ("-D", true)] {
            rule(verb);
            for (protocol, port) in PROTOCOLS.into_iter().zip([ON_THE_MESH, ON_THE_HOST]) {
                let address = format!("{}:{port}", host.address());
                let seen = place.seen(protocol, &address);
                assert_eq!(seen.is_ok(), served, "{source} {protocol} {port}: {seen:?}");
            }
        }
    }
}

/// As the engine shows ports of its own; those of the mesh are no container's.
fn ports_are_shown_where_they_are(host: &Host, service: &str, task: &str) {
    let shown = host.docker_ok(&["port", task]);
    let mut shown: Vec<&str> = shown.lines().collect();
    shown.sort_unstable();
    assert_eq!(
        shown,
        ["90/tcp -> 0.0.0.0:18121", "90/udp -> 0.0.0.0:18121"]
    );
    let bound = r#"{"90/tcp":[{"HostIp":"0.0.0.0","HostPort":"18121"}],"90/udp":[{"HostIp":"0.0.0.0","HostPort":"18121"}]}"#;
    assert_eq!(
        inspected(host, task, "{{json .NetworkSettings.Ports}}"),
        bound
    );
    let id = format!("id={task}");
    let shown = host.docker_ok(&["ps", "--filter", &id, "--format", "{{.Ports}}"]);
    assert_eq!(shown, "0.0.0.0:18121->90/tcp, 0.0.0.0:18121->90/udp");
    let name = format!("name={service}");
    let shown = host.docker_ok(&["service", "ls", "--filter", &name, "--format", "{{.Ports}}"]);
    assert_eq!(shown, "*:18120->90/tcp, *:18120->90/udp");
}

#[test]
fn whoever_asks_a_published_port_is_answered_by_connections_and_by_datagrams() {
    let testbed = shared();
    let host = testbed.host(0);
    cable(&testbed);
    let (network, other) = (overlay(host, &[]), overlay(host, &[]));
    let service = mirror(host, &network);
    let task = &task_containers(host, &service).unwrap()[0].container;
    let flags = mounts();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let [beside, elsewhere, local] =
        [network.as_str(), &other, "bridge"].map(|network| sleeper(host, network, &flags));

    clients_are_answered(&testbed, [&beside, &elsewhere, &local, task]);
    let own = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
    let own = inspected(host, &beside, &own);
    let virtual_ip = virtual_address_on(host, &network, &service);
    for protocol in PROTOCOLS {
        let seen = Place::Container(host, &beside).seen(protocol, &format!("{virtual_ip}:90"));
        assert_eq!(seen.as_deref(), Ok(own.as_str()), "{protocol}");
    }
    ports_are_shown_where_they_are(host, &service, task);
    the_administrator_has_the_last_word(&testbed, &local);

    remove(host, &service);
    for container in [&beside, &elsewhere, &local] {
        host.docker_ok(&["rm", "--force", container]);
    }
    remove_network(host, &network);
    remove_network(host, &other);
}
