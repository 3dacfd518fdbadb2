//! Delays, attempts, crashes and gates.

use super::*;
use crate::orchestrator::tests::{at, ended, held, node, put_node, put_task, state, task, web};
use swarmrs_types::Nanos;

fn with(condition: RestartCondition) -> RestartPolicy {
    RestartPolicy {
        condition: Some(condition),
        ..RestartPolicy::default()
    }
}

fn attempts(most: u64, window: i64) -> RestartPolicy {
    RestartPolicy {
        max_attempts: Some(most),
        window: Some(Nanos::from_secs(window)),
        ..RestartPolicy::default()
    }
}

fn restarted_at(times: &[u64]) -> Task {
    let mut old = ended(task("t", 1), TaskState::Failed, at(100));
    old.history.restarts = times.iter().map(|secs| at(*secs)).collect();
    old
}

#[test]
fn the_delay_doubles_after_five_crashes_up_to_five_minutes() {
    let policy = RestartPolicy::default();
    let delays = [0, 1, 5, 6, 7, 8, 11, 12, 100].map(|crashes| delay(&policy, crashes).as_secs());
    assert_eq!(delays, [5, 5, 5, 10, 20, 40, 300, 300, 300]);
}

#[test]
fn a_delay_longer_than_five_minutes_stays_as_the_user_set_it() {
    let policy = RestartPolicy {
        delay: Some(Nanos::from_secs(900)),
        ..RestartPolicy::default()
    };
    assert_eq!(
        [0, 50].map(|crashes| delay(&policy, crashes).as_secs()),
        [900, 900]
    );
}

#[test]
fn no_delay_stays_none_until_it_has_to_grow() {
    let policy = RestartPolicy {
        delay: Some(Nanos(0)),
        ..RestartPolicy::default()
    };
    let delays = [0, 5, 6, 7, 50].map(|crashes| delay(&policy, crashes).as_secs());
    assert_eq!(delays, [0, 0, 2, 4, 300]);
}

#[test]
fn the_condition_decides_by_how_the_task_ended() {
    let states = [
        TaskState::Complete,
        TaskState::Shutdown,
        TaskState::Failed,
        TaskState::Rejected,
        TaskState::Orphaned,
    ];
    let verdicts = |policy: &RestartPolicy| {
        states.map(|state| allows(policy, &ended(task("t", 1), state, at(1)), at(1)))
    };
    assert_eq!(verdicts(&RestartPolicy::default()), [true; 5]);
    assert_eq!(verdicts(&with(RestartCondition::Any)), [true; 5]);
    assert_eq!(verdicts(&with(RestartCondition::None)), [false; 5]);
    let on_failure = verdicts(&with(RestartCondition::OnFailure));
    assert_eq!(on_failure, [false, true, true, true, true]);
}

#[test]
fn attempts_are_counted_over_all_time_without_a_window() {
    let policy = attempts(2, 0);
    let verdict = |times: &[u64]| allows(&policy, &restarted_at(times), at(100));
    assert_eq!(
        [verdict(&[]), verdict(&[1]), verdict(&[1, 2])],
        [true, true, false]
    );
}

#[test]
fn attempts_before_the_window_do_not_count() {
    let policy = attempts(2, 30);
    let verdict = |times: &[u64]| allows(&policy, &restarted_at(times), at(100));
    assert!(!verdict(&[71, 72]));
    assert!(verdict(&[70, 72]));
}

#[test]
fn no_limit_keeps_no_history() {
    let old = restarted_at(&[1, 2, 3]);
    let history = next_history(&RestartPolicy::default(), &web(), &old, at(100));
    assert!(history.restarts.is_empty());
}

#[test]
fn a_restart_is_remembered_with_those_still_in_the_window() {
    let history = next_history(&attempts(9, 30), &web(), &restarted_at(&[1, 80]), at(100));
    assert_eq!(history.restarts, [at(80), at(100)]);
}

#[test]
fn a_new_spec_starts_without_a_past() {
    let mut old = restarted_at(&[1, 2]);
    old.history.quick_failures = 9;
    let mut service = web();
    service.spec = 2;
    let history = next_history(&attempts(9, 0), &service, &old, at(100));
    assert_eq!(history, RestartHistory::default());
}

#[test]
fn crashes_are_failures_within_ten_seconds_and_forgiven_after_a_minute() {
    let after = |state, secs| {
        let mut old = ended(task("t", 1), state, at(secs));
        old.history.quick_failures = 7;
        quick_failures(&old, at(500))
    };
    assert_eq!(after(TaskState::Failed, 9), 8);
    assert_eq!(after(TaskState::Failed, 10), 7);
    assert_eq!(after(TaskState::Failed, 59), 7);
    assert_eq!(after(TaskState::Failed, 60), 0);
    assert_eq!(after(TaskState::Complete, 1), 7);
    assert_eq!(after(TaskState::Rejected, 1), 7);
}

#[test]
fn a_failure_before_the_task_was_seen_running_is_a_crash() {
    let mut old = ended(task("t", 1), TaskState::Failed, at(90));
    old.running_since = None;
    assert_eq!(quick_failures(&old, at(90)), 1);
}

#[test]
fn a_gate_is_blocked_while_the_old_task_may_run() {
    let old = task("old", 1);
    let new = held(task("new", 1), &old, at(5));
    let opening = |old: Task, node_is: fn(&mut Node)| {
        let mut n1 = node("n1");
        node_is(&mut n1);
        let state = state(vec![put_node(n1), put_task(&old), put_task(&new)]);
        opens(&state, &new)
    };
    assert_eq!(opening(old.clone(), |_| {}), Some(at(60)));
    let stopped = ended(old.clone(), TaskState::Shutdown, at(1));
    assert_eq!(opening(stopped, |_| {}), Some(at(5)));
    let lost = |node: &mut Node| node.status.state = NodeState::Down;
    assert_eq!(opening(old, lost), Some(at(5)));
}

#[test]
fn a_gate_waits_for_what_a_task_given_up_waited_for() {
    let old = task("old", 1);
    let given_up = ended(
        held(task("mid", 1), &old, at(0)),
        TaskState::Shutdown,
        at(1),
    );
    let new = held(task("new", 1), &given_up, at(5));
    let objects = vec![put_node(node("n1")), put_task(&old), put_task(&given_up)];
    assert_eq!(opens(&state(objects), &new), Some(at(60)));
}

#[test]
fn a_task_held_longer_than_its_policy_says_why() {
    let mut new = held(task("new", 1), &task("old", 1), at(10));
    new.history.quick_failures = 5;
    assert_eq!(explained("assigned", &new), "assigned");
    new.history.quick_failures = 6;
    let text = "assigned; restart delayed by 10s after 6 crashes in a row";
    assert_eq!(explained("assigned", &new), text);
}
