//! A node has what its tasks ask for, once, and nothing else.

use super::*;
use crate::change::{Change, Command, Delta, Expect, Object};
use crate::orchestrator::tests::{
    at, id, put_service, put_spec, put_task, state, task, version, web,
};
use serde_json::json;
use std::sync::Arc;
use swarmrs_types::object::{Config, Secret};
use swarmrs_types::spec::{ConfigSpec, SecretSpec, ServiceSpec};

fn secret(name: &str) -> Object {
    Object::Secret(Arc::new(Secret {
        id: id(name),
        meta: Default::default(),
        spec: SecretSpec {
            name: name.to_owned(),
            data: name.as_bytes().to_vec().into(),
            ..SecretSpec::default()
        },
        unknown: Default::default(),
    }))
}

fn config(name: &str) -> Object {
    Object::Config(Arc::new(Config {
        id: id(name),
        meta: Default::default(),
        spec: ConfigSpec {
            name: name.to_owned(),
            data: name.as_bytes().to_vec().into(),
            ..ConfigSpec::default()
        },
        unknown: Default::default(),
    }))
}

/// Asks for the secret `s` twice and the config `c`.
fn asking() -> ServiceSpec {
    let raw = |name: &str| format!("{name:0>25}");
    serde_json::from_value(json!({"Name": "web", "TaskTemplate": {"ContainerSpec": {
        "Secrets": [{"SecretID": raw("s")}, {"SecretID": raw("s")}],
        "Configs": [{"ConfigID": raw("c")}, {"ConfigID": "no id"}],
    }}}))
    .unwrap()
}

fn with(tasks: &[Task]) -> State {
    let objects = [secret("s"), secret("t"), config("c")];
    let rest = [put_service(web()), put_spec(version(1, asking()))];
    let tasks = tasks.iter().map(put_task);
    state(objects.into_iter().chain(rest).chain(tasks).collect())
}

fn in_state(name: &str, state: TaskState) -> Task {
    let mut task = task(name, 1);
    task.status.state = state;
    task
}

fn added(diff: &PayloadDiff) -> Vec<PayloadId> {
    diff.add.iter().map(|payload| payload.id).collect()
}

fn both() -> Vec<PayloadId> {
    vec![PayloadId::Secret(id("s")), PayloadId::Config(id("c"))]
}

fn n1() -> NodeId {
    id("n1")
}

/// What becomes of a task, as the event that says so.
fn event(old: Option<Task>, new: Option<Task>) -> Event {
    Event::Task(Delta {
        old: old.map(Arc::new),
        new: new.map(Arc::new),
    })
}

#[test]
fn a_session_begins_with_what_living_tasks_ask_for_each_once() {
    for (state, needs) in [
        (TaskState::Pending, false),
        (TaskState::Assigned, true),
        (TaskState::Running, true),
        (TaskState::Complete, false),
        (TaskState::Failed, false),
    ] {
        let (_, diff) = Told::complete(&with(&[in_state("t", state)]), n1());
        let expected = if needs { both() } else { Vec::new() };
        assert_eq!(added(&diff), expected, "{state}");
    }
    let two = [
        in_state("a", TaskState::Running),
        in_state("b", TaskState::Ready),
    ];
    let (_, diff) = Told::complete(&with(&two), n1());
    assert_eq!(added(&diff), both());
    assert_eq!(&*diff.add[0].data, b"s");
}

#[test]
fn another_node_is_told_nothing() {
    let here = in_state("t", TaskState::Running);
    let state = with(std::slice::from_ref(&here));
    let (mut told, diff) = Told::complete(&state, id("n2"));
    assert!(diff.is_empty());
    let diff = told.difference(&state, id("n2"), &[event(None, Some(here))]);
    assert!(diff.is_empty());
}

#[test]
fn a_second_task_is_no_news_and_the_last_to_end_takes_all_with_it() {
    let (a, b) = (
        in_state("a", TaskState::Assigned),
        in_state("b", TaskState::Assigned),
    );
    let state = with(&[a.clone(), b.clone()]);
    let mut told = Told::default();
    let first = told.difference(&state, n1(), &[event(None, Some(a.clone()))]);
    assert_eq!(added(&first), both());
    let second = told.difference(&state, n1(), &[event(None, Some(b.clone()))]);
    assert!(second.is_empty());
    let ended = in_state("a", TaskState::Failed);
    let third = told.difference(&state, n1(), &[event(Some(a), Some(ended))]);
    assert!(third.is_empty());
    let last = told.difference(&state, n1(), &[event(Some(b), None)]);
    assert_eq!((last.add.len(), last.forget), (0, both()));
    assert_eq!(told, Told::default());
}

#[test]
fn one_that_ends_while_another_begins_leaves_it_what_it_needs() {
    let (a, b) = (
        in_state("a", TaskState::Running),
        in_state("b", TaskState::Assigned),
    );
    let state = with(&[a.clone(), b.clone()]);
    let mut told = Told::default();
    told.difference(&state, n1(), &[event(None, Some(a.clone()))]);
    let ended = in_state("a", TaskState::Failed);
    let events = [event(Some(a), Some(ended)), event(None, Some(b))];
    let diff = told.difference(&state, n1(), &events);
    assert_eq!((added(&diff), diff.forget), (both(), both()));
}

#[test]
fn what_the_cluster_has_forgotten_cannot_be_told() {
    let mut state = with(&[in_state("t", TaskState::Assigned)]);
    state.lift(crate::change::Key::Secret(id("s")));
    let (_, diff) = Told::complete(&state, n1());
    assert_eq!(added(&diff), [PayloadId::Config(id("c"))]);
}

/// The guard in `apply`: a service that began to use it meanwhile keeps it.
#[test]
fn what_a_service_uses_is_not_removed_whoever_decided_it() {
    let mut state = with(&[]);
    let remove = |name: &str| Command {
        time: at(1),
        wall: at(1).shown(),
        guards: Vec::new(),
        changes: vec![Change::Remove {
            key: crate::change::Key::Secret(id(name)),
            expect: Expect::Version(1),
        }],
    };
    assert!(state.apply(2, &remove("s")).is_err());
    assert!(state.apply(3, &remove("t")).is_ok());
    assert_eq!((state.secrets().len(), state.secret_named("T")), (1, None));
}

#[test]
fn a_snapshot_with_payloads_is_these_bytes() {
    let state = state(vec![secret("s"), config("c")]);
    let bytes = state.snapshot().to_bytes().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert_eq!(text, include_str!("snapshot.json").trim_end());
    let snapshot = crate::state::Snapshot::from_bytes(&bytes).unwrap();
    assert_eq!(State::restore(&snapshot).unwrap(), state);
}
