//! Applying and restoring.

use super::*;
use crate::change::{Change, Command, Expect, Guard, Object, Rejected};
use crate::orchestrator::tests::{
    at, id, node, put_node, put_service, put_spec, put_task, state, task, version, web,
};
use crate::plan::Draft;
use swarmrs_types::TaskState;
use swarmrs_types::object::TaskStatus;
use swarmrs_types::spec::ServiceSpec;

fn command(changes: Vec<Change>) -> Command {
    Command {
        time: at(7),
        wall: at(7).shown(),
        guards: Vec::new(),
        changes,
    }
}

fn put(object: Object, expect: Expect) -> Change {
    Change::Put { object, expect }
}

fn report(state: TaskState) -> Change {
    Change::Status {
        task: id("t"),
        status: TaskStatus {
            state,
            ..TaskStatus::default()
        },
    }
}

fn full() -> State {
    state(vec![
        put_node(node("n1")),
        put_service(web()),
        put_spec(version(1, ServiceSpec::default())),
        put_task(&task("t", 1)),
    ])
}

/// The state with the index and time of another: they belong to the log.
fn at_entry(mut state: State, like: &State) -> State {
    (state.applied, state.time) = (like.applied, like.time);
    state
}

#[test]
fn a_stale_write_is_rejected_and_nothing_of_its_command_happens() {
    let before = full();
    let mut after = before.clone();
    let fresh = put(put_node(node("n2")), Expect::Absent);
    let stale = put(put_task(&task("t", 1)), Expect::Version(9));
    let rejected = after.apply(2, &command(vec![fresh, stale]));
    assert_eq!(rejected, Err(Rejected::OutOfSequence(Key::Task(id("t")))));
    assert_eq!(after.applied(), 2);
    assert_eq!(at_entry(before, &after), after);
}

#[test]
fn a_guard_on_what_was_only_read_rejects_too() {
    let mut state = full();
    let mut guarded = command(vec![put(put_node(node("n2")), Expect::Absent)]);
    guarded.guards = vec![Guard {
        key: Key::Service(id("web")),
        version: 4,
    }];
    let key = Key::Service(id("web"));
    assert_eq!(state.apply(2, &guarded), Err(Rejected::OutOfSequence(key)));
    guarded.guards[0].version = 1;
    assert!(state.apply(3, &guarded).is_ok());
}

#[test]
fn an_observed_state_never_goes_back() {
    let mut state = full();
    let events = state.apply(2, &command(vec![report(TaskState::Starting)]));
    assert_eq!(events, Ok(vec![]));
    assert!(
        state
            .apply(3, &command(vec![report(TaskState::Failed)]))
            .is_ok()
    );
    assert_eq!(
        state.apply(4, &command(vec![report(TaskState::Running)])),
        Ok(vec![])
    );
    let task = &state.tasks().get(&id("t")).unwrap();
    assert_eq!(
        (task.status.state, task.ended),
        (TaskState::Failed, Some(at(7)))
    );
    assert_eq!(task.meta.version, 3);
}

#[test]
fn a_report_of_a_task_that_is_gone_changes_nothing() {
    let mut state = State::default();
    assert_eq!(
        state.apply(1, &command(vec![report(TaskState::Failed)])),
        Ok(vec![])
    );
}

#[test]
fn a_name_is_taken_in_any_case_and_free_after_removal() {
    let mut state = full();
    let mut other = web();
    (other.id, other.name) = (id("other"), "WEB".to_owned());
    let create = command(vec![put(put_service(other), Expect::Absent)]);
    let taken = Rejected::NameTaken {
        kind: "service".to_owned(),
        name: "WEB".to_owned(),
    };
    assert_eq!(state.apply(2, &create), Err(taken));
    let key = Key::Service(id("web"));
    let expect = Expect::Version(1);
    state
        .apply(3, &command(vec![Change::Remove { key, expect }]))
        .unwrap();
    assert!(state.apply(4, &create).is_ok());
    assert_eq!(state.service_named("wEb").unwrap().id, id("other"));
}

#[test]
fn a_write_keeps_when_the_object_was_made() {
    let mut state = full();
    let rewrite = put(put_node(node("n1")), Expect::Version(1));
    state.apply(5, &command(vec![rewrite])).unwrap();
    let meta = state.nodes().get(&id("n1")).unwrap().meta;
    assert_eq!((meta.version, meta.created_at), (5, at(0).shown()));
    assert_eq!(meta.updated_at, at(7).shown());
}

#[test]
fn a_snapshot_holds_the_whole_state() {
    let state = full();
    let bytes = state.snapshot().to_bytes().unwrap();
    let snapshot = Snapshot::from_bytes(&bytes).unwrap();
    assert_eq!(State::restore(&snapshot).unwrap(), state);
}

#[test]
fn a_snapshot_of_a_newer_release_is_refused() {
    let mut snapshot = full().snapshot();
    snapshot.format += 1;
    assert!(matches!(
        State::restore(&snapshot),
        Err(SnapshotError::Newer(2))
    ));
}

#[test]
fn a_plan_makes_one_change_of_several_writes_and_none_of_what_it_unmakes() {
    let state = full();
    let mut draft = Draft::new(&state, at(8));
    draft.update_task(id("t"), |task| task.desired = TaskState::Shutdown);
    draft.update_task(id("t"), |task| task.desired = TaskState::Remove);
    draft.put_task(task("passing", 2));
    draft.remove(Key::Task(id("passing")));
    let plan = draft.finish();
    assert_eq!(plan.changes.len(), 1);
    assert!(matches!(
        &plan.changes[0],
        Change::Put {
            expect: Expect::Version(1),
            ..
        }
    ));
}

#[test]
fn a_command_is_these_bytes() {
    let mut golden = command(vec![
        put(put_task(&task("t", 1)), Expect::Absent),
        Change::Remove {
            key: Key::Spec(id("web"), 3),
            expect: Expect::Version(1),
        },
        report(TaskState::Running),
    ]);
    golden.guards = vec![Guard {
        key: Key::Node(id("n1")),
        version: 4,
    }];
    let bytes = serde_json::to_string(&golden).unwrap();
    assert_eq!(bytes, include_str!("tests/command.json").trim_end());
    assert_eq!(serde_json::from_str::<Command>(&bytes).unwrap(), golden);
}

#[test]
fn a_snapshot_is_these_bytes() {
    let bytes = full().snapshot().to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text, include_str!("tests/snapshot.json").trim_end());
}
