//! The swarm: its first objects, and its updates.

use super::*;
use crate::change::Expect;
use crate::control::swarm::{BootstrapInput, Rotations, bootstrap, update};
use swarmrs_types::ClusterId;
use swarmrs_types::object::{Cluster, JoinTokens, Network, RootCa};
use swarmrs_types::spec::SwarmSpec;

fn tokens() -> JoinTokens {
    JoinTokens {
        worker: "worker-token".to_owned(),
        manager: "manager-token".to_owned(),
    }
}

fn root_ca() -> RootCa {
    RootCa {
        certificate: "certificate".to_owned(),
        key: "key".to_owned(),
    }
}

fn input(init: Value) -> BootstrapInput {
    let mut node = a_node(9, Role::Worker);
    node.status.state = NodeState::Unknown;
    BootstrapInput {
        cluster_id: None,
        root_ca: root_ca(),
        join_tokens: tokens(),
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
        join_tokens: tokens(),
        default_addr_pool: vec!["10.9.0.0/16".to_owned()],
        subnet_size: 25,
        data_path_port: 4000,
        unknown: Default::default(),
    };
    let mut node = a_node(9, Role::Manager);
    node.spec.availability = Availability::Drain;
    node.manager_addr = None;
    let network = |number: u64, name: &str| {
        let network = Network {
            id: swarmrs_types::NetworkId(raw(number)),
            meta: Meta::default(),
            name: name.to_owned(),
            driver: name.to_owned(),
            unknown: Default::default(),
        };
        Object::Network(network.into())
    };
    let objects = [
        Object::Cluster(cluster.into()),
        Object::Node(node.into()),
        network(2, "bridge"),
        network(3, "host"),
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
        manager_token: None,
    };
    let plan = update(&state, 1, read(&defaults()), rotations, NOW).unwrap();
    apply(&mut state, plan);
    let expected = JoinTokens {
        worker: "new".to_owned(),
        ..tokens()
    };
    assert_eq!(state.cluster().unwrap().join_tokens, expected);
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
    let unbuilt =
        |what: &str| format!("Unimplemented: {what} is not available in this release of swarmrs");
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
        (refusal(9, ca(json!({"SigningCACert": "x"}))), unbuilt("a root CA of the user's own")),
        (refusal(9, ca(json!({"ForceRotate": 1}))), unbuilt("rotating the root CA")),
        (refusal(9, ca(json!({"ExternalCAs": [{"Protocol": "cfssl"}]}))), unbuilt("an external CA")),
        (
            refusal(9, json!({"EncryptionConfig": {"AutoLockManagers": true}})),
            unbuilt("locking managers"),
        ),
        (refusal(9, json!({})), "manager Unknown: update out of sequence".to_owned()),
    ];
    for (refusal, text) in rows {
        assert_eq!(refusal, text);
    }
}
