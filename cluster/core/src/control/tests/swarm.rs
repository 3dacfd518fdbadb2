//! The swarm: its first objects, and its updates.

use super::*;
use crate::change::Expect;
use crate::control::swarm::{BootstrapInput, Rotations, bootstrap, force, moved, update};
use crate::invariant::violations;
use swarmrs_types::endpoint::Segment;
use swarmrs_types::object::{
    Allocated, Cluster, IngressAddress, JoinTokens, Network, PREDEFINED_LABEL, RootCa,
};
use swarmrs_types::spec::{NetworkSpec, SwarmSpec};
use swarmrs_types::{ClusterId, SecretText};

const FIRST_KEY: &str = "SWMKEY-1-first";

fn tokens() -> JoinTokens {
    JoinTokens {
        worker: "worker-token".to_owned(),
        manager: "manager-token".to_owned(),
    }
}

fn root_ca() -> RootCa {
    RootCa {
        certificate: "certificate".to_owned(),
        key: "key".into(),
        ..RootCa::default()
    }
}

fn input(init: Value) -> BootstrapInput {
    let mut node = a_node(9, Role::Worker);
    node.status.state = NodeState::Unknown;
    BootstrapInput {
        cluster_id: None,
        root_ca: root_ca(),
        join_tokens: tokens(),
        unlock_key: Some(FIRST_KEY.into()),
        init: read(&init),
        node,
    }
}

fn defaults() -> Value {
    json!({
        "Name": "default", "Labels": {},
        "Orchestration": {"TaskHistoryRetentionLimit": 5},
        "Raft": {
            "SnapshotInterval": 10000, "KeepOldSnapshots": 0,
            "LogEntriesForSlowFollowers": 500, "ElectionTick": 10, "HeartbeatTick": 1,
        },
        "Dispatcher": {"HeartbeatPeriod": 5_000_000_000_u64},
        "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000_u64},
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": false},
    })
}

fn swarm() -> State {
    let mut state = State::default();
    let plan = bootstrap(input(json!({})), NOW, &mut Counter::default()).unwrap();
    apply(&mut state, plan);
    state
}

#[test]
fn a_swarm_begins_with_its_cluster_its_node_and_the_predefined_networks() {
    let init = json!({
        "Availability": "Drain", "DefaultAddrPool": ["10.9.0.0/16"], "SubnetSize": 25, "DataPathPort": 4000,
    });
    let plan = bootstrap(input(init), NOW, &mut Counter::default()).unwrap();
    let cluster = Cluster {
        id: ClusterId(raw(1)),
        meta: Meta::default(),
        spec: read(&defaults()),
        root_ca: root_ca(),
        root_rotation: None,
        join_tokens: tokens(),
        unlock_key: None,
        default_addr_pool: vec!["10.9.0.0/16".to_owned()],
        subnet_size: 25,
        data_path_port: 4000,
        level: swarmrs_types::feature::LEVEL,
        unknown: Default::default(),
    };
    let mut node = a_node(9, Role::Manager);
    node.spec.availability = Availability::Drain;
    node.manager_addr = None;
    node.raft_id = None;
    let network = |number: u64, name: &str, driver: &str| {
        let network = Network {
            id: swarmrs_types::NetworkId(raw(number)),
            meta: Meta::default(),
            spec: NetworkSpec {
                name: name.to_owned(),
                driver: driver.to_owned(),
                labels: [(PREDEFINED_LABEL.to_owned(), "true".to_owned())].into(),
                ..NetworkSpec::default()
            },
            segments: Vec::new(),
            unknown: Default::default(),
        };
        Object::Network(network.into())
    };
    let ingress = Network {
        id: swarmrs_types::NetworkId(raw(5)),
        meta: Meta::default(),
        spec: NetworkSpec {
            name: "ingress".to_owned(),
            driver: "overlay".to_owned(),
            ingress: true,
            ..NetworkSpec::default()
        },
        segments: vec![Allocated {
            segment: Segment {
                subnet: "10.9.0.0/25".parse().unwrap(),
                gateway: "10.9.0.1".parse().unwrap(),
                vni: 4096,
            },
            range: None,
        }],
        unknown: Default::default(),
    };
    node.index = 1;
    node.ingress = Some(IngressAddress {
        network: ingress.id,
        address: "10.9.0.2/25".parse().unwrap(),
    });
    let objects = [
        Object::Cluster(cluster.into()),
        Object::Node(node.into()),
        network(2, "bridge", "bridge"),
        network(3, "host", "host"),
        network(4, "none", "null"),
        Object::Network(ingress.into()),
    ];
    let put = |object: Object| Change::Put {
        object,
        expect: Expect::Absent,
    };
    let expected = Plan {
        changes: objects.map(put).to_vec(),
        ..Plan::default()
    };
    assert_eq!(plan, expected);
}

#[test]
fn init_lays_what_was_said_over_the_defaults() {
    let said = json!({"Spec": {
        "Labels": {"a": "b"}, "Orchestration": {"TaskHistoryRetentionLimit": 0},
        "Raft": {"SnapshotInterval": 7}, "Dispatcher": {"HeartbeatPeriod": 1},
        "CAConfig": {"SigningCACert": "never kept", "SigningCAKey": "never kept"},
    }});
    let plan = bootstrap(input(said), NOW, &mut Counter::default()).unwrap();
    let mut state = State::default();
    apply(&mut state, plan);
    let mut expected = defaults();
    lay(
        &mut expected,
        json!({
            "Labels": {"a": "b"}, "Orchestration": {"TaskHistoryRetentionLimit": 0},
            "Raft": {"SnapshotInterval": 7}, "Dispatcher": {"HeartbeatPeriod": 1},
        }),
    );
    let spec = &state.cluster().unwrap().spec;
    assert_eq!(serde_json::to_value(spec).unwrap(), expected);
}

#[test]
fn the_id_in_the_nodes_certificate_is_the_clusters() {
    let mut input = input(json!({}));
    input.cluster_id = Some(ClusterId(raw(77)));
    let mut state = State::default();
    apply(
        &mut state,
        bootstrap(input, NOW, &mut Counter::default()).unwrap(),
    );
    assert_eq!(state.cluster().unwrap().id, ClusterId(raw(77)));
}

#[test]
fn an_update_starts_from_nothing() {
    let state = swarm();
    let plan = update(&state, 1, SwarmSpec::default(), Rotations::default(), NOW).unwrap();
    let mut cluster = (**state.cluster().unwrap()).clone();
    cluster.spec = read(&json!({
        "Name": "default", "Orchestration": {"TaskHistoryRetentionLimit": 0}, "Raft": {"KeepOldSnapshots": 0},
    }));
    let expected = Plan {
        changes: vec![Change::Put {
            object: Object::Cluster(cluster.into()),
            expect: Expect::Version(1),
        }],
        ..Plan::default()
    };
    assert_eq!(plan, expected);
}

#[test]
fn a_rotated_token_replaces_only_its_own() {
    let mut state = swarm();
    let rotations = Rotations {
        worker_token: Some("new".to_owned()),
        ..Rotations::default()
    };
    let plan = update(&state, 1, read(&defaults()), rotations, NOW).unwrap();
    apply(&mut state, plan);
    let expected = JoinTokens {
        worker: "new".to_owned(),
        ..tokens()
    };
    assert_eq!(state.cluster().unwrap().join_tokens, expected);
}

/// The swarm's unlock key, once the state was found whole.
fn unlock_key(state: &State) -> Option<&str> {
    assert_eq!(violations(state), Vec::<String>::new());
    state.cluster().unwrap().unlock_key.as_deref()
}

/// The swarm after an update with this lock, for which `drawn` was drawn.
fn relocked(state: &State, lock: bool, rotate: bool, drawn: &str) -> State {
    let mut state = state.clone();
    let mut spec: SwarmSpec = read(&defaults());
    spec.encryption_config.auto_lock_managers = lock;
    let rotations = Rotations {
        unlock_key: drawn.into(),
        rotate_unlock_key: rotate,
        ..Rotations::default()
    };
    let version = state.cluster().unwrap().meta.version;
    let plan = update(&state, version, spec, rotations, NOW).unwrap();
    apply(&mut state, plan);
    state
}

#[test]
fn a_swarm_is_locked_from_the_start_only_if_its_spec_says_so() {
    let locked = json!({"Spec": {"EncryptionConfig": {"AutoLockManagers": true}}});
    let rows = [
        (json!({}), None),
        (json!({"AutoLockManagers": true}), None),
        (locked, Some(FIRST_KEY)),
    ];
    for (init, expected) in rows {
        let plan = bootstrap(input(init.clone()), NOW, &mut Counter::default()).unwrap();
        let mut state = State::default();
        apply(&mut state, plan);
        assert_eq!(unlock_key(&state), expected, "{init}");
    }
}

#[test]
fn the_unlock_key_is_made_kept_replaced_and_dropped_with_the_lock() {
    let open = swarm();
    assert_eq!(unlock_key(&relocked(&open, false, true, "none")), None);
    let locked = relocked(&open, true, false, "one");
    assert_eq!(unlock_key(&locked), Some("one"));
    let same = relocked(&locked, true, false, "two");
    assert_eq!(unlock_key(&same), Some("one"));
    let rotated = relocked(&same, true, true, "two");
    assert_eq!(unlock_key(&rotated), Some("two"));
    let open = relocked(&rotated, false, true, "three");
    assert_eq!(unlock_key(&open), None);
    let again = relocked(&open, true, true, "four");
    assert_eq!(unlock_key(&again), Some("four"));
}

/// A swarm of the first manager, on its own.
fn with_manager() -> (State, swarmrs_types::NodeId) {
    let mut input = input(json!({}));
    input.node.manager_addr = Some("192.0.2.1:2377".to_owned());
    input.node.raft_id = Some(7);
    let id = input.node.id;
    let plan = bootstrap(input, NOW, &mut Counter::default()).unwrap();
    let mut state = State::default();
    apply(&mut state, plan);
    (state, id)
}

fn forced(state: &State, spec: Value) -> State {
    let mut state = state.clone();
    let plan = force(&state, read(&spec), SecretText::from("drawn"), NOW).unwrap();
    apply(&mut state, plan);
    state
}

#[test]
fn a_forced_swarm_keeps_what_the_request_does_not_mention() {
    let before = with_manager().0;
    let plan = force(&before, SwarmSpec::default(), "drawn".into(), NOW);
    assert!(plan.unwrap().is_empty());
}

#[test]
fn a_forced_swarm_takes_what_the_request_says_and_stays_locked() {
    let locked = relocked(&with_manager().0, true, false, "one");
    let said = json!({
        "Orchestration": {"TaskHistoryRetentionLimit": 0},
        "EncryptionConfig": {"AutoLockManagers": true},
    });
    let kept = forced(&locked, said.clone());
    assert_eq!(unlock_key(&kept), Some("one"));
    let mut expected = defaults();
    lay(&mut expected, said);
    let spec = &kept.cluster().unwrap().spec;
    assert_eq!(serde_json::to_value(spec).unwrap(), expected);
    assert_eq!(unlock_key(&forced(&locked, json!({}))), Some("one"));
    let lock = json!({"EncryptionConfig": {"AutoLockManagers": true}});
    let open = with_manager().0;
    assert_eq!(unlock_key(&forced(&open, lock)), Some("drawn"));
}

#[test]
fn an_external_ca_of_which_no_root_is_said_issues_for_the_one_there_is() {
    let outside = json!({"Protocol": "cfssl", "URL": "https://192.0.2.9/sign"});
    let said = json!({"CAConfig": {"ExternalCAs": [outside]}});
    let mut spec = defaults();
    lay(&mut spec, said.clone());
    let made = with_manager().0;
    let plan = update(
        &made,
        made.cluster().unwrap().meta.version,
        read(&spec),
        Rotations::default(),
        NOW,
    );
    let mut updated = made.clone();
    apply(&mut updated, plan.unwrap());
    for state in [updated, forced(&made, said)] {
        let external = &state.cluster().unwrap().spec.ca_config.external_cas[0];
        assert_eq!(external.ca_cert, "certificate");
    }
}

#[test]
fn a_manager_says_where_it_is_only_if_it_moved() {
    let (state, id) = with_manager();
    assert!(moved(&state, id, 7, "192.0.2.1:2377", NOW).is_empty());
    let mut after = state.clone();
    apply(&mut after, moved(&state, id, 7, "[2001:db8::1]:4000", NOW));
    let node = after.nodes().get(&id).unwrap();
    assert_eq!(node.manager_addr.as_deref(), Some("[2001:db8::1]:4000"));
    assert_eq!(node.status.addr, "2001:db8::1");
}

#[test]
fn a_manager_of_an_earlier_release_says_which_member_it_is() {
    let mut input = input(json!({}));
    input.node.manager_addr = Some("192.0.2.1:2377".to_owned());
    let id = input.node.id;
    let mut state = State::default();
    apply(
        &mut state,
        bootstrap(input, NOW, &mut Counter::default()).unwrap(),
    );
    let plan = moved(&state, id, 7, "192.0.2.1:2377", NOW);
    apply(&mut state, plan);
    assert_eq!(state.nodes().get(&id).unwrap().raft_id, Some(7));
    assert!(moved(&state, id, 8, "192.0.2.1:2377", NOW).is_empty());
}

#[test]
fn a_manager_that_was_dismissed_meanwhile_claims_nothing() {
    let (mut state, id) = with_manager();
    let mut node = (**state.nodes().get(&id).unwrap()).clone();
    (node.manager_addr, node.raft_id) = (None, None);
    put(&mut state, Object::Node(node.into()));
    assert!(moved(&state, id, 7, "198.51.100.1:2377", NOW).is_empty());
}

#[test]
fn updates_are_refused_in_dockers_words() {
    let state = swarm();
    let refusal = |version: u64, patch: Value| {
        let mut spec = defaults();
        lay(&mut spec, patch);
        let plan = update(&state, version, read(&spec), Rotations::default(), NOW);
        said(&plan.unwrap_err())
    };
    let ca = |patch: Value| json!({"CAConfig": patch});
    let rows = [
        (refusal(9, json!({"Name": "x"})), "InvalidArgument: swarm spec must be named \"default\"".to_owned()),
        (
            refusal(9, ca(json!({"ExternalCAs": [{"Protocol": "x"}], "NodeCertExpiry": 1}))),
            "InvalidArgument: invalid protocol: \"x\"".to_owned(),
        ),
        (
            refusal(9, ca(json!({"NodeCertExpiry": 3_599_999_999_999_u64}))),
            "manager InvalidArgument: minimum certificate expiry time is: 1h0m0s".to_owned(),
        ),
        (
            refusal(9, json!({"Dispatcher": {"HeartbeatPeriod": -1}})),
            "manager InvalidArgument: heartbeat time period cannot be a negative duration".to_owned(),
        ),
        (
            refusal(9, ca(json!({"SigningCAKey": "x"}))),
            "manager InvalidArgument: if a signing CA key is provided, the signing CA cert must also be provided".to_owned(),
        ),
        (refusal(9, json!({})), "manager Unknown: update out of sequence".to_owned()),
    ];
    for (refusal, text) in rows {
        assert_eq!(refusal, text);
    }
}
