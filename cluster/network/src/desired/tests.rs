use super::*;
use std::collections::BTreeMap;
use swarmrs_types::endpoint::Segment;
use swarmrs_types::spec::{PortConfig, Protocol};

fn id(kind: &str, number: usize) -> RawId {
    let digits = 25 - kind.len();
    format!("{kind}{number:0>digits$}").parse().unwrap()
}

fn network(number: usize) -> NetworkId {
    NetworkId(id("network", number))
}

fn service_id(number: usize) -> ServiceId {
    ServiceId(id("service", number))
}

fn node(number: usize) -> NodeId {
    NodeId(id("node", number))
}

fn task(number: usize) -> RawId {
    id("task", number)
}

fn endpoint(on: usize, number: usize, addresses: &[&str]) -> Endpoint {
    Endpoint {
        network: network(on),
        owner: task(number),
        node: node(1),
        name: format!("web.{number}"),
        aliases: vec![],
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        service: Some(service_id(1)),
        ready: true,
        gateway: false,
        resolvers: Vec::new(),
        container: None,
    }
}

fn balanced(on: usize, vip: &str) -> Balanced {
    Balanced {
        network: network(on),
        service: service_id(1),
        name: "web".to_owned(),
        aliases: vec![],
        vip: (!vip.is_empty()).then(|| vip.parse().unwrap()),
        ports: vec![],
    }
}

fn overlay(number: usize) -> Overlay {
    Overlay {
        id: network(number),
        name: format!("net{number}"),
        segments: vec![Segment {
            subnet: "10.0.1.0/24".parse().unwrap(),
            gateway: "10.0.1.1".parse().unwrap(),
            vni: 4097,
        }],
        internal: false,
        ingress: false,
        attachable: false,
        mtu: 0,
        encrypted: false,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
    }
}

fn put(facts: &[Fact]) -> FactDiff {
    FactDiff {
        put: facts.to_vec(),
        remove: vec![],
    }
}

fn told(facts: &[Fact]) -> Desired {
    let mut desired = Desired::default();
    desired.take(&put(facts), true);
    desired
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn backends_are_the_ready_endpoints_in_the_family_of_the_virtual_address() {
    let mut waiting = endpoint(1, 3, &["10.0.1.5/24"]);
    waiting.ready = false;
    let mut other = endpoint(1, 4, &["10.0.1.6/24"]);
    other.service = Some(service_id(2));
    let facts = [
        Fact::Endpoint(endpoint(1, 2, &["10.0.1.4/24", "fd00::4/64"])),
        Fact::Endpoint(endpoint(1, 1, &["10.0.1.3/24", "fd00::3/64"])),
        Fact::Endpoint(waiting),
        Fact::Endpoint(other),
        Fact::Endpoint(endpoint(2, 9, &["10.0.2.9/24"])),
    ];
    for (vip, expected) in [
        ("10.0.1.2", ["10.0.1.3", "10.0.1.4"]),
        ("fd00::2", ["fd00::3", "fd00::4"]),
        ("", ["10.0.1.3", "10.0.1.4"]),
    ] {
        let mut desired = told(&facts);
        desired.take(&put(&[Fact::Service(balanced(1, vip))]), false);
        let service = desired.service(network(1), service_id(1)).unwrap();
        assert_eq!(service.backends, addresses(&expected), "{vip}");
    }
    assert_eq!(told(&facts).service(network(1), service_id(1)), None);
}

#[test]
fn only_ports_that_every_node_carries_and_that_have_a_number_are_published() {
    let port = |protocol: Option<Protocol>, published, mode| PortConfig {
        name: String::new(),
        protocol,
        target_port: 80,
        published_port: published,
        publish_mode: mode,
    };
    let mut service = balanced(1, "10.0.1.2");
    service.ports = vec![
        port(None, 8080, None),
        port(Some(Protocol::Udp), 8081, Some(PublishMode::Ingress)),
        port(Some(Protocol::Tcp), 8082, Some(PublishMode::Host)),
        port(Some(Protocol::Tcp), 0, Some(PublishMode::Ingress)),
        port(Some(Protocol::Tcp), 70_000, Some(PublishMode::Ingress)),
        port(
            Some(Protocol::from("icmp")),
            8083,
            Some(PublishMode::Ingress),
        ),
    ];
    let desired = told(&[Fact::Service(service)]);
    let service = desired.service(network(1), service_id(1)).unwrap();
    let expected = [((Transport::Tcp, 8080), 80), ((Transport::Udp, 8081), 80)];
    assert_eq!(service.ports, expected.into_iter().collect());
}

#[test]
fn an_endpoint_touches_its_service_before_and_after() {
    let mut desired = told(&[Fact::Endpoint(endpoint(1, 1, &["10.0.1.3/24"]))]);
    let mut moved = endpoint(1, 1, &["10.0.1.3/24"]);
    moved.service = Some(service_id(2));
    let touched = desired.take(&put(&[Fact::Endpoint(moved)]), false);
    let services = [1, 2].map(|number| (network(1), service_id(number)));
    assert_eq!(touched.services, services.into_iter().collect());
    assert_eq!(
        touched.endpoints,
        [(network(1), task(1))].into_iter().collect()
    );
}

#[test]
fn a_node_touches_the_endpoints_it_has() {
    let mut elsewhere = endpoint(1, 2, &["10.0.1.4/24"]);
    elsewhere.node = node(2);
    let mut desired = told(&[
        Fact::Endpoint(endpoint(1, 1, &["10.0.1.3/24"])),
        Fact::Endpoint(elsewhere),
    ]);
    let peer = Peer {
        node: node(2),
        index: 2,
        data_path: "10.9.9.2".parse().unwrap(),
        ingress: None,
    };
    let touched = desired.take(&put(&[Fact::Peer(peer.clone())]), false);
    assert_eq!(touched.peers, [node(2)].into_iter().collect());
    assert_eq!(
        touched.endpoints,
        [(network(1), task(2))].into_iter().collect()
    );
    assert_eq!(desired.peers().collect::<Vec<_>>(), [&peer]);
}

#[test]
fn what_was_told_already_touches_nothing() {
    let facts = [
        Fact::Network(overlay(1)),
        Fact::Service(balanced(1, "10.0.1.2")),
        Fact::Endpoint(endpoint(1, 1, &["10.0.1.3/24"])),
    ];
    let mut desired = told(&facts);
    assert_eq!(desired.take(&put(&facts), false), Touched::default());
    assert_eq!(desired.take(&put(&facts), true), Touched::default());
}

#[test]
fn complete_facts_take_back_what_is_not_among_them() {
    let kept = Fact::Network(overlay(1));
    let mut desired = told(&[kept.clone(), Fact::Network(overlay(2))]);
    let touched = desired.take(&put(&[kept]), true);
    assert_eq!(touched.networks, [network(2)].into_iter().collect());
    assert_eq!(desired.network(network(2)), None);
    assert!(desired.network(network(1)).is_some());
}

#[test]
fn an_address_finds_its_endpoint_as_long_as_it_has_it() {
    let find = |desired: &Desired, address: &str| {
        let found = desired.at(network(1), address.parse().unwrap());
        found.map(|endpoint| endpoint.owner)
    };
    let mut desired = told(&[Fact::Endpoint(endpoint(1, 1, &["10.0.1.3/24"]))]);
    assert_eq!(find(&desired, "10.0.1.3"), Some(task(1)));
    // The next one has the address before the first is taken back.
    let next = Fact::Endpoint(endpoint(1, 2, &["10.0.1.3/24"]));
    desired.take(&put(&[next]), false);
    let first = FactKey::Endpoint(network(1), task(1));
    let gone = FactDiff {
        put: vec![],
        remove: vec![first],
    };
    desired.take(&gone, false);
    assert_eq!(find(&desired, "10.0.1.3"), Some(task(2)));
    assert_eq!(find(&desired, "10.0.1.4"), None);
}

#[test]
fn all_endpoints_of_an_owner_are_found() {
    let desired = told(&[
        Fact::Endpoint(endpoint(2, 1, &["10.0.2.3/24"])),
        Fact::Endpoint(endpoint(1, 1, &["10.0.1.3/24"])),
        Fact::Endpoint(endpoint(1, 2, &["10.0.1.4/24"])),
    ]);
    let networks: Vec<_> = desired
        .endpoints_of(task(1))
        .map(|one| one.network)
        .collect();
    assert_eq!(networks, [network(1), network(2)]);
}
