//! What a step takes on, and what its plan depends on.

use super::*;
use crate::change::{Guard, Object};
use crate::orchestrator::tests::{
    Counter, at, id, node, put_node, put_service, put_spec, put_task, state, task, version, web,
};
use swarmrs_types::spec::{Mode, Replicated, ServiceSpec};

fn replicas(count: u64) -> Object {
    put_spec(version(
        1,
        ServiceSpec {
            name: "web".to_owned(),
            mode: Mode {
                replicated: Some(Replicated {
                    replicas: Some(count),
                }),
                ..Mode::default()
            },
            ..ServiceSpec::default()
        },
    ))
}

fn first_step(objects: Vec<Object>) -> (Plan, Agenda) {
    let state = state(objects);
    let mut agenda = Agenda::all(&state);
    let plan = step(&state, &mut agenda, at(1), &mut Counter::default());
    (plan, agenda)
}

#[test]
fn a_plan_depends_on_the_services_and_nodes_it_acts_for() {
    let (plan, _) = first_step(vec![put_service(web()), replicas(1), put_node(node("n1"))]);
    let guard = |key| Guard { key, version: 1 };
    let guards = [Key::Node(id("n1")), Key::Service(id("web"))].map(guard);
    assert_eq!(plan.guards, guards);
    assert_eq!(plan.changes.len(), 1);
}

#[test]
fn what_is_as_it_should_be_gives_no_plan_and_no_guard() {
    let running = put_task(&task("t", 1));
    let (plan, agenda) = first_step(vec![
        put_service(web()),
        replicas(1),
        put_node(node("n1")),
        running,
    ]);
    assert_eq!(plan, Plan::default());
    assert!(!agenda.is_due(at(1_000_000)));
}

#[test]
fn what_one_plan_cannot_hold_stays_on_the_agenda() {
    let (plan, agenda) = first_step(vec![put_service(web()), replicas(10_000)]);
    assert_eq!(plan.changes.len(), MOST_CHANGES);
    assert!(agenda.is_due(at(1)));
}

#[test]
fn specs_of_a_removed_service_go_even_if_nobody_saw_it_removed() {
    let (plan, _) = first_step(vec![replicas(1)]);
    assert_eq!(plan.changes.len(), 1);
}
