//! A user's container with all rights over its own link is still nobody else on the network.

use std::net::Ipv6Addr;

use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::web::{IN_CONTAINER, overlay, remove_network, sleeper};
use swarmrs_compat_tests::{Host, wait};

use super::SOON;
use super::load::mounts;

fn sh(host: &Host, container: &str, line: &str) -> String {
    host.docker_ok(&["exec", container, "sh", "-c", line])
}

fn address(host: &Host, container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    host.docker_ok(&["inspect", "--format", format, container])
}

/// Echo requests that came to a container, whoever they say they are from.
fn echoes(host: &Host, container: &str) -> u32 {
    let line = "awk '/^Icmp:/ { count = $10 } END { print count }' /proc/net/snmp";
    sh(host, container, line).parse().unwrap()
}

/// Whom a container takes for the owner of an address.
fn neighbour(host: &Host, container: &str, address: &str) -> String {
    let line = format!("awk '$1 == \"{address}\" {{ print $4 }}' /proc/net/arp");
    sh(host, container, &line)
}

/// Each forgery is of an address, and of a hardware address: the other stays the forger's own. It announces itself and
/// asks its neighbour, whose hardware it knows.
#[test]
fn a_container_that_may_change_its_link_is_nobody_else() {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let mounts = mounts();
    let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let [victim, witness] = [(); 2].map(|()| sleeper(host, &network, &mounts));
    let rights = ["--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN"];
    let forger = sleeper(host, &network, &rights);
    let [victim_ip, witness_ip, forger_ip] =
        [&victim, &witness, &forger].map(|container| address(host, container));
    let gateway = sh(host, &witness, "ip route | awk '/^default/ { print $3 }'");
    let mirror = ["exec", "--detach", &victim, IN_CONTAINER, "mirror", "90"];
    host.docker_ok(&mirror);
    let say = format!("echo again | {IN_CONTAINER} say udp {victim_ip}:90");
    let answered = || {
        wait::until("the victim's answer", SOON, || {
            let said = host.docker(&["exec", &witness, "sh", "-c", &say]).unwrap();
            match said.stdout.trim() {
                answer if answer == format!("{witness_ip} again") => Ok(()),
                other => Err(format!("{other} {}", said.stderr)),
            }
        })
        .unwrap();
    };
    answered();
    sh(host, &witness, &format!("ping -c 1 -W 3 {gateway}"));
    let known = || [&victim_ip, &gateway].map(|of| neighbour(host, &witness, of));
    let before = known();
    let [hardware, own] =
        [&witness, &forger].map(|of| sh(host, of, "cat /sys/class/net/eth0/address"));
    assert_ne!(before[0], own);
    sh(host, &forger, &format!("arp -s {witness_ip} {hardware}"));
    let ask = |from: &str| {
        let line = format!(
            "arping -U -c 2 -I eth0 -s {from} {from}; arping -A -c 2 -I eth0 -s {from} {from}; \
             ping -c 2 -W 1 -I {from} {witness_ip} >/dev/null; true"
        );
        let begun = echoes(host, &witness);
        sh(host, &forger, &line);
        echoes(host, &witness) - begun
    };
    assert_eq!(ask(&forger_ip), 2, "its own come through");
    for (what, from) in [("a neighbour", &victim_ip), ("the gateway", &gateway)] {
        let take = |verb: &str| sh(host, &forger, &format!("ip addr {verb} {from}/32 dev eth0"));
        take("add");
        assert_eq!(ask(from), 0, "it is {what}");
        take("del");
        assert_eq!(known(), before, "{what} is another now");
    }
    for (what, mac) in [
        ("a neighbour", before[0].as_str()),
        ("the gateway", before[1].as_str()),
        ("another node", "02:5a:00:00:00:02"),
    ] {
        let wear = |mac: &str| {
            let line = format!(
                "ip link set eth0 down; ip link set eth0 address {mac}; ip link set eth0 up; arp -s {witness_ip} {hardware}"
            );
            sh(host, &forger, &line);
        };
        wear(mac);
        assert_eq!(ask(&forger_ip), 0, "it is {what} by its hardware");
        wear(&own);
        assert_eq!(ask(&forger_ip), 2, "itself again");
        assert_eq!(known(), before, "{what} is another now");
    }
    answered();
    for container in [&victim, &witness, &forger] {
        host.docker_ok(&["rm", "--force", container]);
    }
    remove_network(host, &network);
}

/// An address of IPv6 that a container has on its link, of that scope.
fn address_v6(host: &Host, container: &str, scope: &str) -> Ipv6Addr {
    let line = format!("ip -6 -o addr show dev eth0 scope {scope} | awk '{{ print $4 }}'");
    let shown = sh(host, container, &line);
    shown.split('/').next().unwrap().parse().unwrap()
}

/// "That address is here": a neighbour's advertisement, which takes the place of what is known. Source: RFC 4861.
fn advertisement(of: Ipv6Addr, hardware: &[u8]) -> Vec<u8> {
    [
        &[136, 0, 0, 0, 0x20, 0, 0, 0],
        &of.octets()[..],
        &[2, 1],
        hardware,
    ]
    .concat()
}

/// "The way out is by me, for an hour."
fn router_advertisement(hardware: &[u8]) -> Vec<u8> {
    [
        &[134, 0, 0, 0, 64, 0, 0x0e, 0x10],
        &[0; 8][..],
        &[1, 1],
        hardware,
    ]
    .concat()
}

#[test]
fn a_container_that_may_say_anything_over_ipv6_is_nobody_else() {
    let testbed = shared();
    let host = testbed.host(0);
    let subnets = ["--subnet", "fd00:5b::/64", "--subnet", "10.216.0.0/24"];
    let network = overlay(host, &[&["--ipv6"], &subnets[..]].concat());
    let mounts = mounts();
    let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let [victim, witness] = [(); 2].map(|()| sleeper(host, &network, &[]));
    let rights = ["--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN"];
    let forger = sleeper(host, &network, &[&rights[..], &mounts].concat());
    let [victim_ip, witness_ip, forger_ip] =
        [&victim, &witness, &forger].map(|container| address_v6(host, container, "global"));
    let near = address_v6(host, &witness, "link");
    let gateway = "ip -6 route show default | awk '{ print $3; exit }'";
    let gateway: Ipv6Addr = sh(host, &witness, gateway).parse().unwrap();
    for of in [victim_ip, gateway] {
        sh(host, &witness, &format!("ping -6 -c 1 -W 3 {of}"));
    }
    let link = sh(host, &forger, "cat /sys/class/net/eth0/ifindex");
    let hardware = sh(host, &forger, "cat /sys/class/net/eth0/address");
    let hardware = hardware.split(':').map(|byte| u8::from_str_radix(byte, 16));
    let hardware: Vec<u8> = hardware.map(Result::unwrap).collect();

    // Whom the witness takes for its neighbours and the way out.
    let known = || {
        let neighbours = [victim_ip, gateway].map(|of| {
            let line = format!("ip -6 neigh show {of} | grep -o 'lladdr [0-9a-f:]*'");
            sh(host, &witness, &line)
        });
        (neighbours, sh(host, &witness, "ip -6 route show default"))
    };
    let heard = || {
        let line = "awk '$1 == \"Icmp6InNeighborAdvertisements\" { print $2 }' /proc/net/snmp6";
        sh(host, &witness, line).parse::<u32>().unwrap()
    };
    let say = |message: Vec<u8>, to: Ipv6Addr| {
        let to = format!("[{to}%{link}]:0");
        let exec = ["exec", "--interactive", &forger, IN_CONTAINER, "icmp6", &to];
        host.docker_fed(&exec, &message).unwrap().success().unwrap();
    };
    let before = known();
    for (what, message) in [
        ("a neighbour", advertisement(victim_ip, &hardware)),
        ("the gateway", advertisement(gateway, &hardware)),
        ("the way out", router_advertisement(&hardware)),
    ] {
        for to in [witness_ip, near] {
            say(message.clone(), to);
        }
        // Its own comes through, after those.
        let begun = heard();
        say(advertisement(forger_ip, &hardware), witness_ip);
        let through = || match heard() {
            none if none == begun => Err("nothing came through".to_owned()),
            _ => Ok(()),
        };
        wait::until("the forger's own", SOON, through).unwrap();
        assert_eq!(known(), before, "it is {what}");
    }
    for container in [&victim, &witness, &forger] {
        host.docker_ok(&["rm", "--force", container]);
    }
    remove_network(host, &network);
}
