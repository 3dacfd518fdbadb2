//! Names as containers see them.

use super::*;
use std::collections::BTreeMap;
use swarmrs_types::endpoint::Segment;
use swarmrs_types::id::NodeId;

fn raw(kind: char, number: u8) -> RawId {
    format!("{kind}{number:024}").parse().unwrap()
}

fn net(number: u8) -> NetworkId {
    NetworkId(raw('n', number))
}

fn service_id(number: u8) -> ServiceId {
    ServiceId(raw('s', number))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(number: u8, name: &str) -> Overlay {
    Overlay {
        id: net(number),
        name: name.to_owned(),
        segments: vec![Segment {
            subnet: format!("10.0.{number}.0/24").parse().unwrap(),
            gateway: ip(&format!("10.0.{number}.1")),
            vni: 4096 + u32::from(number),
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

fn service(network: u8, number: u8, name: &str, vip: Option<&str>) -> Balanced {
    Balanced {
        network: net(network),
        service: service_id(number),
        name: name.to_owned(),
        aliases: Vec::new(),
        vip: vip.map(ip),
        ports: Vec::new(),
    }
}

fn endpoint(network: u8, number: u8, name: &str, service: Option<u8>) -> Endpoint {
    Endpoint {
        network: net(network),
        owner: raw('t', number),
        node: NodeId(raw('m', 1)),
        name: name.to_owned(),
        aliases: Vec::new(),
        addresses: vec![format!("10.0.{network}.{number}/24").parse().unwrap()],
        service: service.map(service_id),
        ready: true,
        gateway: false,
        resolvers: Vec::new(),
        container: None,
    }
}

/// Network 1 `front` with `web` (two tasks, one address) and `db` (one task, none); 2 `back` with `cache`; one container
/// on both.
fn zone() -> Zone {
    zone_of(&[
        Fact::Network(network(1, "front")),
        Fact::Network(network(2, "back")),
        Fact::Service(service(1, 1, "web", Some("10.0.1.100"))),
        Fact::Endpoint(endpoint(1, 10, "web.1.aaa", Some(1))),
        Fact::Endpoint(endpoint(1, 11, "web.2.bbb", Some(1))),
        Fact::Service(service(1, 2, "db", None)),
        Fact::Endpoint(endpoint(1, 20, "db.1.ccc", Some(2))),
        Fact::Service(service(2, 3, "cache", Some("10.0.2.100"))),
        Fact::Endpoint(endpoint(2, 30, "cache.1.ddd", Some(3))),
        Fact::Endpoint(endpoint(1, 40, "both", None)),
        Fact::Endpoint(endpoint(2, 40, "both", None)),
    ])
}

fn zone_of(facts: &[Fact]) -> Zone {
    let mut zone = Zone::default();
    for fact in facts {
        zone.put(fact);
    }
    zone
}

/// Who has `10.0.<network>.<number>`.
fn asker(network: u8, number: u8) -> Asker {
    Asker {
        network: net(network),
        address: ip(&format!("10.0.{network}.{number}")),
    }
}

fn addresses(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| ip(text)).collect())
}

#[test]
fn a_service_is_its_virtual_address_and_its_tasks_are_their_own() {
    let zone = zone();
    let from = asker(1, 20);
    assert_eq!(
        zone.answer(&from, "web", kind::A),
        addresses(&["10.0.1.100"])
    );
    let tasks = addresses(&["10.0.1.10", "10.0.1.11"]);
    assert_eq!(zone.answer(&from, "tasks.web", kind::A), tasks);
}

#[test]
fn a_service_without_a_virtual_address_is_its_tasks() {
    let zone = zone();
    let from = asker(1, 10);
    let tasks = addresses(&["10.0.1.20"]);
    assert_eq!(zone.answer(&from, "db", kind::A), tasks);
    assert_eq!(zone.answer(&from, "tasks.db", kind::A), tasks);
}

#[test]
fn a_task_is_found_by_its_containers_name_while_it_is_ready() {
    let mut zone = zone();
    let from = asker(1, 20);
    let found = addresses(&["10.0.1.10"]);
    assert_eq!(zone.answer(&from, "web.1.aaa", kind::A), found);
    let mut stopping = endpoint(1, 10, "web.1.aaa", Some(1));
    stopping.ready = false;
    zone.put(&Fact::Endpoint(stopping));
    assert_eq!(zone.answer(&from, "web.1.aaa", kind::A), Answer::Nothing);
    let left = addresses(&["10.0.1.11"]);
    assert_eq!(zone.answer(&from, "tasks.web", kind::A), left);
}

#[test]
fn a_service_none_of_whose_tasks_is_ready_exists_all_the_same() {
    let mut zone = zone();
    let from = asker(1, 10);
    zone.remove(&FactKey::Endpoint(net(1), raw('t', 20)));
    assert_eq!(zone.answer(&from, "db", kind::A), Answer::Nothing);
    assert_eq!(zone.answer(&from, "tasks.db", kind::A), Answer::Nothing);
    zone.remove(&FactKey::Service(net(1), service_id(2)));
    assert_eq!(zone.answer(&from, "db", kind::A), Answer::NoSuchName);
}

#[test]
fn names_of_a_network_are_seen_only_on_it() {
    let zone = zone();
    assert_eq!(
        zone.answer(&asker(1, 10), "cache", kind::A),
        Answer::NoSuchName
    );
    assert_eq!(
        zone.answer(&asker(2, 30), "web", kind::A),
        Answer::NoSuchName
    );
    assert_eq!(
        zone.answer(&asker(2, 30), "web.front", kind::A),
        Answer::Elsewhere
    );
}

#[test]
fn a_container_on_two_networks_sees_both_whichever_it_asks_on() {
    let zone = zone();
    for from in [asker(1, 40), asker(2, 40)] {
        assert_eq!(
            zone.answer(&from, "web", kind::A),
            addresses(&["10.0.1.100"])
        );
        assert_eq!(
            zone.answer(&from, "cache", kind::A),
            addresses(&["10.0.2.100"])
        );
    }
}

#[test]
fn a_users_container_sees_all_its_networks_though_it_is_another_owner_on_each() {
    let on = |network, number| Endpoint {
        container: Some("c1".to_owned()),
        ..endpoint(network, number, "visitor", None)
    };
    let mut zone = zone();
    for (network, number) in [(1, 50), (2, 51)] {
        zone.put(&Fact::Endpoint(on(network, number)));
    }
    let finds = |zone: &Zone, name| zone.answer(&asker(1, 50), name, kind::A);
    assert_eq!(finds(&zone, "web"), addresses(&["10.0.1.100"]));
    assert_eq!(finds(&zone, "cache"), addresses(&["10.0.2.100"]));
    zone.remove(&Fact::Endpoint(on(2, 51)).key());
    assert_eq!(finds(&zone, "cache"), Answer::NoSuchName);
}

#[test]
fn of_two_networks_the_first_by_name_answers_and_the_other_when_it_is_named() {
    let mut zone = zone();
    zone.put(&Fact::Service(service(2, 9, "web", Some("10.0.2.101"))));
    let from = asker(1, 40);
    assert_eq!(
        zone.answer(&from, "web", kind::A),
        addresses(&["10.0.2.101"]),
        "back"
    );
    assert_eq!(
        zone.answer(&from, "web.front", kind::A),
        addresses(&["10.0.1.100"])
    );
    assert_eq!(
        zone.answer(&from, "web.back", kind::A),
        addresses(&["10.0.2.101"])
    );
    let tasks = addresses(&["10.0.1.10", "10.0.1.11"]);
    assert_eq!(zone.answer(&from, "tasks.web.front", kind::A), tasks);
    assert_eq!(
        zone.answer(&from, "web.1.aaa.front", kind::A),
        addresses(&["10.0.1.10"])
    );
}

#[test]
fn a_network_may_have_dots_in_its_name() {
    let mut zone = zone();
    zone.put(&Fact::Network(network(1, "my.front")));
    let found = zone.answer(&asker(1, 10), "web.my.front", kind::A);
    assert_eq!(found, addresses(&["10.0.1.100"]));
}

#[test]
fn names_do_not_differ_by_case() {
    let mut zone = zone();
    zone.put(&Fact::Network(network(1, "Front")));
    zone.put(&Fact::Service(service(1, 5, "API", Some("10.0.1.105"))));
    let from = asker(1, 10);
    assert_eq!(
        zone.answer(&from, "api", kind::A),
        addresses(&["10.0.1.105"])
    );
    assert_eq!(
        zone.answer(&from, "api.front", kind::A),
        addresses(&["10.0.1.105"])
    );
    zone.remove(&FactKey::Service(net(1), service_id(5)));
    assert_eq!(zone.answer(&from, "api", kind::A), Answer::NoSuchName);
}

#[test]
fn an_alias_is_as_good_as_a_name_and_may_be_shared() {
    let mut zone = zone();
    let from = asker(1, 10);
    for (number, vip) in [(6, "10.0.1.106"), (7, "10.0.1.107")] {
        let mut shared = service(1, number, &format!("blue{number}"), Some(vip));
        shared.aliases = vec!["api".to_owned()];
        zone.put(&Fact::Service(shared));
    }
    let both = addresses(&["10.0.1.106", "10.0.1.107"]);
    assert_eq!(zone.answer(&from, "api", kind::A), both);
    let mut container = endpoint(1, 50, "one", None);
    container.aliases = vec!["redis".to_owned(), "0123456789ab".to_owned()];
    zone.put(&Fact::Endpoint(container));
    for name in ["one", "redis", "0123456789ab"] {
        assert_eq!(
            zone.answer(&from, name, kind::A),
            addresses(&["10.0.1.50"]),
            "{name}"
        );
    }
    assert_eq!(
        zone.answer(&from, "tasks.redis", kind::A),
        Answer::NoSuchName
    );
    zone.remove(&FactKey::Service(net(1), service_id(6)));
    assert_eq!(
        zone.answer(&from, "api", kind::A),
        addresses(&["10.0.1.107"])
    );
}

#[test]
fn a_newer_fact_replaces_the_older_one_whole() {
    let mut zone = zone();
    let from = asker(1, 10);
    zone.put(&Fact::Service(service(1, 1, "shop", Some("10.0.1.101"))));
    assert_eq!(zone.answer(&from, "web", kind::A), Answer::NoSuchName);
    assert_eq!(
        zone.answer(&from, "shop", kind::A),
        addresses(&["10.0.1.101"])
    );
    let tasks = addresses(&["10.0.1.10", "10.0.1.11"]);
    assert_eq!(zone.answer(&from, "tasks.shop", kind::A), tasks);
    let old = zone.answer(&from, "100.1.0.10.in-addr.arpa", kind::PTR);
    assert_eq!(old, Answer::NoSuchName);
}

#[test]
fn other_kinds_of_a_known_name_are_empty_and_not_unknown() {
    let zone = zone();
    let from = asker(1, 10);
    for kind in [kind::AAAA, kind::PTR, 15, 16, 33] {
        assert_eq!(zone.answer(&from, "web", kind), Answer::Nothing, "{kind}");
    }
    assert_eq!(
        zone.answer(&from, "web", kind::ANY),
        addresses(&["10.0.1.100"])
    );
}

#[test]
fn both_families_are_answered_each_by_its_own_kind() {
    let mut zone = zone();
    let mut dual = endpoint(1, 60, "dual", None);
    dual.addresses.push("fd00::60/64".parse().unwrap());
    zone.put(&Fact::Endpoint(dual));
    let from = asker(1, 10);
    assert_eq!(
        zone.answer(&from, "dual", kind::A),
        addresses(&["10.0.1.60"])
    );
    assert_eq!(
        zone.answer(&from, "dual", kind::AAAA),
        addresses(&["fd00::60"])
    );
    let name = "0.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
    let called = Answer::Pointer("dual.front".to_owned());
    assert_eq!(zone.answer(&from, name, kind::PTR), called);
}

#[test]
fn an_address_is_called_by_its_container_or_service_and_its_network() {
    let zone = zone();
    let from = asker(1, 20);
    let called = |name: &str| zone.answer(&from, name, kind::PTR);
    let task = Answer::Pointer("web.1.aaa.front".to_owned());
    assert_eq!(called("10.1.0.10.in-addr.arpa"), task);
    let service = Answer::Pointer("web.front".to_owned());
    assert_eq!(called("100.1.0.10.in-addr.arpa"), service);
    assert_eq!(
        called("99.1.0.10.in-addr.arpa"),
        Answer::NoSuchName,
        "ours, and nobody's"
    );
    assert_eq!(
        called("30.2.0.10.in-addr.arpa"),
        Answer::Elsewhere,
        "another network's"
    );
    assert_eq!(called("8.8.8.8.in-addr.arpa"), Answer::Elsewhere);
    for odd in [
        "1.0.10.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "300.1.0.10.in-addr.arpa",
        "f.ip6.arpa",
    ] {
        assert_eq!(called(odd), Answer::Elsewhere, "{odd}");
    }
}

#[test]
fn what_is_not_ours_is_asked_elsewhere_unless_no_network_leads_out() {
    let mut zone = zone();
    let from = asker(1, 10);
    assert_eq!(
        zone.answer(&from, "example.com", kind::A),
        Answer::Elsewhere
    );
    assert_eq!(zone.answer(&from, "example", kind::A), Answer::NoSuchName);
    assert_eq!(
        zone.answer(&from, "tasks.example", kind::A),
        Answer::NoSuchName
    );
    let mut internal = network(1, "front");
    internal.internal = true;
    zone.put(&Fact::Network(internal));
    assert_eq!(
        zone.answer(&from, "example.com", kind::A),
        Answer::NoSuchName
    );
    assert_eq!(
        zone.answer(&asker(1, 40), "example.com", kind::A),
        Answer::Elsewhere,
        "on another too"
    );
    assert_eq!(
        zone.answer(&from, "web", kind::A),
        addresses(&["10.0.1.100"])
    );
}

#[test]
fn the_ingress_network_has_no_names_but_its_members_see_their_others() {
    let mut zone = zone();
    let mut ingress = network(3, "ingress");
    ingress.ingress = true;
    zone.put(&Fact::Network(ingress));
    zone.put(&Fact::Service(service(3, 1, "web", Some("10.0.3.100"))));
    zone.put(&Fact::Endpoint(endpoint(3, 10, "web.1.aaa", Some(1))));
    let from = asker(3, 10);
    assert_eq!(
        zone.answer(&from, "web", kind::A),
        addresses(&["10.0.1.100"])
    );
    assert_eq!(zone.answer(&from, "db", kind::A), addresses(&["10.0.1.20"]));
    assert_eq!(
        zone.answer(&from, "web.ingress", kind::A),
        Answer::Elsewhere
    );
    let only = asker(3, 99);
    assert_eq!(zone.answer(&only, "web", kind::A), Answer::NoSuchName);
    assert_eq!(
        zone.answer(&only, "example.com", kind::A),
        Answer::Elsewhere
    );
}

#[test]
fn whoever_nobody_knows_sees_the_network_it_asks_on() {
    let zone = zone();
    let stranger = asker(1, 222);
    assert_eq!(
        zone.answer(&stranger, "web", kind::A),
        addresses(&["10.0.1.100"])
    );
    assert_eq!(zone.answer(&stranger, "cache", kind::A), Answer::NoSuchName);
    let nowhere = asker(9, 1);
    assert_eq!(zone.answer(&nowhere, "web", kind::A), Answer::NoSuchName);
    assert_eq!(
        zone.answer(&nowhere, "example.com", kind::A),
        Answer::Elsewhere
    );
}

#[test]
fn an_address_that_went_to_another_stays_its_own() {
    let mut zone = zone();
    let mut heir = endpoint(1, 70, "heir", None);
    heir.addresses = vec!["10.0.1.10/24".parse().unwrap()];
    zone.put(&Fact::Endpoint(heir));
    zone.remove(&FactKey::Endpoint(net(1), raw('t', 10)));
    let called = zone.answer(&asker(1, 20), "10.1.0.10.in-addr.arpa", kind::PTR);
    assert_eq!(called, Answer::Pointer("heir.front".to_owned()));
}

#[test]
fn nothing_is_left_of_what_was_removed() {
    let mut zone = zone();
    let facts = [
        FactKey::Network(net(1)),
        FactKey::Network(net(2)),
        FactKey::Service(net(1), service_id(1)),
        FactKey::Service(net(1), service_id(2)),
        FactKey::Service(net(2), service_id(3)),
    ];
    let endpoints = [(1, 10), (1, 11), (1, 20), (2, 30), (1, 40), (2, 40)];
    let endpoints =
        endpoints.map(|(network, owner)| FactKey::Endpoint(net(network), raw('t', owner)));
    for key in facts.iter().chain(&endpoints) {
        zone.remove(key);
    }
    assert!(zone.networks.is_empty() && zone.memberships.is_empty());
}

#[test]
fn a_copy_stays_as_it_was() {
    let mut zone = zone();
    let copy = zone.clone();
    zone.remove(&FactKey::Service(net(1), service_id(1)));
    let from = asker(1, 20);
    assert_eq!(
        copy.answer(&from, "web", kind::A),
        addresses(&["10.0.1.100"])
    );
    assert_eq!(zone.answer(&from, "web", kind::A), Answer::NoSuchName);
}

#[test]
fn the_servers_that_a_user_named_are_the_askers_own() {
    let mut named = endpoint(1, 20, "own", None);
    named.resolvers = vec![ip("192.0.2.1"), ip("fd00::1")];
    let zone = zone_of(&[
        Fact::Network(network(1, "front")),
        Fact::Endpoint(named.clone()),
        Fact::Endpoint(endpoint(1, 21, "other", None)),
    ]);
    for (address, expected) in [
        ("10.0.1.20", named.resolvers.clone()),
        ("10.0.1.21", Vec::new()),
        ("10.0.1.99", Vec::new()),
    ] {
        let asker = Asker {
            network: net(1),
            address: ip(address),
        };
        assert_eq!(zone.resolvers(&asker), expected, "{address}");
    }
}
