//! The swarm's authority: what updates make of it, and when another has taken its place.

use super::*;
use crate::control::swarm::authority::{finish, is_due, must_change};
use crate::control::swarm::{Authority, BootstrapInput, Rotations, bootstrap, update};
use swarmrs_types::object::{CertIssuer, JoinTokens, RootCa, RootRotation};
use swarmrs_types::spec::TlsInfo;

fn issuer(name: &str) -> CertIssuer {
    CertIssuer {
        subject: "swarm-ca".to_owned(),
        public_key: name.to_owned(),
    }
}

fn tokens(name: &str) -> JoinTokens {
    JoinTokens {
        worker: format!("worker {name}"),
        manager: format!("manager {name}"),
    }
}

fn on_its_way(name: &str) -> RootRotation {
    RootRotation {
        certificate: name.to_owned(),
        key: "key".into(),
        cross_signed: "signed".to_owned(),
        issuer: issuer(name),
    }
}

/// A swarm of one manager and one worker, with certificates of the root `one`.
fn swarm() -> State {
    let mut state = State::default();
    let input = BootstrapInput {
        cluster_id: None,
        root_ca: RootCa {
            certificate: "one".to_owned(),
            key: "key".into(),
            issuer: issuer("one"),
        },
        join_tokens: tokens("one"),
        unlock_key: None,
        init: read(&json!({})),
        node: a_node(1, Role::Manager),
    };
    apply(
        &mut state,
        bootstrap(input, NOW, &mut Counter(100)).unwrap(),
    );
    put(&mut state, Object::Node(a_node(2, Role::Worker).into()));
    says(&mut state, 1, "one");
    says(&mut state, 2, "one");
    state
}

/// The node says who issued its certificate.
fn says(state: &mut State, number: u64, name: &str) {
    let mut node = (**state.nodes().get(&NodeId(raw(number))).unwrap()).clone();
    node.description.tls_info = TlsInfo {
        trust_root: "whatever".to_owned(),
        cert_issuer_subject: issuer(name).subject,
        cert_issuer_public_key: issuer(name).public_key,
    };
    put(state, Object::Node(node.into()));
}

fn updated(state: &mut State, authority: Authority) {
    let cluster = state.cluster().unwrap();
    let (version, spec) = (cluster.meta.version, cluster.spec.clone());
    let rotations = Rotations {
        authority,
        ..Rotations::default()
    };
    let plan = update(state, version, spec, rotations, NOW).unwrap();
    apply(state, plan);
}

/// Which nodes are to ask for another certificate.
fn changing(state: &State) -> Vec<bool> {
    let cluster = state.cluster().unwrap();
    let nodes = state.nodes().iter();
    nodes
        .map(|node| must_change(cluster, &node.description.tls_info))
        .collect()
}

#[test]
fn another_root_is_the_swarms_once_every_node_has_a_certificate_of_it() {
    let mut state = swarm();
    assert_eq!(changing(&state), [false, false]);
    assert!(finish(&state, tokens("two"), NOW).is_empty());
    updated(&mut state, Authority::Replaced(on_its_way("two")));
    let cluster = state.cluster().unwrap();
    assert_eq!(cluster.root_ca.certificate, "one");
    assert_eq!(cluster.join_tokens, tokens("one"));
    assert_eq!(changing(&state), [true, true]);

    says(&mut state, 1, "two");
    assert_eq!(changing(&state), [false, true]);
    assert!(finish(&state, tokens("two"), NOW).is_empty());
    says(&mut state, 2, "two");
    assert!(is_due(&state));
    let plan = finish(&state, tokens("two"), NOW);
    apply(&mut state, plan);
    let cluster = state.cluster().unwrap();
    let expected = RootCa {
        certificate: "two".to_owned(),
        key: "key".into(),
        issuer: issuer("two"),
    };
    assert_eq!(cluster.root_ca, expected);
    assert_eq!(cluster.root_rotation, None);
    assert_eq!(cluster.join_tokens, tokens("two"));
    assert!(!is_due(&state));
    assert_eq!(changing(&state), [false, false]);
}

#[test]
fn nodes_that_are_down_or_were_never_heard_hold_it_up_until_they_are_removed() {
    let mut state = swarm();
    let mut newcomer = a_node(3, Role::Worker);
    newcomer.status.state = NodeState::Down;
    put(&mut state, Object::Node(newcomer.into()));
    updated(&mut state, Authority::Replaced(on_its_way("two")));
    says(&mut state, 1, "two");
    says(&mut state, 2, "two");
    assert!(!is_due(&state));
    let removed = crate::control::node::remove(&state, raw(3).as_str(), false, NOW, wall());
    apply(&mut state, removed.unwrap().1);
    assert!(is_due(&state));
}

#[test]
fn a_rotation_that_is_begun_anew_leads_to_the_newest_root_and_one_that_is_called_off_back() {
    let mut state = swarm();
    updated(&mut state, Authority::Replaced(on_its_way("two")));
    says(&mut state, 1, "two");
    updated(&mut state, Authority::Replaced(on_its_way("three")));
    assert_eq!(changing(&state), [true, true]);
    updated(&mut state, Authority::NextKeyed("another key".into()));
    let next = state.cluster().unwrap().root_rotation.clone().unwrap();
    assert_eq!(
        (&*next.key, next.certificate.as_str()),
        ("another key", "three")
    );
    updated(&mut state, Authority::Keyed("its key".into()));
    let cluster = state.cluster().unwrap();
    assert_eq!(cluster.root_rotation, None);
    assert_eq!(&*cluster.root_ca.key, "its key");
    assert_eq!(changing(&state), [true, false]);
}

#[test]
fn in_a_swarm_of_an_earlier_release_nobody_is_asked_to_change_before_there_is_another_root() {
    let mut state = swarm();
    let mut cluster = (**state.cluster().unwrap()).clone();
    cluster.root_ca.issuer = CertIssuer::default();
    put(&mut state, Object::Cluster(cluster.into()));
    assert_eq!(changing(&state), [false, false]);
    updated(&mut state, Authority::Replaced(on_its_way("two")));
    assert_eq!(changing(&state), [true, true]);
}

#[test]
fn below_the_level_at_which_all_managers_know_of_it_the_authority_is_not_changed() {
    let mut state = swarm();
    let mut cluster = (**state.cluster().unwrap()).clone();
    cluster.level = 0;
    put(&mut state, Object::Cluster(cluster.into()));
    let asked = |authority| {
        let cluster = state.cluster().unwrap();
        let rotations = Rotations {
            authority,
            ..Rotations::default()
        };
        update(
            &state,
            cluster.meta.version,
            cluster.spec.clone(),
            rotations,
            NOW,
        )
    };
    asked(Authority::Stays).unwrap();
    for authority in [
        Authority::Replaced(on_its_way("two")),
        Authority::Keyed("its key".into()),
        Authority::NextKeyed("its key".into()),
    ] {
        assert_eq!(
            said(&asked(authority).unwrap_err()),
            "manager FailedPrecondition: the root CA cannot be changed yet: that needs feature level 1, and this swarm \
             has 0 until all its managers have run a release that knows it for 10 minutes"
        );
    }
}

#[test]
fn no_key_of_an_authority_shows_in_debug_output() {
    let shown = format!("{:?}", Authority::Replaced(on_its_way("two")));
    assert!(!shown.contains("key"), "{shown}");
}
