//! Networks: what may be made and removed, in Docker's words, and who may be on them.

use super::*;
use crate::control::network::attachment::{AttachRequest, Sighting, attach, detach, follow};
use crate::control::network::{create, prunable, remove, waits_for_departed};
use crate::control::service;
use crate::invariant::violations;
use crate::state::Holder;
use swarmrs_types::NetworkId;
use swarmrs_types::object::{Attachment, PREDEFINED_LABEL};
use swarmrs_types::spec::NetworkSpec;

fn network(patch: Value) -> NetworkSpec {
    let mut whole = json!({"Name": "app"});
    lay(&mut whole, patch);
    read(&whole)
}

/// A swarm with its ingress network, `host`, and the node 9.
fn swarm() -> State {
    let mut state = State::default();
    put(&mut state, Object::Node(a_node(9, Role::Manager).into()));
    let host = swarmrs_types::object::Network {
        id: NetworkId(raw(1)),
        meta: Meta::default(),
        spec: NetworkSpec {
            labels: [(PREDEFINED_LABEL.to_owned(), "true".to_owned())].into(),
            ..network(json!({"Name": "host", "Driver": "host"}))
        },
        segments: Vec::new(),
        unknown: Default::default(),
    };
    put(&mut state, Object::Network(host.into()));
    make(&mut state, 2, json!({"Name": "ingress", "Ingress": true}));
    state
}

/// Makes a network with the id of that number.
fn make(state: &mut State, number: u64, patch: Value) -> NetworkId {
    let (id, plan) = create(state, network(patch), NOW, &mut Counter(number - 1)).unwrap();
    apply(state, plan);
    assert_eq!(violations(state), Vec::<String>::new());
    id
}

fn refusal(state: &State, patch: Value) -> String {
    let made = create(state, network(patch), NOW, &mut Counter(100));
    made.map_or_else(|fault| said(&fault), |_| "accepted".to_owned())
}

#[test]
fn what_cannot_be_a_network_is_refused_in_dockers_words() {
    let mut state = swarm();
    make(&mut state, 3, json!({"Name": "taken"}));
    let label = json!({PREDEFINED_LABEL: "true"});
    let own = json!({"Config": [{"Subnet": "10.5.0.0/24"}]});
    let rows = [
        (
            json!({"Name": "taken"}),
            "AlreadyExists: network with name taken already exists",
        ),
        (
            json!({"Name": "host"}),
            "PermissionDenied: operation is not permitted on predefined host network ",
        ),
        (
            json!({"Name": "default"}),
            "PermissionDenied: operation is not permitted on predefined default network ",
        ),
        (
            json!({"Name": " "}),
            "InvalidArgument: invalid name: name is empty",
        ),
        (
            json!({"Name": ""}),
            "InvalidArgument: invalid name: name is empty",
        ),
        (
            json!({"ConfigOnly": true, "Attachable": true}),
            "PermissionDenied: configuration network can only contain network specific fields. Network operator fields \
             like [ ingress | internal | attachable | scope ] are not supported.",
        ),
        (
            json!({"ConfigFrom": {"Network": "c"}, "IPAM": own}),
            "PermissionDenied: user-specified configurations are not supported if the network depends on a configuration network",
        ),
        (
            json!({"Scope": "local"}),
            "PermissionDenied: cannot downgrade network scope for overlay networks",
        ),
        (
            json!({"EnableIPv4": false}),
            "InvalidArgument: IPv4 cannot be disabled in a Swarm scoped network",
        ),
        (
            json!({"Ingress": true, "Attachable": true}),
            "manager InvalidArgument: ingress network cannot be attachable",
        ),
        (
            json!({"Name": "a.b"}),
            "manager InvalidArgument: name must be valid as a DNS name component",
        ),
        (
            json!({"Name": "a".repeat(64)}),
            "manager InvalidArgument: name must be 63 characters or fewer",
        ),
        (
            json!({"Labels": label}),
            "manager PermissionDenied: label com.docker.swarm.predefined is for internally created predefined networks and \
             cannot be applied by users",
        ),
        (
            json!({"Driver": "weave"}),
            "manager InvalidArgument: error during lookup of plugin weave",
        ),
        (
            json!({"IPAM": {"Driver": "dhcp"}}),
            "manager InvalidArgument: error during lookup of plugin dhcp",
        ),
        (
            json!({"Driver": "macvlan", "Scope": "swarm", "Ingress": true}),
            "manager Unimplemented: only overlay driver is currently supported for ingress network",
        ),
        (
            json!({"Ingress": true}),
            "manager AlreadyExists: ingress network (0000000000000000000000002) is already present",
        ),
        (
            json!({"CheckDuplicate": true, "Driver": "overlay", "Scope": "swarm"}),
            "accepted",
        ),
        (json!({"Name": "Taken"}), "accepted"),
    ];
    for (patch, why) in &rows {
        assert_eq!(refusal(&state, patch.clone()), *why, "{patch}");
    }
    println!("{} networks", rows.len());
}

#[test]
fn all_that_is_wrong_with_addresses_is_said_at_once() {
    let state = swarm();
    let config = |config: Value| json!({"EnableIPv6": true, "IPAM": {"Config": [config]}});
    let rows = [
        (
            json!({"Gateway": "10.5.0.1"}),
            "invalid subnet : invalid CIDR block notation",
        ),
        (
            json!({"Subnet": "10.5.0.0"}),
            "invalid subnet 10.5.0.0: invalid CIDR block notation",
        ),
        (
            json!({"Subnet": "10.5.0.1/24"}),
            "invalid subnet 10.5.0.1/24: it should be 10.5.0.0/24",
        ),
        (
            json!({"Subnet": "10.5.0.0/24", "IPRange": "x", "Gateway": "10.6.0.1"}),
            "invalid ip-range x: invalid CIDR block notation\n\
             invalid gateway 10.6.0.1: parent subnet 10.5.0.0/24 doesn't contain this address",
        ),
        (
            json!({"Subnet": "10.5.0.0/24", "IPRange": "10.6.0.1/25", "Gateway": "y"}),
            "invalid ip-range 10.6.0.1/25: it should be 10.6.0.0/25\n\
             invalid ip-range 10.6.0.1/25: parent subnet 10.5.0.0/24 doesn't contain ip-range\n\
             invalid gateway y: invalid address",
        ),
        (
            json!({"Subnet": "10.5.0.0/24", "IPRange": "10.5.0.0/16"}),
            "invalid ip-range 10.5.0.0/16: CIDR block is bigger than its parent subnet 10.5.0.0/24",
        ),
        (
            json!({"Subnet": "10.5.0.0/31"}),
            "invalid subnet 10.5.0.0/31: it has no address left for a container",
        ),
        (
            json!({"Subnet": "fd00::5/128"}),
            "invalid subnet fd00::5/128: it has no address left for a container",
        ),
        (
            json!({"Subnet": "10.5.0.0/24", "Gateway": "10.5.0.0"}),
            "invalid gateway 10.5.0.0: it is the address of subnet 10.5.0.0/24 itself",
        ),
        (
            json!({"Subnet": "10.5.0.0/24", "Gateway": "10.5.0.255"}),
            "invalid gateway 10.5.0.255: it is the broadcast address of subnet 10.5.0.0/24",
        ),
        (
            json!({"Subnet": "fd00::/64", "IPRange": "10.5.0.0/16", "Gateway": "10.5.0.1"}),
            "invalid ip-range 10.5.0.0/16: parent subnet is an IPv6 block\n\
             invalid gateway 10.5.0.1: parent subnet is an IPv6 block",
        ),
        (
            json!({"Subnet": "10.5.0.0/24", "AuxiliaryAddresses": {"router": "10.6.0.9"}}),
            "invalid auxiliary address router: parent subnet 10.5.0.0/24 doesn't contain this address",
        ),
    ];
    for (given, why) in rows {
        // The bigger range shares the subnet's beginning once it is masked.
        let text = refusal(&state, config(given.clone()));
        let text = text.replace(
            "invalid ip-range 10.5.0.0/16: it should be 10.5.0.0/16\n",
            "",
        );
        assert_eq!(
            text,
            format!("InvalidArgument: invalid network config:\n{why}"),
            "{given}"
        );
    }
    let ipv6 = json!({"IPAM": {"Config": [{"Subnet": "fd00::1/64"}]}});
    assert_eq!(
        refusal(&state, ipv6),
        "accepted",
        "IPv6 that is not turned on is not looked at"
    );
}

#[test]
fn a_network_is_stored_with_its_driver_and_without_what_nobody_keeps() {
    let mut state = swarm();
    let config = json!([{"Subnet": "10.5.0.0/24", "AuxiliaryAddresses": {"router": "10.5.0.9"}}]);
    let id = make(
        &mut state,
        3,
        json!({"CheckDuplicate": true, "Options": {"encrypted": ""}, "IPAM": {"Config": config}}),
    );
    let spec = serde_json::to_value(&state.networks().get(&id).unwrap().spec).unwrap();
    let expected = json!({
        "Name": "app", "Driver": "overlay", "IPAM": {"Config": [{"Subnet": "10.5.0.0/24"}]}, "Options": {"encrypted": ""},
    });
    assert_eq!(spec, expected);
}

fn removal(state: &State, term: &str) -> String {
    remove(state, term).map_or_else(|fault| said(&fault), |_| "removed".to_owned())
}

fn on(target: &str) -> Value {
    json!({"TaskTemplate": {"Networks": [{"Target": target}]}})
}

#[test]
fn a_network_in_use_stays() {
    let mut state = swarm();
    let app = make(&mut state, 3, json!({"Attachable": true}));
    let mut ids = Counter(50);
    let mut patch = on("app");
    lay(
        &mut patch,
        json!({"EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]}}),
    );
    let web = made(&mut state, &mut ids, patch);
    assert_eq!(
        removal(&state, "app"),
        format!("manager FailedPrecondition: network {app} is in use by service {web}")
    );
    assert_eq!(
        removal(&state, "ingress"),
        format!(
            "manager FailedPrecondition: ingress network cannot be removed because service {web} depends on it"
        )
    );
    assert_eq!(
        removal(&state, "host"),
        "manager FailedPrecondition: network 0000000000000000000000001 (host) is a swarm predefined network and cannot be \
         removed"
    );
    assert_eq!(
        removal(&state, "none-such"),
        "NotFound: network none-such not found"
    );
    assert_eq!(prunable(&state).count(), 0);
    let (_, plan) = service::remove(&state, "web").unwrap();
    apply(&mut state, plan);
    let prunable: Vec<&str> = prunable(&state).map(|network| network.name()).collect();
    assert_eq!(prunable, ["app"]);
    assert_eq!(removal(&state, "app"), "removed");
    assert_eq!(removal(&state, "ingress"), "removed");
}

#[test]
fn a_service_that_was_made_meanwhile_keeps_its_network() {
    let mut state = swarm();
    make(&mut state, 3, json!({}));
    let (_, removal) = remove(&state, "app").unwrap();
    let (_, creation) =
        service::create(&state, spec(on("app")), None, NOW, &mut Counter(50)).unwrap();
    let mut other = state.clone();
    apply(&mut state, creation.clone());
    let late = |state: &mut State, plan: Plan| {
        let command = plan.into_command(NOW, wall());
        state.apply(state.applied() + 1, &command).is_err()
    };
    assert!(late(&mut state, removal.clone()), "the service is there");
    apply(&mut other, removal);
    assert!(late(&mut other, creation), "the network is gone");
}

#[test]
fn a_service_is_on_the_ingress_network_by_its_ports_only() {
    let mut state = swarm();
    let refused = service::create(&state, spec(on("ingress")), None, NOW, &mut Counter(50));
    assert_eq!(
        said(&refused.unwrap_err()),
        "manager InvalidArgument: Service cannot be explicitly attached to the ingress network \"ingress\""
    );
    let port = json!({"EndpointSpec": {"Ports": [{"TargetPort": 80}]}});
    let id = made(&mut state, &mut Counter(50), port.clone());
    let endpoint = &state.services().get(&id).unwrap().endpoint;
    assert_eq!(endpoint.ports[0].published_port, 30_000);
    assert_eq!(endpoint.virtual_ips[0].addr, "10.0.0.254/24");
    let (_, plan) = service::remove(&state, "web").unwrap();
    apply(&mut state, plan);
    let (_, plan) = remove(&state, "ingress").unwrap();
    apply(&mut state, plan);
    let refused = service::create(&state, spec(port), None, NOW, &mut Counter(60));
    assert_eq!(
        said(&refused.unwrap_err()),
        "manager FailedPrecondition: service needs ingress network, but no ingress network is present"
    );
}

fn request(container: &str, network: &str) -> AttachRequest {
    AttachRequest {
        container: container.to_owned(),
        name: container.to_owned(),
        network: network.to_owned(),
        addresses: Vec::new(),
        aliases: vec!["db".to_owned()],
        gateway: true,
        resolvers: Vec::new(),
        active: true,
    }
}

fn attached(state: &mut State, request: &AttachRequest) -> Result<Attachment, String> {
    let mut ids = Counter(1_000 + state.applied());
    let (lease, plan) =
        attach(state, NodeId(raw(9)), request, NOW, &mut ids).map_err(|fault| said(&fault))?;
    if !plan.is_empty() {
        apply(state, plan);
    }
    assert_eq!(violations(state), Vec::<String>::new());
    Ok(lease)
}

fn addresses(lease: &Attachment) -> Vec<String> {
    lease.addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn a_container_has_one_lease_on_a_network() {
    let mut state = swarm();
    make(&mut state, 3, json!({"Attachable": true}));
    let first = attached(&mut state, &request("a", "app")).unwrap();
    assert_eq!(addresses(&first), ["10.0.1.2/24"]);
    let again = attached(&mut state, &request("a", "app")).unwrap();
    assert_eq!((again.id, again.addresses), (first.id, first.addresses));
    let other = attached(&mut state, &request("b", "app")).unwrap();
    assert_eq!(addresses(&other), ["10.0.1.3/24"]);
    let wanted = AttachRequest {
        addresses: vec!["10.0.1.77".parse().unwrap()],
        ..request("a", "app")
    };
    let moved = attached(&mut state, &wanted).unwrap();
    assert_eq!(
        (moved.id, addresses(&moved)),
        (first.id, vec!["10.0.1.77/24".to_owned()])
    );
    let taken = AttachRequest {
        container: "c".to_owned(),
        ..wanted.clone()
    };
    assert_eq!(
        attached(&mut state, &taken),
        Err("manager FailedPrecondition: Address already in use".to_owned())
    );
    let plan = detach(&state, first.id);
    apply(&mut state, plan);
    assert!(detach(&state, first.id).is_empty());
    assert_eq!(
        addresses(&attached(&mut state, &taken).unwrap()),
        ["10.0.1.77/24"],
        "by number at once"
    );
}

#[test]
fn only_attachable_networks_take_containers() {
    let mut state = swarm();
    make(&mut state, 3, json!({}));
    let lan = json!({"Name": "lan", "Driver": "macvlan", "Scope": "swarm", "Attachable": true});
    make(&mut state, 4, lan);
    for (term, why) in [
        (
            "lan",
            "manager Unimplemented: network lan is made by each engine for the tasks of services: no other container can be on it",
        ),
        (
            "app",
            "manager PermissionDenied: network app not manually attachable",
        ),
        (
            "ingress",
            "manager PermissionDenied: network ingress not manually attachable",
        ),
        (
            "host",
            "manager PermissionDenied: network host not manually attachable",
        ),
        ("none-such", "manager NotFound: network none-such not found"),
    ] {
        assert_eq!(
            attached(&mut state, &request("a", term)),
            Err(why.to_owned())
        );
    }
}

#[test]
fn a_container_goes_out_by_the_first_network_that_leads_out() {
    let mut state = swarm();
    make(
        &mut state,
        3,
        json!({"Name": "in", "Attachable": true, "Internal": true}),
    );
    make(&mut state, 4, json!({"Name": "one", "Attachable": true}));
    make(&mut state, 5, json!({"Name": "two", "Attachable": true}));
    let own_way = AttachRequest {
        gateway: false,
        ..request("b", "one")
    };
    let gateways = [
        request("a", "in"),
        request("a", "one"),
        request("a", "two"),
        request("a", "one"),
        own_way,
    ];
    let gateways = gateways.map(|request| attached(&mut state, &request).unwrap().gateway);
    assert_eq!(gateways, [false, true, false, true, false]);
}

#[test]
fn a_way_out_of_the_engines_own_takes_over_and_gives_back() {
    let mut state = swarm();
    make(&mut state, 4, json!({"Name": "one", "Attachable": true}));
    make(&mut state, 5, json!({"Name": "two", "Attachable": true}));
    let leases =
        ["one", "two"].map(|network| attached(&mut state, &request("a", network)).unwrap());
    let mut seen = |own_way_out: bool| {
        let sighting = Sighting {
            name: "a",
            active: true,
            own_way_out,
        };
        for lease in &leases {
            let plan = follow(&state, lease.id, sighting);
            apply(&mut state, plan);
        }
        leases.each_ref().map(|lease| {
            let lease = state.attachments().get(&lease.id);
            lease.is_some_and(|lease| lease.gateway)
        })
    };
    assert_eq!(seen(false), [true, false]);
    assert_eq!(seen(true), [false, false]);
    assert_eq!(seen(false), [true, false]);
}

#[test]
fn a_container_that_does_not_run_keeps_no_network() {
    let mut state = swarm();
    let app = make(&mut state, 3, json!({"Attachable": true}));
    let lease = attached(&mut state, &request("a", "app")).unwrap();
    assert_eq!(
        removal(&state, "app"),
        format!(
            "manager FailedPrecondition: network {app} is in use by task {}",
            lease.id
        )
    );
    let stopped = Sighting {
        name: "renamed",
        active: false,
        own_way_out: false,
    };
    let plan = follow(&state, lease.id, stopped);
    apply(&mut state, plan);
    assert!(follow(&state, lease.id, stopped).is_empty());
    let (_, plan) = remove(&state, "app").unwrap();
    // Whoever attaches meanwhile is not forgotten: the removal is decided anew.
    let mut other = state.clone();
    attached(&mut other, &request("late", "app")).unwrap();
    let late = plan.clone().into_command(NOW, wall());
    assert!(other.apply(other.applied() + 1, &late).is_err());
    apply(&mut state, plan);
    assert!(state.attachments().is_empty());
    assert_eq!(state.network(app), None);
}

#[test]
fn a_removed_network_keeps_its_subnet_until_the_last_task_has_ended() {
    let mut state = swarm();
    let app = make(
        &mut state,
        3,
        json!({"IPAM": {"Config": [{"Subnet": "10.5.0.0/24"}]}}),
    );
    let web = made(&mut state, &mut Counter(50), on("app"));
    let mut task = a_task(60, web, 1, TaskState::Running);
    task.node = Some(NodeId(raw(9)));
    task.networks = vec![swarmrs_types::object::Attached {
        network: app,
        addresses: vec!["10.5.0.2/24".parse().unwrap()],
        aliases: Vec::new(),
    }];
    put(&mut state, Object::Task(task.clone().into()));
    let (_, plan) = service::remove(&state, "web").unwrap();
    apply(&mut state, plan);
    let (_, plan) = remove(&state, "app").unwrap();
    apply(&mut state, plan);
    assert!(state.networks().get(&app).is_none());
    assert!(state.network(app).is_some());
    let holders: Vec<Holder> = state.holders(app).map(|(_, holder)| holder).collect();
    assert_eq!(holders, [Holder::Task(task.id), Holder::Service(web)]);
    let same = network(json!({"IPAM": {"Config": [{"Subnet": "10.5.0.0/24"}]}}));
    assert!(waits_for_departed(&state, &same));
    assert_eq!(
        refusal(
            &state,
            json!({"IPAM": {"Config": [{"Subnet": "10.5.0.0/24"}]}})
        ),
        "PermissionDenied: invalid network config: subnet 10.5.0.0/24 overlaps with subnet 10.5.0.0/24 of network app, which \
         is being removed"
    );
    let snapshot = state.snapshot().to_bytes().unwrap();
    let snapshot = crate::state::Snapshot::from_bytes(&snapshot).unwrap();
    assert_eq!(State::restore(&snapshot).unwrap(), state);
    let mut draft = crate::Draft::new(&state, NOW);
    draft.remove(crate::Key::Task(task.id));
    let plan = draft.finish();
    apply(&mut state, plan);
    assert_eq!(state.network(app), None);
    assert!(!waits_for_departed(&state, &same));
    make(
        &mut state,
        4,
        json!({"IPAM": {"Config": [{"Subnet": "10.5.0.0/24"}]}}),
    );
}
