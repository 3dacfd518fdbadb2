//! Which networks a service may name, and what is kept of them.

use super::*;
use crate::control::networks::{name_local, unknown};
use crate::control::service::{UpdateOptions, update};
use swarmrs_types::NetworkId;
use swarmrs_types::object::{Network, PREDEFINED_LABEL, VirtualIp};
use swarmrs_types::spec::NetworkSpec;

/// A swarm that knows these networks, with ids that count from 1.
fn swarm(names: &[&str]) -> State {
    let mut state = State::default();
    for (number, name) in (1..).zip(names) {
        let network = Network {
            id: id(number),
            meta: Meta::default(),
            spec: NetworkSpec {
                name: (*name).to_owned(),
                driver: (*name).to_owned(),
                labels: [(PREDEFINED_LABEL.to_owned(), "true".to_owned())].into(),
                ..NetworkSpec::default()
            },
            segments: Vec::new(),
            unknown: Default::default(),
        };
        put(&mut state, Object::Network(network.into()));
    }
    state
}

fn id(number: u64) -> NetworkId {
    NetworkId(raw(number))
}

fn on(target: &str) -> Value {
    json!({"TaskTemplate": {"Networks": [{"Target": target}]}})
}

fn refusal(state: &State, patch: Value) -> String {
    let made = create(state, spec(patch), None, NOW, &mut Counter(100));
    made.map_or_else(|fault| said(&fault), |_| "accepted".to_owned())
}

fn stored(state: &State, service: ServiceId) -> (Vec<String>, Vec<VirtualIp>) {
    let service = state.services().get(&service).unwrap();
    let spec = &state.current_spec(service).unwrap().spec;
    let networks = spec.task_template.networks.iter();
    let targets = networks.map(|network| network.target.clone()).collect();
    (targets, service.endpoint.virtual_ips.clone())
}

fn without_address(network: NetworkId) -> VirtualIp {
    let addr = String::new();
    VirtualIp { network, addr }
}

#[test]
fn a_network_is_found_by_name_id_and_beginning_and_stored_by_id() {
    let mut state = swarm(&["bridge", "host"]);
    let mut ids = Counter(100);
    let whole = id(2).to_string();
    for (name, term) in [("a", "host"), ("b", &*whole)] {
        let mut patch = on(term);
        lay(&mut patch, json!({"Name": name}));
        let service = made(&mut state, &mut ids, patch);
        let expected = (vec![whole.clone()], vec![without_address(id(2))]);
        assert_eq!(stored(&state, service), expected, "{term}");
    }
    let many = on(&whole[..20]);
    assert_eq!(
        refusal(&state, many),
        "InvalidArgument: network 00000000000000000000 is ambiguous (2 matches found)"
    );
}

#[test]
fn networks_of_old_clients_are_looked_up_where_those_put_them() {
    let mut state = swarm(&["host"]);
    let patch = json!({"Networks": [{"Target": "host"}]});
    let service = made(&mut state, &mut Counter(100), patch);
    assert_eq!(stored(&state, service).0, [id(1).to_string()]);
}

#[test]
fn a_network_that_nobody_knows_is_an_error_without_a_class() {
    let state = swarm(&["bridge"]);
    assert_eq!(refusal(&state, on("net")), "Unknown: network net not found");
    assert_eq!(
        refusal(&state, on("Bridge")),
        "Unknown: network Bridge not found"
    );
    assert_eq!(
        refusal(&state, on("none")),
        "NotFound: could not find the corresponding predefined swarm network: network none not found"
    );
}

#[test]
fn a_network_is_looked_for_before_the_spec_is_looked_at() {
    let mut patch = on("net");
    lay(&mut patch, json!({"TaskTemplate": {"Runtime": "magic"}}));
    assert_eq!(
        refusal(&swarm(&[]), patch),
        "Unknown: network net not found"
    );
}

#[test]
fn a_network_of_the_engine_gets_the_swarms_name_or_is_refused() {
    let state = swarm(&["host"]);
    let mut asked = spec(on("d209f9b0"));
    assert_eq!(unknown(&state, &asked), ["d209f9b0"]);
    name_local(&mut asked, "d209f9b0", "host").unwrap();
    assert_eq!(asked.task_template.networks[0].target, "host");
    assert!(unknown(&state, &asked).is_empty());
    let refused = name_local(&mut asked, "loc", "local").unwrap_err();
    assert_eq!(
        said(&refused),
        "PermissionDenied: The network local cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver."
    );
}

#[test]
fn a_service_that_resolves_to_its_tasks_has_no_virtual_address() {
    let mut state = swarm(&["host"]);
    let mut patch = on("host");
    lay(&mut patch, json!({"EndpointSpec": {"Mode": "dnsrr"}}));
    let service = made(&mut state, &mut Counter(100), patch);
    assert_eq!(stored(&state, service).1, []);
}

#[test]
fn an_update_gives_the_networks_of_the_new_spec() {
    let mut state = swarm(&["bridge", "host"]);
    let service = made(&mut state, &mut Counter(100), on("host"));
    let version = state.services().get(&service).unwrap().meta.version;
    let options = UpdateOptions::default;
    let plan = update(
        &state,
        "web",
        version,
        spec(on("bridge")),
        options(),
        NOW,
        wall(),
    )
    .unwrap();
    apply(&mut state, plan);
    let expected = (vec![id(1).to_string()], vec![without_address(id(1))]);
    assert_eq!(stored(&state, service), expected);
    let gone = update(
        &state,
        "web",
        version,
        spec(on("net")),
        options(),
        NOW,
        wall(),
    );
    assert_eq!(said(&gone.unwrap_err()), "Unknown: network net not found");
}
