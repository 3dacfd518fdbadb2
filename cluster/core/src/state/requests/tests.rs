use super::*;
use crate::change::{Change, Expect, Key, Object};
use swarmrs_types::object::{Meta, Network, Unknown};
use swarmrs_types::spec::NetworkSpec;
use swarmrs_types::{NetworkId, Timestamp};

fn id(number: u64) -> NetworkId {
    format!("{number:025}").parse().unwrap()
}

/// Makes a network; rejected if it is there.
fn create(number: u64, time: u64) -> Command {
    let network = Network {
        id: id(number),
        meta: Meta::default(),
        spec: NetworkSpec {
            name: format!("net{number}"),
            ..NetworkSpec::default()
        },
        segments: Vec::new(),
        unknown: Unknown::new(),
    };
    Command {
        time: ClusterTime(time),
        wall: Timestamp::from_unix_nanos(1),
        guards: Vec::new(),
        changes: vec![Change::Put {
            object: Object::Network(network.into()),
            expect: Expect::Absent,
        }],
    }
}

fn request(number: u64, settled: u64) -> Option<Request> {
    Some(Request {
        session: 7,
        number,
        settled,
    })
}

fn version(applied: Result<Applied, Rejected>) -> u64 {
    applied.unwrap().version
}

#[test]
fn a_request_that_comes_again_answers_its_first_version_and_changes_nothing() {
    let mut state = State::default();
    assert_eq!(
        version(state.apply_once(4, request(1, 1), &create(1, 1))),
        4
    );
    let before = state.networks().clone();
    let again = state.apply_once(5, request(1, 1), &create(1, 1)).unwrap();
    let expected = Applied {
        version: 4,
        events: Vec::new(),
    };
    assert_eq!(again, expected);
    assert_eq!((state.networks(), state.applied()), (&before, 5));
    // Of another session, or without one, it is another request.
    let other = Some(Request {
        session: 8,
        number: 1,
        settled: 1,
    });
    for stranger in [other, None] {
        let refused = state.apply_once(6, stranger, &create(1, 1)).unwrap_err();
        assert_eq!(refused, Rejected::OutOfSequence(Key::Network(id(1))));
    }
}

#[test]
fn a_request_that_was_rejected_is_judged_again() {
    let mut state = State::default();
    state.apply_once(1, None, &create(1, 1)).unwrap();
    state
        .apply_once(2, request(1, 1), &create(1, 1))
        .unwrap_err();
    let mut remove = create(1, 1);
    remove.changes = vec![Change::Remove {
        key: Key::Network(id(1)),
        expect: Expect::Version(1),
    }];
    state.apply_once(3, None, &remove).unwrap();
    assert_eq!(
        version(state.apply_once(4, request(1, 1), &create(1, 1))),
        4
    );
}

#[test]
fn what_nobody_waits_for_is_forgotten_and_refused_if_it_comes_after_all() {
    let mut state = State::default();
    for number in 1..=5 {
        let applied = state.apply_once(number, request(number, number), &create(number, 1));
        assert_eq!(version(applied), number);
    }
    assert_eq!(state.requests.flat()[0].applied, [(5, 5)]);
    let late = state.apply_once(6, request(3, 1), &create(9, 1));
    assert_eq!(late.unwrap_err(), Rejected::Over);
    assert!(state.networks().get(&id(9)).is_none());
}

#[test]
fn requests_may_come_in_any_order() {
    let mut state = State::default();
    assert_eq!(
        version(state.apply_once(1, request(9, 2), &create(9, 1))),
        1
    );
    assert_eq!(
        version(state.apply_once(2, request(2, 2), &create(2, 1))),
        2
    );
    assert_eq!(
        version(state.apply_once(3, request(9, 2), &create(9, 1))),
        1
    );
}

#[test]
fn requests_stand_in_a_snapshot() {
    let mut state = State::default();
    state.apply_once(1, request(1, 1), &create(1, 1)).unwrap();
    state.apply_once(2, request(2, 1), &create(2, 1)).unwrap();
    let bytes = state.snapshot().to_bytes().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let expected = r#""requests":[{"session":7,"settled":1,"time":1,"applied":[[1,1],[2,2]]}]"#;
    assert!(text.contains(expected), "{text}");
    let snapshot = super::super::Snapshot::from_bytes(&bytes).unwrap();
    let mut restored = State::restore(&snapshot).unwrap();
    assert_eq!(restored, state);
    assert_eq!(
        version(restored.apply_once(3, request(2, 1), &create(2, 1))),
        2
    );
}

#[test]
fn sessions_that_ended_are_forgotten_and_there_are_never_too_many() {
    let mut requests = Requests::default();
    let first = |session| Request {
        session,
        number: 1,
        settled: 1,
    };
    let hours = |hours: u64| ClusterTime(hours * 3600 * 1_000_000_000);
    for session in 0..1000 {
        requests.note(first(session), session + 1, hours(0));
    }
    assert_eq!(requests.0.len(), MOST_SESSIONS);
    assert!(matches!(requests.look_up(first(999)), Known::Applied(1000)));
    requests.note(first(5000), 1, hours(23));
    requests.note(first(5001), 2, hours(24));
    assert_eq!(requests.0.keys().collect::<Vec<_>>(), [&5000, &5001]);
}

#[test]
fn one_request_that_never_ends_does_not_keep_all_others_for_ever() {
    let mut requests = Requests::default();
    let late = MOST_ANSWERS as u64 + 10;
    for number in 1..=late {
        requests.note(request(number, 0).unwrap(), number, ClusterTime(1));
    }
    assert_eq!(requests.0[&7].applied.len(), MOST_ANSWERS);
    assert!(matches!(
        requests.look_up(request(0, 0).unwrap()),
        Known::Over
    ));
    assert!(matches!(
        requests.look_up(request(late, 0).unwrap()),
        Known::Applied(_)
    ));
}
