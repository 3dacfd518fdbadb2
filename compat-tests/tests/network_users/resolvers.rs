//! What a user says of names: servers, search domains and options. And what tasks ask besides addresses of names.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use swarmrs_compat_tests::observe::task_containers;
use swarmrs_compat_tests::swarm::{shared, sleepers};
use swarmrs_compat_tests::testbed::Process;
use swarmrs_compat_tests::web::{
    found, overlay, remove, remove_network, servers, sleeper, virtual_address,
};
use swarmrs_compat_tests::{Host, Testbed, wait};

use super::SOON;
use super::load::{IN_CONTAINER, LOAD, mounts};

/// A name server outside of the host that says the same of every name.
fn name_server(testbed: &Testbed) -> Process {
    let mut command = testbed.outside_command();
    command.args([LOAD, "names", "10.77.0.254:53", "192.0.2.7"]);
    let log = testbed.host(0).files().join("names.log");
    Process::start(&mut command, &log).unwrap()
}

fn look_up(host: &Host, container: &str, name: &str) -> String {
    let output = host.docker(&["exec", container, "nslookup", name, "127.0.0.11"]);
    output.unwrap().stdout
}

fn check(host: &Host, container: &str) {
    let answered = wait::until(
        "an answer of the user's own server",
        SOON,
        || match look_up(host, container, "www.example.org") {
            answer if answer.contains("192.0.2.7") => Ok(()),
            answer => Err(answer),
        },
    );
    answered.unwrap();
    let own = look_up(host, container, container);
    assert!(own.contains("Name:") && !own.contains("192.0.2.7"), "{own}");
    let settings = host.docker_ok(&["exec", container, "cat", "/etc/resolv.conf"]);
    assert!(settings.contains("search example.net"), "{settings}");
    assert!(settings.contains("timeout:3"), "{settings}");
}

#[test]
fn servers_search_domains_and_options_of_the_user_are_in_force() {
    let testbed = shared();
    let host = testbed.host(0);
    let _server = name_server(&testbed);
    let network = overlay(host, &[]);
    let flags = [
        "--dns",
        "10.77.0.254",
        "--dns-search",
        "example.net",
        "--dns-option",
        "timeout:3",
    ];
    let name = sleeper(host, &network, &flags);
    check(host, &name);
    let on = ["--network", &network];
    let service = sleepers(host, 1, &[&on[..], &flags].concat());
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let container = wait::until("a task", SOON, || {
        match host.docker_ok(&["ps", "--format", "{{.Names}}", "--filter", &filter]) {
            none if none.is_empty() => Err(none),
            one => Ok(one),
        }
    });
    check(host, &container.unwrap());
    host.docker_ok(&["rm", "--force", &name]);
    host.docker_ok(&["service", "rm", &service]);
    remove_network(host, &network);
}

/// The only container of a service: its id, and the task's name.
fn task(host: &Host, service: &str) -> (String, String) {
    let task = task_containers(host, service).unwrap().remove(0);
    (task.container, task.name)
}

/// The same alias is one service's on one network and another's on the other.
#[test]
fn a_name_on_two_networks_is_answered_from_those_of_the_container() {
    let testbed = shared();
    let host = testbed.host(0);
    let mut networks = [overlay(host, &[]), overlay(host, &[])];
    // The first in the order of their names is asked first.
    networks.sort();
    let twins = networks.each_ref().map(|network| {
        let on = format!("name={network},alias=twin");
        servers(host, 1, &["--network", &on])
    });
    let addresses = twins.each_ref().map(|twin| virtual_address(host, twin));
    let [first, second] = &networks;
    let both = sleepers(host, 1, &["--network", first, "--network", second]);
    let tasks = [&twins[0], &twins[1], &both].map(|service| task(host, service).0);
    for (task, name, expected) in [
        (&tasks[0], "twin", &addresses[0]),
        (&tasks[1], "twin", &addresses[1]),
        (&tasks[2], "twin", &addresses[0]),
        (&tasks[2], &format!("twin.{first}"), &addresses[0]),
        (&tasks[2], &format!("twin.{second}"), &addresses[1]),
    ] {
        let answer = look_up(host, task, name);
        assert_eq!(found(&answer), [expected.as_str()], "{name}: {answer}");
    }
    for begins in [first.as_str(), "bridge"] {
        let user = sleeper(host, begins, &[]);
        for network in networks.iter().filter(|network| *network != begins) {
            host.docker_ok(&["network", "connect", network, &user]);
        }
        for (twin, address) in twins.iter().zip(&addresses) {
            let both = || match look_up(host, &user, twin) {
                answer if found(&answer) == [address.as_str()] => Ok(()),
                answer => Err(answer),
            };
            wait::until("names of both networks", SOON, both).unwrap();
        }
        host.docker_ok(&["rm", "--force", &user]);
    }
    let foreign = look_up(host, &tasks[0], &twins[1]);
    assert_eq!(found(&foreign), [] as [&str; 0], "{foreign}");
    for service in [&twins[0], &twins[1], &both] {
        remove(host, service);
    }
    for network in &networks {
        remove_network(host, network);
    }
}

/// A question for a name's IPv4 addresses; `size`: who asks takes answers as large as that over UDP.
fn question(name: &str, size: Option<u16>) -> Vec<u8> {
    let mut packet = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, size.is_some().into()];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    if let Some(size) = size {
        // Root name, OPT; nothing behind the size.
        packet.extend([0, 0, 41]);
        packet.extend(size.to_be_bytes());
        packet.extend([0; 6]);
    }
    packet
}

/// The same as it is sent over a connection.
fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    [&length[..], packet].concat()
}

/// What a program in a container answers to the packet, in hexadecimal digits.
fn asked(host: &Host, container: &str, program: &str, packet: &[u8]) -> String {
    let line = format!("{program} | xxd -p | tr -d '\\n'");
    let exec = ["exec", "--interactive", container, "sh", "-c", &line];
    let output = host.docker_fed(&exec, packet).unwrap();
    output.success().unwrap().to_owned()
}

#[test]
fn a_task_asks_for_names_of_addresses_and_over_connections() {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = servers(host, 1, &["--network", &network]);
    let virtual_ip = virtual_address(host, &service);
    let asker = sleepers(host, 1, &["--network", &network]);
    let (asker_id, _) = task(host, &asker);
    let (_, task_name) = task(host, &service);

    let address = found(&look_up(host, &asker_id, &format!("tasks.{service}"))).remove(0);
    for (address, name) in [(&address, &task_name), (&virtual_ip, &service)] {
        let answer = look_up(host, &asker_id, address);
        let expected = format!("name = {name}.{network}");
        assert!(answer.contains(&expected), "{answer} has no {expected}");
    }
    for (name, address) in [
        (service.clone(), &virtual_ip),
        (format!("tasks.{service}"), &address),
    ] {
        let packet = framed(&question(&name, None));
        let answer = asked(host, &asker_id, "nc -w 3 127.0.0.11 53", &packet);
        let octets = address.parse::<Ipv4Addr>().unwrap().octets();
        let octets: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        // Type, class, lifetime, and an address of four bytes.
        assert!(answer.contains("00010001"), "{name}: {answer}");
        assert!(
            answer.ends_with(&format!("0004{octets}")),
            "{name}: {answer}"
        );
    }
    remove(host, &service);
    remove(host, &asker);
    remove_network(host, &network);
}

/// More addresses than an answer of 512 bytes has room for.
const MANY: u8 = 33;

/// Of a server's answer: its length, whether some of it is missing, and how many addresses are there.
fn answered(host: &Host, container: &str, way: &str, packet: &[u8]) -> (usize, bool, u8) {
    let program = format!("{IN_CONTAINER} say {way}");
    let answer = asked(host, container, &program, packet);
    let header = if way.starts_with("tcp") { 4 } else { 0 };
    let byte = |at: usize| u8::from_str_radix(&answer[header + 2 * at..][..2], 16).unwrap();
    (answer.len() / 2, byte(2) & 2 != 0, byte(7))
}

#[test]
fn a_name_with_more_addresses_than_a_datagram_holds_is_found_whole() {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let on = ["--network", &network, "--endpoint-mode", "dnsrr"];
    let service = sleepers(host, MANY.into(), &on);
    let mounts = mounts();
    let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let asker = sleeper(host, &network, &mounts);
    for name in [service.clone(), format!("tasks.{service}")] {
        let found = host.docker_ok(&["exec", &asker, IN_CONTAINER, "resolve", &name]);
        let found: BTreeSet<&str> = found.lines().collect();
        assert_eq!(found.len(), usize::from(MANY), "{name}: {found:?}");
        // The engine's resolver, and ours.
        for server in ["127.0.0.11:53", "169.254.77.53:53"] {
            let plain = question(&name, None);
            let udp = format!("udp {server}");
            let (length, missing, count) = answered(host, &asker, &udp, &plain);
            assert!(
                length <= 512 && missing && count < MANY,
                "{server}: {count}"
            );
            let (_, missing, count) = answered(host, &asker, &udp, &question(&name, Some(1232)));
            assert_eq!((missing, count), (false, MANY), "{server}");
            let tcp = format!("tcp {server}");
            let (_, missing, count) = answered(host, &asker, &tcp, &framed(&plain));
            assert_eq!((missing, count), (false, MANY), "{server}");
        }
    }
    host.docker_ok(&["rm", "--force", &asker]);
    remove(host, &service);
    remove_network(host, &network);
}
