//! What may be told of a plan, and what may not.

use super::*;
use crate::change::Expect;
use crate::orchestrator::tests::{put_task, task, web};
use std::sync::Arc;

fn plan(tasks: Vec<Task>) -> Plan {
    let put = |task: Task| Change::Put {
        object: put_task(&task),
        expect: Expect::Absent,
    };
    Plan {
        changes: tasks.into_iter().map(put).collect(),
        ..Plan::default()
    }
}

fn said(state: TaskState, message: &str, err: &str) -> Task {
    let mut task = task("t", 1);
    task.status.state = state;
    task.status.message = message.to_owned();
    task.status.err = err.to_owned();
    task
}

#[test]
fn the_planners_reason_is_told() {
    let waiting = said(
        TaskState::Pending,
        "pending task scheduling",
        "no suitable node",
    );
    let assigned = said(TaskState::Assigned, "scheduler assigned task to node", "");
    let told = planned_tasks(&plan(vec![waiting, assigned]));
    let reasons: Vec<_> = told.iter().map(|task| &*task.reason).collect();
    assert_eq!(
        reasons,
        ["no suitable node", "scheduler assigned task to node"]
    );
}

#[test]
fn what_an_agent_said_is_not_told() {
    for state in TaskState::ALL
        .into_iter()
        .filter(|state| *state > TaskState::Assigned)
    {
        let told = planned_tasks(&plan(vec![said(state, "canary", "canary")]));
        assert_eq!(told[0].reason, "", "{state}");
    }
}

#[test]
fn of_many_tasks_the_first_are_told() {
    let many = (0..100).map(|_| task("t", 1)).collect();
    assert_eq!(planned_tasks(&plan(many)).len(), MOST_TASKS);
}

#[test]
fn an_event_tells_which_object_went_from_where_to_where() {
    let old = Arc::new(said(TaskState::Starting, "", ""));
    let new = Arc::new(said(TaskState::Failed, "canary", "canary"));
    let event = Event::Task(Delta {
        old: Some(old),
        new: Some(new.clone()),
    });
    let expected = Subject::Task {
        id: new.id,
        service: new.service,
        slot: 1,
        node: new.node,
        desired: TaskState::Running,
        from: Some(TaskState::Starting),
        state: TaskState::Failed,
    };
    assert_eq!(happened(&event), Some((Done::Updated, expected)));
}

#[test]
fn an_object_that_came_or_went_is_told_as_such() {
    let service = Some(Arc::new(web()));
    let came = Event::Service(Delta {
        old: None,
        new: service.clone(),
    });
    let went = Event::Service(Delta {
        old: service,
        new: None,
    });
    assert_eq!(happened(&came).map(|(done, _)| done), Some(Done::Created));
    assert_eq!(happened(&went).map(|(done, _)| done), Some(Done::Removed));
}
