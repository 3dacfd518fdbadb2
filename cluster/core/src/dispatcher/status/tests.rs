//! What is kept of reports.

use super::*;
use crate::orchestrator::tests::{id, put_task, state, task};
use swarmrs_types::object::TaskStatus;

fn accepted(node: &str, known: TaskState, reported: TaskState, err: &str) -> [usize; 3] {
    let mut one = task("t", 1);
    one.status.state = known;
    let state = state(vec![put_task(&one)]);
    let report = StatusReport {
        task: id("t"),
        status: TaskStatus {
            state: reported,
            err: err.to_owned(),
            ..TaskStatus::default()
        },
    };
    let sorted = accept(&state, id(node), vec![report]);
    [
        sorted.plan.changes.len(),
        sorted.live.len(),
        sorted.refused.len(),
    ]
}

#[test]
fn what_decides_is_written_and_the_rest_kept_in_the_session() {
    use TaskState::{Assigned, Failed, Preparing, Running};
    assert_eq!(accepted("n1", Assigned, Preparing, ""), [0, 1, 0]);
    assert_eq!(
        accepted("n1", Assigned, Preparing, "pull failed"),
        [1, 0, 0]
    );
    assert_eq!(accepted("n1", Assigned, Running, ""), [1, 0, 0]);
    assert_eq!(accepted("n1", Running, Failed, ""), [1, 0, 0]);
}

#[test]
fn what_lies_behind_is_dropped() {
    use TaskState::{Failed, Running, Starting};
    assert_eq!(accepted("n1", Running, Starting, "late"), [0, 0, 0]);
    assert_eq!(accepted("n1", Failed, Running, ""), [0, 0, 0]);
    assert_eq!(accepted("n1", Running, Running, ""), [0, 0, 0]);
}

#[test]
fn a_node_speaks_of_its_own_tasks_only_and_in_words_of_nodes() {
    use TaskState::{Assigned, Failed, Orphaned, Remove, Running};
    assert_eq!(accepted("n2", Running, Failed, ""), [0, 0, 1]);
    assert_eq!(accepted("n1", Running, Remove, ""), [0, 0, 1]);
    assert_eq!(accepted("n1", Running, Orphaned, ""), [0, 0, 1]);
    assert_eq!(accepted("n1", Assigned, Assigned, "x"), [0, 0, 1]);
}
