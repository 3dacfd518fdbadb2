//! What is given out, in which order, and what is said when there is no more.

use super::*;
use crate::change::{Object, Rejected};
use crate::control::network::create;
use crate::orchestrator::tests::{
    Counter, at, cluster, id, node, put_node, put_service, state, web,
};
use crate::plan::Draft;
use std::sync::Arc;
use swarmrs_types::NetworkId;
use swarmrs_types::default::{FIRST_DRAWN_PORT, LAST_DRAWN_PORT};
use swarmrs_types::object::Network;
use swarmrs_types::spec::{
    EndpointSpec, Ipam, IpamConfig, NetworkSpec, PortConfig, Protocol, PublishMode,
};

/// A swarm with these pools, the first free subnets of that size, and a node that routes this.
fn swarm(pools: &[&str], size: u32, routes: &[&str]) -> State {
    let mut cluster = cluster();
    cluster.default_addr_pool = pools.iter().map(|pool| (*pool).to_owned()).collect();
    cluster.subnet_size = size;
    let mut host = node("n1");
    host.description.hostname = "host1".to_owned();
    host.routes = routes.iter().map(|route| route.parse().unwrap()).collect();
    state(vec![Object::Cluster(Arc::new(cluster)), put_node(host)])
}

fn asked(name: &str, subnets: &[&str]) -> NetworkSpec {
    let config = |subnet: &&str| IpamConfig {
        subnet: (*subnet).to_owned(),
        ..IpamConfig::default()
    };
    let config: Vec<_> = subnets.iter().map(config).collect();
    NetworkSpec {
        name: name.to_owned(),
        ipam: (!config.is_empty()).then(|| Ipam {
            config,
            ..Ipam::default()
        }),
        ..NetworkSpec::default()
    }
}

/// An id is drawn and not used: what is made next differs from what others made.
fn skip(ids: &mut Counter) {
    let _ = crate::Ids::next(ids);
}

fn apply(state: &mut State, plan: crate::Plan) -> Result<(), Rejected> {
    let command = plan.into_command(at(1), at(1).shown());
    state.apply(state.applied() + 1, &command).map(|_| ())
}

/// Makes a network; its segments as one line, or what was said.
fn made(state: &mut State, spec: NetworkSpec) -> String {
    let mut ids = Counter::default();
    // Ids that differ from those of other networks.
    (0..state.applied()).for_each(|_| skip(&mut ids));
    match create(state, spec, at(1), &mut ids) {
        Ok((id, plan)) => {
            apply(state, plan).unwrap();
            let network = &state.networks().get(&id).unwrap();
            let segments = network.segments.iter().map(|own| {
                let segment = own.segment;
                format!("{} {} {}", segment.subnet, segment.gateway, segment.vni)
            });
            segments.collect::<Vec<_>>().join(", ")
        }
        Err(fault) => format!("{:?}: {}", fault.code, fault.text),
    }
}

#[test]
fn subnets_come_in_order_and_a_freed_one_comes_last() {
    let mut state = swarm(&["10.1.0.0/22", "10.9.0.0/24"], 24, &[]);
    for subnet in ["10.1.0.0/24 10.1.0.1 4096", "10.1.1.0/24 10.1.1.1 4097"] {
        assert_eq!(
            made(
                &mut state,
                asked(
                    subnet.split('/').next().unwrap().replace('.', "-").as_str(),
                    &[]
                )
            ),
            subnet
        );
    }
    let (_, plan) = crate::control::network::remove(&state, "10-1-0-0").unwrap();
    apply(&mut state, plan).unwrap();
    assert_eq!(
        made(&mut state, asked("c", &[])),
        "10.1.2.0/24 10.1.2.1 4098"
    );
    assert_eq!(
        made(&mut state, asked("d", &[])),
        "10.1.3.0/24 10.1.3.1 4099"
    );
    assert_eq!(
        made(&mut state, asked("e", &[])),
        "10.9.0.0/24 10.9.0.1 4100"
    );
    assert_eq!(
        made(&mut state, asked("f", &[])),
        "10.1.0.0/24 10.1.0.1 4101"
    );
    assert_eq!(
        made(&mut state, asked("g", &[])),
        "FailedPrecondition: could not find an available, non-overlapping IPv4 address pool among the defaults to assign \
         to the network: none of the 5 subnets of /24 in 10.1.0.0/22, 10.9.0.0/24 is free (5 networks, 0 routes of nodes)"
    );
}

#[test]
fn a_pool_passes_over_what_nodes_route_and_networks_have() {
    let routes = [
        "10.1.0.128/25",
        "10.1.2.0/23",
        "10.0.0.0/8",
        "0.0.0.0/1",
        "172.16.0.0/12",
    ];
    let mut state = swarm(&["10.1.0.0/16"], 24, &routes);
    assert_eq!(
        made(&mut state, asked("own", &["192.168.0.0/16"])),
        "192.168.0.0/16 192.168.0.1 4096"
    );
    assert_eq!(
        made(&mut state, asked("a", &[])),
        "10.1.1.0/24 10.1.1.1 4097"
    );
    assert_eq!(
        made(&mut state, asked("b", &[])),
        "10.1.4.0/24 10.1.4.1 4098"
    );
}

#[test]
fn without_pools_of_its_own_a_swarm_has_dockers() {
    let mut state = swarm(&[], 0, &[]);
    assert_eq!(
        made(&mut state, asked("a", &[])),
        "10.0.0.0/24 10.0.0.1 4096"
    );
    let mut small = swarm(&["10.7.0.0/16"], 29, &[]);
    assert_eq!(
        made(&mut small, asked("a", &[])),
        "10.7.0.0/29 10.7.0.1 4096"
    );
    assert_eq!(
        made(&mut small, asked("b", &[])),
        "10.7.0.8/29 10.7.0.9 4097"
    );
}

#[test]
fn a_subnet_that_is_asked_for_shares_nothing_with_another() {
    let mut state = swarm(&[], 0, &["10.77.0.0/24", "10.3.0.0/16"]);
    assert_eq!(
        made(&mut state, asked("a", &["10.5.0.0/24"])),
        "10.5.0.0/24 10.5.0.1 4096"
    );
    let rows = [
        (
            "10.5.0.0/24",
            "subnet 10.5.0.0/24 overlaps with subnet 10.5.0.0/24 of network a",
        ),
        (
            "10.5.0.128/25",
            "subnet 10.5.0.128/25 overlaps with subnet 10.5.0.0/24 of network a",
        ),
        (
            "10.4.0.0/14",
            "subnet 10.4.0.0/14 overlaps with subnet 10.5.0.0/24 of network a",
        ),
        (
            "10.77.0.64/26",
            "subnet 10.77.0.64/26 overlaps with route 10.77.0.0/24 of node host1",
        ),
        (
            "10.0.0.0/14",
            "subnet 10.0.0.0/14 overlaps with route 10.3.0.0/16 of node host1",
        ),
    ];
    for (subnet, why) in rows {
        let expected = format!("PermissionDenied: invalid network config: {why}");
        assert_eq!(
            made(&mut state, asked("b", &[subnet])),
            expected,
            "{subnet}"
        );
    }
    assert_eq!(
        made(&mut state, asked("b", &["10.6.0.0/24", "10.6.0.0/25"])),
        "PermissionDenied: invalid network config: subnet 10.6.0.0/25 overlaps with subnet 10.6.0.0/24 of the same network"
    );
    assert_eq!(
        made(&mut state, asked("b", &["10.5.1.0/24"])),
        "10.5.1.0/24 10.5.1.1 4097"
    );
}

#[test]
fn a_route_of_a_node_that_is_away_is_not_heeded() {
    let mut host = node("n1");
    host.routes = vec!["10.5.0.0/24".parse().unwrap()];
    host.status.state = swarmrs_types::object::NodeState::Down;
    let mut state = state(vec![put_node(host)]);
    assert_eq!(
        made(&mut state, asked("a", &["10.5.0.0/24"])),
        "10.5.0.0/24 10.5.0.1 4096"
    );
}

#[test]
fn a_network_has_several_subnets_and_both_families() {
    let mut state = swarm(&[], 0, &[]);
    let mut spec = asked("a", &["fd00:1::/64", "10.5.0.0/24", "10.6.0.0/24"]);
    assert_eq!(
        made(
            &mut state,
            NetworkSpec {
                name: "four".to_owned(),
                ..spec.clone()
            }
        ),
        "10.5.0.0/24 10.5.0.1 4096, 10.6.0.0/24 10.6.0.1 4097"
    );
    spec.enable_ipv6 = Some(true);
    spec.ipam.as_mut().unwrap().config.truncate(1);
    assert_eq!(
        made(&mut state, spec.clone()),
        "10.6.1.0/24 10.6.1.1 4098, fd00:1::/64 fd00:1::1 4098"
    );
    let members = |state: &State| {
        let network = state.network_named("a").unwrap();
        let given = address::member(state, network, at(1)).unwrap();
        given.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(members(&state), ["10.6.1.2/24", "fd00:1::2/64"]);
    let none = NetworkSpec {
        name: "b".to_owned(),
        ipam: None,
        ..spec
    };
    assert!(made(&mut state, none).starts_with("InvalidArgument: an IPv6 subnet has to be given"));
}

#[test]
fn vxlan_ids_are_those_asked_for_or_the_next() {
    let mut state = swarm(&[], 0, &[]);
    let with = |name: &str, list: &str| NetworkSpec {
        options: [(vni::VNI_LIST.to_owned(), list.to_owned())].into(),
        ..asked(name, &[])
    };
    assert_eq!(
        made(&mut state, with("a", "5000")),
        "10.0.0.0/24 10.0.0.1 5000"
    );
    assert_eq!(
        made(&mut state, asked("b", &[])),
        "10.0.1.0/24 10.0.1.1 5001"
    );
    let rows = [
        ("5001", "VXLAN id 5001 is in use by network b"),
        (
            "x",
            "invalid VXLAN id \"x\": a number from 1 to 16777215 is wanted",
        ),
        (
            "0",
            "invalid VXLAN id \"0\": a number from 1 to 16777215 is wanted",
        ),
        (
            "16777216",
            "invalid VXLAN id \"16777216\": a number from 1 to 16777215 is wanted",
        ),
        ("7,7", "VXLAN ids 7,7 are not distinct"),
    ];
    for (list, why) in rows {
        assert_eq!(
            made(&mut state, with("c", list)),
            format!("InvalidArgument: {why}")
        );
    }
    assert_eq!(
        made(&mut state, with("c", "16777215")),
        "10.0.2.0/24 10.0.2.1 16777215"
    );
    assert_eq!(
        made(&mut state, asked("d", &[])),
        "10.0.3.0/24 10.0.3.1 4096"
    );
}

/// A network of one subnet with these settings.
fn network(config: IpamConfig) -> (State, Arc<Network>) {
    let mut state = swarm(&[], 0, &[]);
    let mut spec = asked("a", &[]);
    spec.ipam = Some(Ipam {
        config: vec![config],
        ..Ipam::default()
    });
    made(&mut state, spec);
    let network = state.network_named("a").unwrap().clone();
    (state, network)
}

fn subnet(subnet: &str) -> IpamConfig {
    IpamConfig {
        subnet: subnet.to_owned(),
        ..IpamConfig::default()
    }
}

#[test]
fn addresses_stay_in_the_range_and_off_the_gateway() {
    let (state, own) = network(IpamConfig {
        ip_range: "10.5.0.128/25".to_owned(),
        gateway: "10.5.0.128".to_owned(),
        ..subnet("10.5.0.0/24")
    });
    let member = address::member(&state, &own, at(1)).unwrap();
    assert_eq!(member[0].to_string(), "10.5.0.129/24");
    let vip = address::of_service(&state, &own, at(1)).unwrap();
    assert_eq!(vip.to_string(), "10.5.0.254/24");
    let this = |text: &str| match address::this(&state, &own, text.parse().unwrap()) {
        Ok(address) => address.to_string(),
        Err(why) => why.to_string(),
    };
    assert_eq!(this("10.5.0.7"), "10.5.0.7/24");
    assert_eq!(this("10.5.0.128"), "Address already in use");
    assert_eq!(this("10.5.0.0"), "Address already in use");
    assert_eq!(this("10.5.0.255"), "Address already in use");
    assert_eq!(
        this("10.5.1.1"),
        "Requested address 10.5.1.1 is not in any subnet of network a"
    );
}

/// Gives an address to a lease of that name and writes it.
fn lease(state: &mut State, name: &str, address: ipnet::IpNet) -> Result<(), Rejected> {
    let lease = swarmrs_types::object::Attachment {
        id: id(name),
        meta: Default::default(),
        node: id("n1"),
        container: name.to_owned(),
        name: name.to_owned(),
        network: state.network_named("a").unwrap().id,
        addresses: vec![address],
        aliases: Vec::new(),
        gateway: false,
        resolvers: Vec::new(),
        active: true,
        unknown: Default::default(),
    };
    let base = state.clone();
    let mut draft = Draft::new(&base, at(1));
    draft.put_attachment(lease);
    apply(state, draft.finish())
}

fn free(state: &mut State, name: &str, now: swarmrs_types::ClusterTime) {
    let base = state.clone();
    let mut draft = Draft::new(&base, now);
    draft.remove(crate::Key::Attachment(id(name)));
    let command = draft.finish().into_command(now, now.shown());
    state.apply(state.applied() + 1, &command).unwrap();
}

#[test]
fn an_address_is_given_again_after_all_others_and_a_minute() {
    let (mut state, own) = network(subnet("10.5.0.0/29"));
    let next = |state: &State, secs| {
        address::member(state, &own, at(secs)).map(|all| all[0].addr().to_string())
    };
    for (name, expected) in [("a", "10.5.0.2"), ("b", "10.5.0.3"), ("c", "10.5.0.4")] {
        assert_eq!(next(&state, 1).unwrap(), expected);
        lease(&mut state, name, format!("{expected}/29").parse().unwrap()).unwrap();
    }
    free(&mut state, "a", at(100));
    assert_eq!(next(&state, 100).unwrap(), "10.5.0.5", "others first");
    lease(&mut state, "d", "10.5.0.5/29".parse().unwrap()).unwrap();
    lease(&mut state, "e", "10.5.0.6/29".parse().unwrap()).unwrap();
    let exhausted = next(&state, 159).unwrap_err();
    assert_eq!(exhausted.next, Some(at(160)));
    assert_eq!(
        exhausted.to_string(),
        "could not find an available IP on network a: of 5 addresses in 10.5.0.0/29 4 are in use and 1 were freed less than a minute ago"
    );
    assert_eq!(next(&state, 160).unwrap(), "10.5.0.2");
}

#[test]
fn services_count_down_and_meet_the_members() {
    let (mut state, own) = network(subnet("10.5.0.0/29"));
    let vip =
        |state: &State| address::of_service(state, &own, at(1)).map(|net| net.addr().to_string());
    assert_eq!(vip(&state).unwrap(), "10.5.0.6");
    for (name, last) in [("a", 6), ("b", 5), ("c", 4), ("d", 3)] {
        lease(
            &mut state,
            name,
            format!("10.5.0.{last}/29").parse().unwrap(),
        )
        .unwrap();
    }
    assert_eq!(vip(&state).unwrap(), "10.5.0.2");
    lease(&mut state, "e", "10.5.0.2/29".parse().unwrap()).unwrap();
    assert!(vip(&state).is_err());
}

#[test]
fn what_another_has_taken_meanwhile_is_refused_to_the_second() {
    let (mut state, own) = network(subnet("10.5.0.0/24"));
    let address = address::member(&state, &own, at(1)).unwrap()[0];
    lease(&mut state, "a", address).unwrap();
    assert_eq!(
        lease(&mut state, "b", address),
        Err(Rejected::Taken {
            what: "address 10.5.0.2".to_owned()
        })
    );
    let concurrent = |state: &State, name: &str| {
        let mut ids = Counter::default();
        (0..name.len()).for_each(|_| skip(&mut ids));
        create(state, asked(name, &[]), at(1), &mut ids).unwrap().1
    };
    let (first, second) = (concurrent(&state, "net"), concurrent(&state, "other"));
    apply(&mut state, first).unwrap();
    let rejected = apply(&mut state, second).unwrap_err();
    assert_eq!(rejected.to_string(), "subnet 10.5.1.0/24 is taken");
    let again = concurrent(&state, "other");
    apply(&mut state, again).unwrap();
}

fn port(target: u32, published: u32, mode: PublishMode) -> PortConfig {
    PortConfig {
        protocol: Some(Protocol::Tcp),
        target_port: target,
        published_port: published,
        publish_mode: Some(mode),
        ..PortConfig::default()
    }
}

fn published(
    state: &State,
    ports: Vec<PortConfig>,
    known: &[PortConfig],
) -> Result<Vec<u32>, String> {
    let spec = EndpointSpec {
        ports,
        ..EndpointSpec::default()
    };
    let found = port::ports(state, Some(&spec), Some(id("web")), known);
    let found = found.map_err(|fault| fault.text)?;
    Ok(found.iter().map(|port| port.published_port).collect())
}

/// A state in which `web` publishes these.
fn publishing(ports: Vec<PortConfig>) -> State {
    let mut service = web();
    service.id = id("other");
    service.name = "other".to_owned();
    service.endpoint.ports = ports;
    state(vec![put_service(service)])
}

#[test]
fn open_ports_are_drawn_in_order_beside_those_that_are_fixed() {
    use PublishMode::{Host, Ingress};
    let state = publishing(vec![port(1, 30_001, Ingress), port(2, 30_003, Host)]);
    let open = || port(80, 0, Ingress);
    let drawn = published(
        &state,
        vec![
            open(),
            port(81, 30_002, Ingress),
            port(82, 0, Host),
            port(83, 0, Ingress),
        ],
        &[],
    );
    assert_eq!(drawn.unwrap(), [30_004, 30_002, 0, 30_005]);
    let mut udp = open();
    udp.protocol = Some(Protocol::Udp);
    let known = [port(80, 31_000, Ingress)];
    assert_eq!(
        published(&state, vec![open()], &known).unwrap(),
        [31_000],
        "it stays"
    );
    assert_eq!(
        published(&state, vec![udp], &known).unwrap(),
        [30_002],
        "it is another"
    );
    assert_eq!(
        published(&state, vec![open(), port(9, 9, Ingress)], &known).unwrap(),
        [30_002, 9],
        "there are more"
    );
}

#[test]
fn when_all_ports_are_published_it_is_said_so() {
    let all =
        (FIRST_DRAWN_PORT..=LAST_DRAWN_PORT).map(|number| port(1, number, PublishMode::Ingress));
    let state = publishing(all.collect());
    assert_eq!(
        published(&state, vec![port(80, 0, PublishMode::Ingress)], &[]).unwrap_err(),
        "no tcp port is left for target port 80: all 2768 from 30000 to 32767 are published"
    );
}

#[test]
fn a_node_gets_the_lowest_free_number() {
    let mut first = node("n1");
    first.index = 1;
    let mut third = node("n3");
    third.index = 3;
    let state = state(vec![put_node(first), put_node(third)]);
    let mut new = node("n2");
    new.index = 0;
    node::give(&Draft::new(&state, at(1)), &mut new);
    assert_eq!((new.index, new.ingress), (2, None));
}

#[test]
fn a_network_of_an_engine_has_no_addresses() {
    let mut state = swarm(&[], 0, &[]);
    let spec = NetworkSpec {
        driver: "macvlan".to_owned(),
        scope: "swarm".to_owned(),
        ..asked("local", &[])
    };
    assert_eq!(made(&mut state, spec), "");
    let id: NetworkId = state.network_named("local").unwrap().id;
    assert_eq!(state.holders(id).count(), 0);
}

#[test]
fn a_swarm_of_a_release_without_networks_gets_its_ingress_network_once() {
    let mut state = swarm(&[], 0, &[]);
    let mut agenda = crate::Agenda::all(&state);
    let mut ids = Counter::default();
    let mut lead = |state: &mut State, agenda: &mut crate::Agenda| {
        while agenda.is_due(at(1)) {
            let plan = crate::leader::step(state, agenda, at(1), &mut ids);
            let command = plan.into_command(at(1), at(1).shown());
            for event in state.apply(state.applied() + 1, &command).unwrap() {
                agenda.note(state, &event);
            }
        }
    };
    lead(&mut state, &mut agenda);
    let ingress = state.ingress_network().unwrap().id;
    let own = |state: &State| state.nodes().get(&id("n1")).unwrap().ingress;
    assert_eq!(own(&state).unwrap().network, ingress);
    let (_, plan) = crate::control::network::remove(&state, "ingress").unwrap();
    apply(&mut state, plan).unwrap();
    let mut agenda = crate::Agenda::all(&state);
    lead(&mut state, &mut agenda);
    assert_eq!(state.ingress_network(), None);
    assert_eq!(own(&state), None);
    assert_eq!(state.network(ingress), None, "nothing is left of it");
}
