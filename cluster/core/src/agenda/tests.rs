//! What events put on the agenda.

use super::*;
use crate::orchestrator::tests::{at, ended, id, put_task, state, task};
use std::sync::Arc;

fn noted(old: Option<Task>, new: Option<Task>) -> Agenda {
    let mut agenda = Agenda::default();
    let delta = Delta {
        old: old.map(Arc::new),
        new: new.map(Arc::new),
    };
    agenda.note(&State::default(), &Event::Task(delta));
    agenda
}

fn wanted(mut task: Task, desired: TaskState) -> Task {
    task.desired = desired;
    task
}

#[test]
fn a_task_that_gives_room_makes_the_waiting_ones_be_tried() {
    let running = || Some(task("t", 1));
    assert!(!noted(None, running()).retry);
    assert!(!noted(running(), running()).retry);
    assert!(noted(running(), None).retry);
    assert!(noted(running(), Some(wanted(task("t", 1), TaskState::Shutdown))).retry);
    let leaving = Some(wanted(task("t", 1), TaskState::Shutdown));
    let gone = Some(ended(
        wanted(task("t", 1), TaskState::Shutdown),
        TaskState::Shutdown,
        at(1),
    ));
    assert!(noted(leaving, gone).retry);
}

#[test]
fn a_plan_that_was_rejected_leaves_nothing_out() {
    let state = state(vec![put_task(&task("t", 1))]);
    let before = Agenda::all(&state);
    let mut agenda = before.clone();
    assert_eq!(agenda.take_services(at(0), 10), [id("web")]);
    agenda.take_unplaced();
    assert!(!agenda.is_due(at(0)));
    agenda.put_back(before.clone());
    assert_eq!(agenda, before);
}

#[test]
fn a_timer_brings_its_service_once_its_time_has_come() {
    let mut agenda = Agenda::default();
    agenda.wake(id("web"), at(7));
    agenda.wake(id("web"), at(5));
    agenda.wake(id("web"), at(6));
    assert_eq!(agenda.next_wake(), Some(at(5)));
    assert_eq!(agenda.take_services(at(4), 10), []);
    assert_eq!(agenda.take_services(at(5), 10), [id("web")]);
    assert_eq!(agenda.next_wake(), None);
}

#[test]
fn what_is_not_taken_stays() {
    let mut agenda = Agenda::default();
    agenda.wake(id("a"), at(1));
    agenda.wake(id("b"), at(1));
    assert_eq!(agenda.take_services(at(2), 1), [id("a")]);
    assert!(agenda.is_due(at(2)));
    assert_eq!(agenda.take_services(at(2), 1), [id("b")]);
}
