use super::*;
use serde_json::json;
use swarmrs_core::Draft;
use swarmrs_types::{ClusterTime, TaskState, Timestamp};

fn id(number: u8) -> TaskId {
    format!("{number:025}").parse().unwrap()
}

fn task(number: u8, state: TaskState) -> Task {
    let task = json!({
        "id": id(number), "service": format!("{:025}", 1), "spec": 1, "slot": 1, "node": null,
        "desired": TaskState::Running, "status": status(state, 0), "created": ClusterTime(1),
        "origin": "scale", "gate": null, "running_since": null, "ended": null,
        "history": {"restarts": [], "quick_failures": 0},
    });
    serde_json::from_value(task).unwrap()
}

fn status(state: TaskState, second: i64) -> TaskStatus {
    TaskStatus {
        at: Timestamp::from_unix_nanos(i128::from(second) * 1_000_000_000),
        state,
        ..TaskStatus::default()
    }
}

fn report(number: u8, state: TaskState, second: i64) -> StatusReport {
    StatusReport {
        task: id(number),
        status: status(state, second),
    }
}

/// A state with these tasks, and what made it.
fn agreed(tasks: &[(u8, TaskState)]) -> (Arc<State>, Vec<Event>) {
    let mut state = State::default();
    let mut draft = Draft::new(&state, ClusterTime(1));
    for (number, at) in tasks {
        draft.put_task(task(*number, *at));
    }
    let command = draft
        .finish()
        .into_command(ClusterTime(1), Timestamp::now());
    let events = state.apply(1, &command).unwrap();
    (Arc::new(state), events)
}

fn shown(live: &LiveStatuses) -> Vec<(TaskId, TaskState)> {
    let all = live.snapshot();
    all.iter().map(|(task, one)| (*task, one.state)).collect()
}

fn told(owed: &Owed) -> Vec<(TaskId, TaskState)> {
    let reports = owed.reports.iter();
    reports.map(|one| (one.task, one.status.state)).collect()
}

#[test]
fn a_status_never_goes_back_whoever_tells_it() {
    let (state, _) = agreed(&[(1, TaskState::Assigned)]);
    let live = LiveStatuses::default();
    live.hear(|| state.clone(), vec![report(1, TaskState::Starting, 5)]);
    live.learn(|| state.clone(), vec![report(1, TaskState::Preparing, 9)]);
    live.hear(|| state.clone(), vec![report(1, TaskState::Preparing, 9)]);
    assert_eq!(shown(&live), [(id(1), TaskState::Starting)]);
    // In the same state the later word counts.
    live.learn(|| state.clone(), vec![report(1, TaskState::Starting, 4)]);
    assert_eq!(live.snapshot()[&id(1)].at, status(TaskState::New, 5).at);
    live.learn(|| state.clone(), vec![report(1, TaskState::Starting, 6)]);
    assert_eq!(live.snapshot()[&id(1)].at, status(TaskState::New, 6).at);
}

#[test]
fn what_the_log_has_or_nobody_knows_is_not_kept() {
    let (state, _) = agreed(&[(1, TaskState::Running)]);
    let live = LiveStatuses::default();
    let reports = || {
        vec![
            report(1, TaskState::Starting, 5),
            report(2, TaskState::Preparing, 5),
        ]
    };
    live.hear(|| state.clone(), reports());
    live.learn(|| state.clone(), reports());
    assert_eq!(shown(&live), []);
    assert!(!live.has_heard());
}

#[test]
fn others_are_owed_what_was_heard_here_and_no_more() {
    let (state, _) = agreed(&[
        (1, TaskState::Assigned),
        (2, TaskState::Assigned),
        (3, TaskState::Assigned),
    ]);
    let live = LiveStatuses::default();
    live.learn(|| state.clone(), vec![report(3, TaskState::Preparing, 1)]);
    assert_eq!(live.owed(0, 9), Owed::default());
    let both = vec![
        report(1, TaskState::Preparing, 1),
        report(2, TaskState::Preparing, 1),
    ];
    live.hear(|| state.clone(), both);
    let first = live.owed(0, 1);
    assert_eq!(told(&first), [(id(1), TaskState::Preparing)]);
    let rest = live.owed(first.last, 9);
    assert_eq!(told(&rest), [(id(2), TaskState::Preparing)]);
    assert_eq!(live.owed(rest.last, 9), Owed::default());
    // Of a task the latest only.
    live.hear(|| state.clone(), vec![report(1, TaskState::Starting, 2)]);
    assert_eq!(
        told(&live.owed(rest.last, 9)),
        [(id(1), TaskState::Starting)]
    );
    assert_eq!(told(&live.owed(0, 9)).len(), 2);
}

#[test]
fn what_the_log_overtakes_goes() {
    let (before, _) = agreed(&[(1, TaskState::Assigned), (2, TaskState::Assigned)]);
    let live = LiveStatuses::default();
    let both = vec![
        report(1, TaskState::Starting, 1),
        report(2, TaskState::Starting, 1),
    ];
    live.hear(|| before.clone(), both);
    let (_, events) = agreed(&[(1, TaskState::Running), (2, TaskState::Assigned)]);
    live.follow(&events);
    assert_eq!(shown(&live), [(id(2), TaskState::Starting)]);
    assert_eq!(told(&live.owed(0, 9)), [(id(2), TaskState::Starting)]);
}
