//! What counts as converged, and which reason is told.

use super::*;
use std::sync::Arc;
use swarmrs_core::{Change, Command, Expect, Object};
use swarmrs_types::object::{SpecVersion, TaskOrigin, TaskStatus, UpdateStatus};
use swarmrs_types::spec::{Replicated, ServiceSpec};
use swarmrs_types::{ClusterTime, ServiceId, TaskId, Timestamp};

const SERVICE: &str = "abcdefghijklmno0123456789";

fn service() -> Service {
    Service {
        id: SERVICE.parse::<ServiceId>().unwrap(),
        meta: Default::default(),
        name: "web".to_owned(),
        spec: 1,
        previous_spec: None,
        last_spec: 1,
        endpoint: Default::default(),
        update_status: None,
        update: None,
        job: None,
        unknown: Default::default(),
    }
}

/// A task of slot 1; later ones are younger.
fn task(number: u64, state: TaskState, err: &str) -> Task {
    let ended = state.is_terminal();
    Task {
        id: format!("{number:0>25}").parse::<TaskId>().unwrap(),
        meta: Default::default(),
        service: SERVICE.parse().unwrap(),
        spec: 1,
        slot: 1,
        node: None,
        desired: if ended {
            TaskState::Shutdown
        } else {
            TaskState::Running
        },
        status: TaskStatus {
            state,
            message: "as it goes".to_owned(),
            err: err.to_owned(),
            ..TaskStatus::default()
        },
        created: ClusterTime(number),
        origin: TaskOrigin::Scale,
        gate: None,
        running_since: None,
        ended: None,
        history: Default::default(),
        iteration: None,
        resources: Vec::new(),
        networks: Vec::new(),
        unknown: Default::default(),
    }
}

fn look(
    replicas: u64,
    update: Option<UpdateState>,
    tasks: Vec<Task>,
) -> (Convergence, ServiceReport) {
    let mut service = service();
    service.update_status = update.map(|state| UpdateStatus {
        state,
        started_at: None,
        completed_at: None,
        message: "as the updater says".to_owned(),
    });
    let mut spec = ServiceSpec::default();
    spec.mode.replicated = Some(Replicated {
        replicas: Some(replicas),
    });
    let spec = SpecVersion {
        service: service.id,
        number: 1,
        spec,
        registry_auth: None,
        unknown: Default::default(),
    };
    let mut objects = vec![
        Object::Spec(Arc::new(spec)),
        Object::Service(Arc::new(service.clone())),
    ];
    objects.extend(tasks.into_iter().map(|task| Object::Task(Arc::new(task))));
    let put = |object| Change::Put {
        object,
        expect: Expect::Absent,
    };
    let command = Command {
        time: ClusterTime(1),
        wall: Timestamp::ZERO,
        guards: Vec::new(),
        changes: objects.into_iter().map(put).collect(),
    };
    let mut state = State::default();
    state.apply(1, &command).unwrap();
    let local = "0123456789abcdefghijklmno".parse().unwrap();
    convergence(&ClusterView::of_log(Arc::new(state), local), &service)
}

#[test]
fn a_service_whose_tasks_run_is_converged() {
    let (found, report) = look(1, None, vec![task(1, TaskState::Running, "")]);
    assert_eq!(found, Convergence::Converged);
    assert_eq!(
        (report.running, report.desired, &*report.reason),
        (1, 1, "")
    );
    let none = look(
        0,
        None,
        vec![task(1, TaskState::Failed, "task: non-zero exit (1)")],
    );
    assert_eq!(none.0, Convergence::Converged);
}

#[test]
fn the_schedulers_words_are_the_reason() {
    let why = "no suitable node (1 node not available for new tasks)";
    let (found, report) = look(1, None, vec![task(1, TaskState::Pending, why)]);
    assert_eq!((found, &*report.reason), (Convergence::Not, why));
}

#[test]
fn the_reason_of_a_task_held_back_is_why_the_one_before_ended() {
    let ended = [
        task(1, TaskState::Failed, "task: non-zero exit (1)"),
        task(2, TaskState::Rejected, "No such image: nowhere"),
    ];
    let mut tasks = ended.to_vec();
    tasks.push(task(3, TaskState::Ready, ""));
    let (found, report) = look(1, None, tasks);
    assert_eq!(found, Convergence::Not);
    assert_eq!(report.reason, "No such image: nowhere");
}

#[test]
fn without_any_error_it_is_told_where_the_task_is() {
    let (_, report) = look(1, None, vec![task(1, TaskState::Preparing, "")]);
    assert_eq!(report.reason, "preparing: as it goes");
    let (_, report) = look(1, None, vec![task(1, TaskState::Complete, "")]);
    assert_eq!(report.reason, "complete: as it goes");
}

#[test]
fn an_update_that_is_not_over_is_not_converged_even_if_all_tasks_run() {
    for state in [
        UpdateState::Updating,
        UpdateState::Paused,
        UpdateState::RollbackStarted,
        UpdateState::RollbackPaused,
    ] {
        let (found, report) = look(1, Some(state), vec![task(1, TaskState::Running, "")]);
        assert_eq!(found, Convergence::Not, "{state:?}");
        assert_eq!(report.reason, "as the updater says");
        assert_eq!(report.update, state.as_str());
    }
    let (found, _) = look(
        1,
        Some(UpdateState::Completed),
        vec![task(1, TaskState::Running, "")],
    );
    assert_eq!(found, Convergence::Converged);
}

#[test]
fn an_update_that_was_taken_back_is_told_apart() {
    let rolled = Some(UpdateState::RollbackCompleted);
    let (found, report) = look(1, rolled, vec![task(1, TaskState::Running, "")]);
    assert_eq!(found, Convergence::RolledBack);
    assert_eq!(report.reason, "as the updater says");
    let (found, _) = look(1, rolled, Vec::new());
    assert_eq!(found, Convergence::Not);
}
