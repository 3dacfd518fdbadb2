//! Which slots of a job are filled, and what earlier iterations leave.

use super::*;
use crate::orchestrator::tests::{
    Counter, at, ended, id, node, put_node, put_service, put_spec, put_task, state, task, version,
    web,
};
use swarmrs_types::object::Task;
use swarmrs_types::spec::{Global, Mode, RestartCondition, RestartPolicy, ServiceSpec};

/// The second run of `web`, `total` completions, `most` at a time.
fn job(total: u64, most: u64) -> Vec<crate::Object> {
    let mode = Mode {
        replicated_job: Some(ReplicatedJob {
            max_concurrent: Some(most),
            total_completions: Some(total),
        }),
        ..Mode::default()
    };
    running_as(mode)
}

fn global_job() -> Vec<crate::Object> {
    running_as(Mode {
        global_job: Some(Global {}),
        ..Mode::default()
    })
}

fn running_as(mode: Mode) -> Vec<crate::Object> {
    let mut service = web();
    service.job = Some(JobStatus::first(at(0).shown()).next(at(5).shown()));
    let mut spec = ServiceSpec {
        mode,
        ..ServiceSpec::default()
    };
    spec.task_template.restart_policy = Some(RestartPolicy {
        condition: Some(RestartCondition::None),
        ..RestartPolicy::default()
    });
    vec![
        put_service(service),
        put_spec(version(1, spec)),
        put_node(node("n1")),
    ]
}

fn of_run(iteration: u64, mut task: Task) -> Task {
    task.iteration = Some(iteration);
    task.desired = TaskState::Complete;
    task
}

fn done(task: Task) -> Task {
    ended(task, TaskState::Complete, at(6))
}

fn given_up(task: Task) -> Task {
    let mut task = ended(task, TaskState::Failed, at(6));
    task.desired = TaskState::Shutdown;
    task
}

/// The slots made and, of the tasks there were, what each is wanted to be.
fn outcome(mut objects: Vec<crate::Object>, tasks: &[Task]) -> (Vec<u64>, Vec<TaskState>) {
    objects.extend(tasks.iter().map(put_task));
    let state = state(objects);
    let mut draft = Draft::new(&state, at(9));
    reconcile(&mut draft, id("web"), &mut Counter::default());
    let known = |task: &Task| tasks.iter().any(|one| one.id == task.id);
    let made = draft.tasks().iter().filter(|task| !known(task));
    let mut made: Vec<_> = made.map(|task| task.slot).collect();
    made.sort_unstable();
    let wanted = tasks
        .iter()
        .map(|task| draft.tasks().get(&task.id).unwrap());
    (made, wanted.map(|task| task.desired).collect())
}

fn made(objects: Vec<crate::Object>, tasks: &[Task]) -> Vec<u64> {
    outcome(objects, tasks).0
}

#[test]
fn no_more_run_at_a_time_than_the_job_allows() {
    assert_eq!(made(job(5, 2), &[]), [1, 2]);
    let one = of_run(1, task("a", 1));
    assert_eq!(made(job(5, 2), std::slice::from_ref(&one)), [2]);
    assert_eq!(made(job(5, 2), &[one, of_run(1, task("b", 2))]), [0u64; 0]);
}

#[test]
fn no_more_slots_are_filled_than_completions_are_wanted() {
    let first = done(of_run(1, task("a", 1)));
    assert_eq!(made(job(3, 9), std::slice::from_ref(&first)), [2, 3]);
    let rest = [
        first,
        done(of_run(1, task("b", 2))),
        of_run(1, task("c", 3)),
    ];
    assert_eq!(made(job(3, 9), &rest), [0u64; 0]);
}

#[test]
fn a_failed_task_holds_its_slot_until_it_is_replaced() {
    let failed = ended(of_run(1, task("a", 1)), TaskState::Failed, at(6));
    assert_eq!(made(job(3, 1), &[failed]), [0u64; 0]);
}

#[test]
fn a_slot_runs_as_long_as_the_replacement_of_a_task_that_was_done_after_all() {
    let mut late = done(of_run(1, task("a", 1)));
    late.desired = TaskState::Shutdown;
    let replacement = of_run(1, task("b", 1));
    assert_eq!(
        made(job(4, 1), &[late.clone(), replacement.clone()]),
        [0u64; 0]
    );
    assert_eq!(made(job(4, 1), &[late, done(replacement)]), [2]);
}

#[test]
fn a_slot_that_was_given_up_is_left_and_the_others_go_on() {
    assert_eq!(made(job(2, 1), &[given_up(of_run(1, task("a", 1)))]), [2]);
}

#[test]
fn what_an_earlier_run_did_does_not_count() {
    let before = done(of_run(0, task("a", 1)));
    let (made, wanted) = outcome(job(2, 2), &[before]);
    assert_eq!((made, wanted), (vec![1, 2], vec![TaskState::Complete]));
}

#[test]
fn what_is_left_of_an_earlier_run_goes() {
    let failed = ended(of_run(0, task("b", 2)), TaskState::Failed, at(6));
    let (_, wanted) = outcome(job(2, 2), &[of_run(0, task("a", 1)), failed]);
    assert_eq!(wanted, [TaskState::Remove, TaskState::Shutdown]);
}

#[test]
fn each_node_that_was_there_runs_a_global_job_once() {
    assert_eq!(made(global_job(), &[]), [0]);
    let mut finished = done(of_run(1, task("a", 0)));
    assert_eq!(
        made(global_job(), std::slice::from_ref(&finished)),
        [0u64; 0]
    );
    finished.iteration = Some(0);
    let (again, before) = outcome(global_job(), &[finished]);
    assert_eq!((again, before), (vec![0], vec![TaskState::Remove]));
}

#[test]
fn a_node_that_came_later_is_not_invited() {
    let mut objects = global_job();
    let mut service = web();
    service.job = Some(JobStatus::first(swarmrs_types::Timestamp::ZERO));
    objects[0] = put_service(service);
    assert_eq!(made(objects, &[]), [0u64; 0]);
}
