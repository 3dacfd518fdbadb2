//! What the plans for services write, whole.

use super::*;
use crate::change::{Expect, Key, Rejected};
use crate::control::fault_of;
use crate::control::service::{AuthFrom, UpdateOptions, remove, update};
use swarmrs_types::object::{
    Endpoint, RegistryAuth, Service, SpecVersion, UpdateState, UpdateStatus,
};
use swarmrs_types::spec::{PortConfig, Protocol, PublishMode};

fn auth(text: &str) -> Option<RegistryAuth> {
    Some(RegistryAuth(text.into()))
}

fn stored(patch: Value) -> ServiceSpec {
    let mut whole = json!({
        "Name": "web",
        "TaskTemplate": {
            "ContainerSpec": {"Image": "nginx", "Isolation": "default"},
            "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    });
    lay(&mut whole, patch);
    read(&whole)
}

fn version(service: ServiceId, number: u64, patch: Value, auth: Option<RegistryAuth>) -> Object {
    Object::Spec(
        SpecVersion {
            service,
            number,
            spec: stored(patch),
            registry_auth: auth,
            unknown: Default::default(),
        }
        .into(),
    )
}

fn new_service(id: ServiceId) -> Service {
    Service {
        id,
        meta: Meta::default(),
        name: "web".to_owned(),
        spec: 1,
        previous_spec: None,
        last_spec: 1,
        endpoint: Endpoint::default(),
        update_status: None,
        update: None,
        job: None,
        unknown: Default::default(),
    }
}

fn absent(object: Object) -> Change {
    Change::Put {
        object,
        expect: Expect::Absent,
    }
}

fn at(version: u64, object: Object) -> Change {
    Change::Put {
        object,
        expect: Expect::Version(version),
    }
}

/// A service that was updated once: from nginx to caddy.
fn updated() -> (State, ServiceId) {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let (id, plan) = create(&state, spec(json!({})), auth("one"), NOW, &mut ids).unwrap();
    apply(&mut state, plan);
    let options = UpdateOptions {
        auth: auth("two"),
        ..UpdateOptions::default()
    };
    let plan = update(&state, "web", 1, spec(caddy()), options, NOW, wall()).unwrap();
    apply(&mut state, plan);
    (state, id)
}

fn caddy() -> Value {
    json!({"TaskTemplate": {"ContainerSpec": {"Image": "caddy"}}})
}

#[test]
fn a_new_service_stands_at_its_first_spec() {
    let state = State::default();
    let asked = json!({"EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishMode": "host"}]}});
    let (id, plan) = create(&state, spec(asked), auth("x"), NOW, &mut Counter::default()).unwrap();
    let mut service = new_service(id);
    service.endpoint.ports = vec![PortConfig {
        protocol: Some(Protocol::Tcp),
        target_port: 80,
        publish_mode: Some(PublishMode::Host),
        ..PortConfig::default()
    }];
    let filled = json!({"EndpointSpec": {"Mode": "vip", "Ports": [
        {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "host"},
    ]}});
    let expected = Plan {
        guards: vec![],
        changes: vec![
            absent(Object::Service(service.into())),
            absent(version(id, 1, filled, auth("x"))),
        ],
        wake_at: None,
    };
    assert_eq!(plan, expected);
}

#[test]
fn a_service_without_a_name_gets_one_that_is_free() {
    let state = State::default();
    let unnamed = || spec(json!({"Name": null}));
    let name = |state: &State| {
        let (id, plan) = create(state, unnamed(), None, NOW, &mut Counter::default()).unwrap();
        let mut after = state.clone();
        apply(&mut after, plan);
        let name = after.services().get(&id).unwrap().name.clone();
        (name, after)
    };
    let (first, taken) = name(&state);
    let (adjective, surname) = first.split_once('_').unwrap();
    assert!(!adjective.is_empty() && !surname.is_empty());
    assert_eq!(name(&state).0, first);
    let (id, plan) = create(&taken, unnamed(), None, NOW, &mut Counter(100)).unwrap();
    assert!(!plan.is_empty() && id.as_str().ends_with("102"));
    let mut again = Counter::default();
    let (_, plan) = create(&taken, unnamed(), None, NOW, &mut again).unwrap();
    assert!(again.0 > 2, "the first name drawn was taken");
    let mut after = taken.clone();
    apply(&mut after, plan);
    assert_eq!(after.services().len(), 2);
}

#[test]
fn a_name_is_taken_whatever_its_case() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    made(&mut state, &mut ids, json!({}));
    let again = create(&state, spec(json!({"Name": "WEB"})), None, NOW, &mut ids);
    let text = "name conflicts with an existing object: service WEB already exists";
    assert_eq!(
        said(&again.unwrap_err()),
        format!("manager AlreadyExists: {text}")
    );
}

#[test]
fn two_creators_of_one_name_get_the_same_answer_whoever_is_late() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let (_, first) = create(&state, spec(json!({})), None, NOW, &mut ids).unwrap();
    let (_, second) = create(&state, spec(json!({})), None, NOW, &mut ids).unwrap();
    apply(&mut state, first);
    let rejected = state
        .apply(2, &second.into_command(NOW, wall()))
        .unwrap_err();
    let early = create(&state, spec(json!({})), None, NOW, &mut ids).unwrap_err();
    assert_eq!(fault_of(&rejected), early);
    let stale = Rejected::OutOfSequence(Key::Cluster);
    assert_eq!(
        said(&fault_of(&stale)),
        "manager Unknown: update out of sequence"
    );
}

#[test]
fn an_update_moves_to_a_new_spec_and_remembers_the_old() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = made(&mut state, &mut ids, json!({}));
    let mut old = new_service(id);
    old.meta = state.services().get(&id).unwrap().meta;
    old.update_status = Some(UpdateStatus {
        state: UpdateState::Completed,
        started_at: None,
        completed_at: None,
        message: String::new(),
    });
    put(&mut state, Object::Service(old.into()));
    let meta = state.services().get(&id).unwrap().meta;
    let plan = update(
        &state,
        "web",
        2,
        spec(caddy()),
        UpdateOptions::default(),
        NOW,
        wall(),
    );
    let new = Service {
        meta,
        spec: 2,
        previous_spec: Some(1),
        last_spec: 2,
        ..new_service(id)
    };
    let expected = Plan {
        guards: vec![],
        changes: vec![
            at(2, Object::Service(new.into())),
            absent(version(id, 2, caddy(), None)),
        ],
        wake_at: None,
    };
    assert_eq!(plan.unwrap(), expected);
}

#[test]
fn a_rollback_swaps_the_specs_and_a_second_one_swaps_them_back() {
    let (mut state, id) = updated();
    let options = UpdateOptions {
        rollback: true,
        ..UpdateOptions::default()
    };
    let meta = state.services().get(&id).unwrap().meta;
    let plan = update(
        &state,
        "web",
        2,
        spec(caddy()),
        options.clone(),
        NOW,
        wall(),
    )
    .unwrap();
    let service = Service {
        meta,
        spec: 1,
        previous_spec: Some(2),
        last_spec: 2,
        update_status: Some(UpdateStatus {
            state: UpdateState::RollbackStarted,
            started_at: Some(wall()),
            completed_at: None,
            message: "manually requested rollback".to_owned(),
        }),
        ..new_service(id)
    };
    let expected = Plan {
        guards: vec![],
        changes: vec![at(2, Object::Service(service.into()))],
        wake_at: None,
    };
    assert_eq!(plan, expected);
    apply(&mut state, plan);
    let plan = update(&state, "web", 3, spec(caddy()), options, NOW, wall()).unwrap();
    apply(&mut state, plan);
    let service = state.services().get(&id).unwrap();
    assert_eq!(
        (service.spec, service.previous_spec, service.last_spec),
        (2, Some(1), 2)
    );
}

#[test]
fn an_update_after_a_rollback_gives_a_number_never_given_before() {
    let (mut state, id) = updated();
    let options = UpdateOptions {
        rollback: true,
        ..UpdateOptions::default()
    };
    let plan = update(&state, "web", 2, spec(caddy()), options, NOW, wall()).unwrap();
    apply(&mut state, plan);
    let plan = update(
        &state,
        "web",
        3,
        spec(json!({})),
        UpdateOptions::default(),
        NOW,
        wall(),
    );
    apply(&mut state, plan.unwrap());
    let service = state.services().get(&id).unwrap();
    assert_eq!(
        (service.spec, service.previous_spec, service.last_spec),
        (3, Some(1), 3)
    );
}

#[test]
fn the_registry_login_is_kept_unless_a_new_one_comes() {
    let (state, id) = updated();
    let login = |options: UpdateOptions| {
        let plan = update(&state, "web", 2, spec(json!({})), options, NOW, wall()).unwrap();
        let mut after = state.clone();
        apply(&mut after, plan);
        after.spec(id, 3).unwrap().registry_auth.clone()
    };
    let from = |auth_from: AuthFrom| UpdateOptions {
        auth_from,
        ..UpdateOptions::default()
    };
    assert_eq!(login(from(AuthFrom::Spec)), auth("two"));
    assert_eq!(login(from(AuthFrom::PreviousSpec)), auth("one"));
    let new = UpdateOptions {
        auth: auth("three"),
        ..from(AuthFrom::PreviousSpec)
    };
    assert_eq!(login(new), auth("three"));
}

#[test]
fn the_login_of_a_previous_spec_needs_one() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    made(&mut state, &mut ids, json!({}));
    let options = UpdateOptions {
        auth_from: AuthFrom::PreviousSpec,
        ..UpdateOptions::default()
    };
    let fault = update(&state, "web", 1, spec(json!({})), options, NOW, wall()).unwrap_err();
    assert_eq!(
        said(&fault),
        "Unknown: service does not have a previous spec"
    );
}

#[test]
fn a_removed_service_takes_its_tasks_with_it() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = made(&mut state, &mut ids, json!({}));
    let running = a_task(50, id, 1, TaskState::Running);
    let mut leaving = a_task(51, id, 2, TaskState::Running);
    leaving.desired = TaskState::Remove;
    put(&mut state, Object::Task(running.clone().into()));
    put(&mut state, Object::Task(leaving.into()));
    let mut going = (**state.tasks().get(&running.id).unwrap()).clone();
    going.desired = TaskState::Remove;
    let expected = Plan {
        guards: vec![],
        changes: vec![
            Change::Remove {
                key: Key::Service(id),
                expect: Expect::Version(1),
            },
            at(2, Object::Task(going.into())),
        ],
        wake_at: None,
    };
    assert_eq!(remove(&state, "web"), Ok((id, expected)));
    assert_eq!(
        said(&remove(&state, "gone").unwrap_err()),
        "NotFound: service gone not found"
    );
}

#[test]
fn removing_a_large_service_stays_within_one_command() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = made(&mut state, &mut ids, json!({}));
    for number in 0..600 {
        let task = a_task(1_000 + number, id, number + 1, TaskState::Running);
        put(&mut state, Object::Task(task.into()));
    }
    let (_, plan) = remove(&state, "web").unwrap();
    assert_eq!(plan.changes.len(), 401);
}

#[test]
fn host_ports_may_be_shared_but_not_with_the_mesh() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let published = |name: &str, mode: &str| {
        json!({"Name": name, "EndpointSpec": {"Ports": [
            {"TargetPort": 80, "PublishedPort": 80, "PublishMode": mode},
        ]}})
    };
    let first = made(&mut state, &mut ids, published("a", "host"));
    made(&mut state, &mut ids, published("b", "host"));
    let refusal = |state: &State, patch: Value| {
        let made = create(state, spec(patch), None, NOW, &mut Counter(500));
        said(&made.unwrap_err())
    };
    let host = format!(
        "manager InvalidArgument: port '80' is already in use by service 'a' ({first}) as a host-published port"
    );
    assert_eq!(refusal(&state, published("c", "ingress")), host);
    let mut meshed = (**state.services().get(&first).unwrap()).clone();
    meshed.endpoint.ports[0].publish_mode = Some(PublishMode::Ingress);
    meshed.endpoint.ports[0].published_port = 8080;
    put(&mut state, Object::Service(meshed.into()));
    let mesh = format!(
        "manager InvalidArgument: port '8080' is already in use by service 'a' ({first}) as an ingress port"
    );
    let other = json!({"Name": "c", "EndpointSpec": {"Ports": [
        {"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"},
    ]}});
    assert_eq!(refusal(&state, other), mesh);
    let udp = json!({"Name": "c", "EndpointSpec": {"Ports": [
        {"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host", "Protocol": "udp"},
    ]}});
    made(&mut state, &mut ids, udp);
}
