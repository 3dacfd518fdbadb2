//! What counts as a failure, what holds a place, and the way back.

use super::*;
use crate::orchestrator::tests::{at, ended, put_service, put_spec, state, task, version, web};
use swarmrs_types::Nanos;
use swarmrs_types::spec::{EndpointSpec, PortConfig, ServiceSpec};

fn made(change: impl FnOnce(&mut Task)) -> Task {
    let mut task = task("t", 1);
    task.origin = TaskOrigin::Update;
    change(&mut task);
    task
}

fn round(config: UpdateConfig, made: Vec<Task>) -> Round {
    let mut service = web();
    service.update = Some(UpdateProgress {
        spec: 1,
        started: at(0),
        slots: 4,
    });
    Round {
        service: Arc::new(service),
        settings: Settings::of(Some(&config)),
        slots: BTreeMap::new(),
        dirty: 0,
        untouched: Vec::new(),
        made: made.into_iter().map(Arc::new).collect(),
    }
}

#[test]
fn without_a_config_one_slot_at_a_time_is_updated_and_a_failure_pauses() {
    let config = UpdateConfig {
        parallelism: 1,
        ..UpdateConfig::default()
    };
    assert_eq!(Settings::of(None), Settings::of(Some(&config)));
    assert_eq!(Settings::of(None).monitor, Duration::from_secs(5));
}

#[test]
fn a_failure_is_an_end_within_the_monitor_time() {
    let round = round(UpdateConfig::default(), Vec::new());
    let verdict = |state, secs| round.is_failure(&made(|t| *t = ended(t.clone(), state, at(secs))));
    assert!(verdict(TaskState::Failed, 4));
    assert!(verdict(TaskState::Complete, 4));
    assert!(verdict(TaskState::Rejected, 0));
    assert!(!verdict(TaskState::Failed, 5));
    assert!(!verdict(TaskState::Shutdown, 1));
    assert!(!verdict(TaskState::Orphaned, 1));
    assert!(!round.is_failure(&made(|_| {})));
}

#[test]
fn one_failure_more_than_the_ratio_allows_ends_an_update() {
    let failed = || made(|t| *t = ended(t.clone(), TaskState::Failed, at(1)));
    let too_often = |ratio, count| {
        let config = UpdateConfig {
            max_failure_ratio: ratio,
            ..UpdateConfig::default()
        };
        let tasks = std::iter::repeat_with(failed).take(count);
        round(config, tasks.collect()).failed_too_often().is_some()
    };
    assert!(!too_often(0.0, 0));
    assert!(too_often(0.0, 1));
    assert!(!too_often(0.25, 1));
    assert!(too_often(0.25, 2));
}

#[test]
fn with_continue_no_failure_counts() {
    let config = UpdateConfig {
        failure_action: Some(FailureAction::Continue),
        ..UpdateConfig::default()
    };
    let failed = made(|t| *t = ended(t.clone(), TaskState::Failed, at(1)));
    assert!(round(config, vec![failed]).failed_too_often().is_none());
}

#[test]
fn a_slot_holds_its_place_until_its_task_runs_and_the_delay_after() {
    let config = UpdateConfig {
        delay: Nanos::from_secs(10),
        ..UpdateConfig::default()
    };
    let round = round(config, Vec::new());
    let busy = |task: Task| match round.busy_until(&task, at(2)) {
        Busy::Unknown => None,
        Busy::Until(time) => Some(time),
    };
    assert_eq!(busy(made(|t| t.running_since = None)), None);
    assert_eq!(busy(made(|t| t.running_since = Some(at(1)))), Some(at(11)));
    let rejected = |t: &mut Task| {
        t.running_since = None;
        t.ended = Some(at(1));
    };
    assert_eq!(busy(made(rejected)), Some(at(11)));
    let given_up = |t: &mut Task| {
        t.running_since = None;
        t.desired = TaskState::Remove;
    };
    assert_eq!(busy(made(given_up)), Some(at(2)));
}

#[test]
fn going_back_brings_the_old_ports_back() {
    let port = PortConfig {
        published_port: 80,
        ..PortConfig::default()
    };
    let old = ServiceSpec {
        endpoint_spec: Some(EndpointSpec {
            ports: vec![port.clone()],
            ..EndpointSpec::default()
        }),
        ..ServiceSpec::default()
    };
    let mut service = web();
    (service.spec, service.previous_spec) = (2, Some(1));
    let specs = [version(1, old), version(2, ServiceSpec::default())].map(put_spec);
    let objects = std::iter::once(put_service(service.clone())).chain(specs);
    let state = state(objects.collect());
    return_to(&Draft::new(&state, at(1)), &mut service, 1).unwrap();
    assert_eq!((service.spec, service.previous_spec), (1, None));
    assert_eq!(service.endpoint.ports, [port]);
}
