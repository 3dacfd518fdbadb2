//! Lists and their filters.

use super::*;
use crate::control::list::{ServiceStatus, nodes, service_status, services, tasks};
use swarmrs_types::filter::Filters;

fn filters(value: Value) -> Filters {
    Filters::parse(&value.to_string()).unwrap()
}

/// Services `web` (2 replicas) and `agent` (global), with a few tasks and two nodes.
fn populated() -> (State, ServiceId, ServiceId) {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let two = json!({"Labels": {"tier": "front"}, "Mode": {"Replicated": {"Replicas": 2}}});
    let web = made(&mut state, &mut ids, two);
    let agent = made(
        &mut state,
        &mut ids,
        json!({"Name": "agent", "Mode": {"Global": {}}}),
    );
    let mut first = a_node(1, Role::Manager);
    first
        .spec
        .labels
        .insert("disk".to_owned(), "ssd".to_owned());
    let mut second = a_node(2, Role::Worker);
    let labels = &mut second.description.engine.labels;
    labels.insert("gpu".to_owned(), "yes".to_owned());
    put(&mut state, Object::Node(first.into()));
    put(&mut state, Object::Node(second.into()));
    let on_node = |task: Task, node: u64| Task {
        node: Some(NodeId(raw(node))),
        ..task
    };
    let mut old = a_task(51, web, 1, TaskState::Failed);
    old.desired = TaskState::Shutdown;
    for task in [
        on_node(a_task(52, web, 1, TaskState::Running), 1),
        on_node(old, 2),
        a_task(53, web, 2, TaskState::Pending),
        on_node(a_task(60, agent, 0, TaskState::Running), 1),
        on_node(a_task(61, agent, 0, TaskState::Starting), 2),
    ] {
        put(&mut state, Object::Task(task.into()));
    }
    (state, web, agent)
}

#[test]
fn services_are_narrowed_by_each_filter() {
    let (state, web, agent) = populated();
    let found = |value: Value| -> Vec<ServiceId> {
        let found = services(&state, &filters(value)).unwrap();
        found.iter().map(|service| service.id).collect()
    };
    for (value, ids) in [
        (json!({}), vec![web, agent]),
        (json!({"name": ["we"]}), vec![web]),
        (json!({"name": ["Web"]}), vec![]),
        (json!({"name": ["web", "agent"]}), vec![web, agent]),
        (json!({"id": [web.as_str()]}), vec![web]),
        (json!({"label": ["tier"]}), vec![web]),
        (json!({"label": ["tier=back"]}), vec![]),
        (json!({"mode": ["global"]}), vec![agent]),
        (json!({"mode": ["replicated"]}), vec![web]),
        (json!({"mode": ["global-job"]}), vec![]),
        (json!({"runtime": ["plugin"]}), vec![]),
        (json!({"runtime": ["container"]}), vec![web, agent]),
    ] {
        assert_eq!(found(value.clone()), ids, "{value}");
    }
}

#[test]
fn tasks_are_narrowed_by_each_filter() {
    let (state, web, _) = populated();
    let found = |value: Value| -> Vec<u64> {
        let found = tasks(&state, &filters(value)).unwrap();
        found
            .iter()
            .map(|task| task.id.as_str().parse().unwrap())
            .collect()
    };
    for (value, ids) in [
        (json!({}), vec![51, 52, 53, 60, 61]),
        (json!({"service": ["web"]}), vec![51, 52, 53]),
        (
            json!({"service": [web.as_str(), "agent", "web"]}),
            vec![51, 52, 53, 60, 61],
        ),
        (json!({"service": ["web"], "node": ["host1"]}), vec![52]),
        (json!({"node": ["host2"]}), vec![51, 61]),
        (json!({"desired-state": ["Shutdown"]}), vec![51]),
        (
            json!({"desired-state": ["running", "shutdown"]}),
            vec![51, 52, 53, 60, 61],
        ),
        (json!({"desired-state": [""]}), vec![51, 52, 53, 60, 61]),
        (json!({"name": ["web.1."]}), vec![51, 52]),
        (
            json!({"name": ["agent.0000000000000000000000001."]}),
            vec![60],
        ),
        (
            json!({"id": ["000000000000000000000005"]}),
            vec![51, 52, 53],
        ),
        (json!({"label": ["tier=front"]}), vec![51, 52, 53]),
        (json!({"runtime": ["attachment"]}), vec![]),
    ] {
        assert_eq!(found(value.clone()), ids, "{value}");
    }
}

#[test]
fn tasks_of_an_older_spec_are_not_up_to_date() {
    let (mut state, web, _) = populated();
    let other = spec(json!({
        "Mode": {"Replicated": {"Replicas": 2}},
        "TaskTemplate": {"ContainerSpec": {"Image": "caddy"}},
    }));
    let plan = crate::control::service::update(
        &state,
        "web",
        state.services().get(&web).unwrap().meta.version,
        other,
        Default::default(),
        NOW,
        wall(),
    );
    apply(&mut state, plan.unwrap());
    let fresh = tasks(&state, &filters(json!({"_up-to-date": ["true"]}))).unwrap();
    let services: Vec<ServiceId> = fresh.iter().map(|task| task.service).collect();
    assert!(services.len() == 2 && !services.contains(&web));
}

#[test]
fn nodes_are_narrowed_by_each_filter() {
    let (state, ..) = populated();
    let found = |value: Value| -> Vec<u64> {
        let found = nodes(&state, &filters(value)).unwrap();
        found
            .iter()
            .map(|node| node.id.as_str().parse().unwrap())
            .collect()
    };
    for (value, ids) in [
        (json!({}), vec![1, 2]),
        (json!({"name": ["host"]}), vec![1, 2]),
        (json!({"name": ["host2"]}), vec![2]),
        (json!({"id": [raw(1).as_str()]}), vec![1]),
        (json!({"label": ["gpu=yes"]}), vec![2]),
        (json!({"label": ["disk"]}), vec![]),
        (json!({"node.label": ["disk=ssd"]}), vec![1]),
        (json!({"role": ["Manager"]}), vec![1]),
        (json!({"role": ["manager", "worker"]}), vec![1, 2]),
        (json!({"membership": ["accepted"]}), vec![1, 2]),
        (json!({"membership": ["pending"]}), vec![]),
    ] {
        assert_eq!(found(value.clone()), ids, "{value}");
    }
}

#[test]
fn filters_are_refused_in_dockers_words() {
    let (state, ..) = populated();
    let of_services = |value: Value| said(&services(&state, &filters(value)).unwrap_err());
    let of_tasks = |value: Value| said(&tasks(&state, &filters(value)).unwrap_err());
    let of_nodes = |value: Value| said(&nodes(&state, &filters(value)).unwrap_err());
    let rows = [
        (
            of_services(json!({"foo": ["x"]})),
            "InvalidArgument: invalid filter 'foo'",
        ),
        (
            of_tasks(json!({"mode": ["x"]})),
            "InvalidArgument: invalid filter 'mode'",
        ),
        (
            of_nodes(json!({"service": ["x"]})),
            "InvalidArgument: invalid filter 'service'",
        ),
        (
            of_tasks(json!({"service": ["x"]})),
            "NotFound: service x not found",
        ),
        (
            of_tasks(json!({"node": ["x"]})),
            "NotFound: node x not found",
        ),
        (
            of_tasks(json!({"desired-state": ["allocated"]})),
            "Unknown: Invalid desired-state filter: 'allocated'",
        ),
        (
            of_nodes(json!({"role": ["boss"]})),
            "Unknown: Invalid role filter: 'boss'",
        ),
        (
            of_nodes(json!({"membership": ["maybe"]})),
            "Unknown: Invalid membership filter: 'maybe'",
        ),
    ];
    for (refusal, text) in rows {
        assert_eq!(refusal, text);
    }
}

#[test]
fn a_status_counts_what_runs_and_what_should() {
    let (state, web, agent) = populated();
    let status = |id: ServiceId| service_status(&state, state.services().get(&id).unwrap());
    let counted = |running, desired| ServiceStatus {
        running,
        desired,
        completed: 0,
    };
    assert_eq!(status(web), counted(1, 2));
    assert_eq!(status(agent), counted(1, 2));
}
