//! Requests to make a swarm: what is refused, in which order, and which addresses are chosen.

use super::*;
use crate::control::swarm::{Interface, check_init};
use std::net::IpAddr;
use swarmrs_types::spec::InitRequest;

fn interface(name: &str, addrs: &[&str]) -> Interface {
    Interface {
        name: name.to_owned(),
        up: true,
        addrs: addrs.iter().map(|addr| addr.parse().unwrap()).collect(),
        ..Interface::default()
    }
}

fn loopback() -> Interface {
    Interface {
        loopback: true,
        ..interface("lo", &["127.0.0.1", "::1"])
    }
}

fn plain() -> Vec<Interface> {
    vec![loopback(), interface("eth0", &["192.0.2.1", "fd00::1"])]
}

fn request(patch: Value) -> InitRequest {
    let mut whole = json!({"ListenAddr": "0.0.0.0:2377"});
    lay(&mut whole, patch);
    read(&whole)
}

fn refusal(patch: Value, interfaces: &[Interface]) -> String {
    let checked = check_init(&request(patch), interfaces, "");
    checked.map_or_else(|fault| said(&fault), |_| "accepted".to_owned())
}

#[test]
fn requests_are_refused_in_dockers_words() {
    let here = plain();
    let settings =
        "Unknown: error updating cluster settings: rpc error: code = InvalidArgument desc =";
    let rows = [
        (json!({"ListenAddr": ""}), "InvalidArgument: invalid ListenAddr \"\": invalid empty address".to_owned()),
        (json!({"Spec": {"Name": "mine"}}), "InvalidArgument: swarm spec must be named \"default\"".to_owned()),
        (json!({"ListenAddr": "a:b:c"}), "InvalidArgument: could not parse listen address a:b:c".to_owned()),
        (json!({"ListenAddr": "192.0.2.1:x"}), "InvalidArgument: could not parse listen address 192.0.2.1:x".to_owned()),
        (
            json!({"ListenAddr": "nope:2377"}),
            "InvalidArgument: listen address must be an IP address or network interface (with optional port number)".to_owned(),
        ),
        (
            json!({"DefaultAddrPool": ["10.0.0.0/8"], "SubnetSize": 30}),
            "Unknown: subnet size is out of range: 30".to_owned(),
        ),
        (
            json!({"DefaultAddrPool": ["10.0.0.0/26"], "SubnetSize": 24}),
            "Unknown: invalid CIDR: \"10.0.0.0/26\". Subnet size is too small for pool: 24".to_owned(),
        ),
        (
            json!({"DefaultAddrPool": ["10.0.0.0"], "SubnetSize": 24}),
            "Unknown: invalid base pool 10.0.0.0: invalid CIDR address: 10.0.0.0".to_owned(),
        ),
        (
            json!({"DataPathPort": 1023}),
            "Unknown: Datapath port number is not in valid range (1024-49151) : 1023".to_owned(),
        ),
        (
            json!({"DataPathPort": 49152}),
            "Unknown: Datapath port number is not in valid range (1024-49151) : 49152".to_owned(),
        ),
        (json!({"Availability": "x"}), "Unknown: invalid Availability: \"x\"".to_owned()),
        (
            json!({"Spec": {"CAConfig": {"ExternalCAs": [{"Protocol": "x"}]}}}),
            "Unknown: error updating cluster settings: invalid protocol: \"x\"".to_owned(),
        ),
        (
            json!({"Spec": {"CAConfig": {"NodeCertExpiry": 1}}}),
            format!("{settings} minimum certificate expiry time is: 1h0m0s"),
        ),
        (
            json!({"Spec": {"Dispatcher": {"HeartbeatPeriod": -1}}}),
            format!("{settings} heartbeat time period cannot be a negative duration"),
        ),
    ];
    for (patch, text) in &rows {
        assert_eq!(refusal(patch.clone(), &here), *text, "{patch}");
    }
    println!("{} refusals", rows.len());
}

#[test]
fn options_without_effect_are_refused_by_name() {
    let here = plain();
    let patch = json!({"Spec": {"CAConfig": {"SigningCACert": "x"}}});
    let what = "making a swarm with a root CA of the user's own";
    let text = format!("Unimplemented: {what} is not available in this release of swarmrs");
    assert_eq!(refusal(patch, &here), text);
}

#[test]
fn addresses_that_cannot_be_meant_are_refused_in_dockers_words() {
    let advertise = "InvalidArgument: advertise address must be a non-zero IP address or network interface (with optional port number)";
    let data_path = "InvalidArgument: data path address must be a non-zero IP address or network interface (without a port number)";
    let here = plain();
    let crowded = vec![loopback(), interface("eth0", &["192.0.2.1", "192.0.2.2"])];
    let two = vec![
        interface("eth0", &["192.0.2.1"]),
        interface("eth1", &["198.51.100.1"]),
    ];
    let six = vec![
        interface("eth0", &["fd00::1", "fd00::2"]),
        interface("none", &[]),
    ];
    let several = "InvalidArgument: could not choose an IP address to advertise since this system has multiple addresses";
    for (patch, interfaces, text) in [
        (json!({"AdvertiseAddr": "0.0.0.0"}), &here, advertise.to_owned()),
        (json!({"AdvertiseAddr": "nope:1"}), &here, advertise.to_owned()),
        (json!({"AdvertiseAddr": "192.0.2.1:x"}), &here, advertise.to_owned()),
        (json!({"DataPathAddr": "0.0.0.0"}), &here, data_path.to_owned()),
        (json!({"DataPathAddr": "192.0.2.1:2000"}), &here, data_path.to_owned()),
        (json!({}), &crowded, format!("{several} on interface eth0 (192.0.2.1 and 192.0.2.2)")),
        (
            json!({}),
            &two,
            format!("{several} on different interfaces (192.0.2.1 on eth0 and 198.51.100.1 on eth1)"),
        ),
        (
            json!({}),
            &vec![loopback()],
            "InvalidArgument: could not find the system's IP address".to_owned(),
        ),
        (
            json!({"ListenAddr": "eth0:1"}),
            &crowded,
            "InvalidArgument: interface eth0 has more than one IPv4 address (192.0.2.1 and 192.0.2.2)".to_owned(),
        ),
        (
            json!({"AdvertiseAddr": "eth0"}),
            &six,
            "InvalidArgument: interface eth0 has more than one IPv6 address (fd00::1 and fd00::2)".to_owned(),
        ),
        (
            json!({"AdvertiseAddr": "none"}),
            &six,
            "InvalidArgument: interface none has no usable IPv4 or IPv6 address".to_owned(),
        ),
        (
            json!({"AdvertiseAddr": "203.0.113.9"}),
            &two,
            "InvalidArgument: must specify a listening address because the address to advertise is not recognized as a system address, and a system's IP address to use could not be uniquely identified".to_owned(),
        ),
    ] {
        assert_eq!(refusal(patch.clone(), interfaces), text, "{patch}");
    }
    let fault = check_init(&request(json!({})), &here, "0.0.0.0").unwrap_err();
    assert_eq!(
        said(&fault),
        "InvalidArgument: default advertise address must be a non-zero IP address or network interface (without a port number)"
    );
}

#[test]
fn addresses_are_chosen_as_docker_chooses_them() {
    let managed = Interface {
        managed: true,
        ..interface("docker0", &["172.17.0.1"])
    };
    let down = Interface {
        up: false,
        ..interface("eth9", &["198.51.100.9"])
    };
    let mut here = plain();
    here.extend([managed, down, interface("v6", &["fe80::2", "169.254.1.1"])]);
    let chosen = |listen: &str, advertise: &str, default: &str| {
        let request = request(json!({"ListenAddr": listen, "AdvertiseAddr": advertise}));
        let found = check_init(&request, &here, default).unwrap();
        [
            found.listen.to_string(),
            found.advertise.to_string(),
            found.local.to_string(),
        ]
    };
    for (listen, advertise, default, expected) in [
        (
            "0.0.0.0:2377",
            "",
            "",
            ["0.0.0.0:2377", "192.0.2.1:2377", "192.0.2.1"],
        ),
        (
            "0.0.0.0",
            "",
            "",
            ["0.0.0.0:2377", "192.0.2.1:2377", "192.0.2.1"],
        ),
        (
            ":4000",
            "",
            "",
            ["0.0.0.0:4000", "192.0.2.1:4000", "192.0.2.1"],
        ),
        (
            "eth0",
            "",
            "",
            ["192.0.2.1:2377", "192.0.2.1:2377", "192.0.2.1"],
        ),
        (
            "eth0:",
            "",
            "",
            ["192.0.2.1:2377", "192.0.2.1:2377", "192.0.2.1"],
        ),
        (
            "[::]:2377",
            "[fd00::1]:99",
            "",
            ["[::]:2377", "[fd00::1]:99", "fd00::1"],
        ),
        (
            "[fd00::1]",
            "docker0",
            "",
            ["[fd00::1]:2377", "172.17.0.1:2377", "fd00::1"],
        ),
        (
            "tcp://192.0.2.1:5",
            "203.0.113.9",
            "",
            ["192.0.2.1:5", "203.0.113.9:5", "192.0.2.1"],
        ),
        (
            "0.0.0.0",
            "203.0.113.9:7",
            "",
            ["0.0.0.0:2377", "203.0.113.9:7", "192.0.2.1"],
        ),
        (
            "0.0.0.0",
            "",
            "docker0",
            ["0.0.0.0:2377", "172.17.0.1:2377", "172.17.0.1"],
        ),
        (
            "fd00::1",
            "",
            "",
            ["[fd00::1]:2377", "192.0.2.1:2377", "fd00::1"],
        ),
        (
            "127.0.0.1:1",
            "127.0.0.1",
            "",
            ["127.0.0.1:1", "127.0.0.1:1", "127.0.0.1"],
        ),
    ] {
        assert_eq!(
            chosen(listen, advertise, default),
            expected,
            "{listen} {advertise}"
        );
    }
}

#[test]
fn a_data_path_address_is_chosen_like_the_others() {
    let request = request(json!({"DataPathAddr": "eth0"}));
    let found = crate::control::swarm::choose_addresses(&request, &plain(), "").unwrap();
    assert_eq!(found.data_path, Some(IpAddr::from([192, 0, 2, 1])));
}
