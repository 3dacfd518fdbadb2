//! swarmrsd ends without warning and comes back: whatever ran, runs on, and nothing is doubled or lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::sync::MutexGuard;
use std::thread;
use std::time::Duration;

use serde_json::json;
use swarmrs_compat_tests::observe::{
    TaskContainer, task_containers, tasks, wait_for_replicas, wait_until_gone,
};
use swarmrs_compat_tests::testbed::{IMAGE, shared, unique};
use swarmrs_compat_tests::{Host, Options, Testbed, swarm, wait};

const SOON: Duration = Duration::from_secs(60);

/// How long after a request swarmrsd is killed: from before its answer to after its work.
/// Closest where creates and starts are on their way to the engine.
const MOMENTS: [u64; 18] = [
    0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 220, 320, 450, 700, 1100,
];

fn swarm() -> MutexGuard<'static, Testbed> {
    let mut testbed = shared(&Options::default());
    if testbed.host(0).engine().pid().is_none() {
        testbed.host_mut(0).start_engine().unwrap();
    }
    if testbed.host(0).daemon().pid().is_none() {
        testbed.host_mut(0).start_daemon().unwrap();
    }
    swarm::init(testbed.host(0));
    testbed
}

fn sleeper(name: &str, replicas: usize, stop_signal: &str) -> serde_json::Value {
    json!({
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {
            "Image": IMAGE, "Command": ["sleep", "600"], "StopSignal": stop_signal, "StopGracePeriod": 1_000_000_000,
        }},
        "Mode": {"Replicated": {"Replicas": replicas}},
    })
}

fn create(host: &Host, name: &str, replicas: usize) {
    let answer = host
        .api(
            "POST",
            "/services/create",
            Some(&sleeper(name, replicas, "SIGKILL")),
        )
        .unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn crash(testbed: &mut Testbed) {
    testbed.host_mut(0).kill_daemon();
    testbed.host_mut(0).start_daemon().unwrap();
}

/// Each running container belongs to one task that should run, and each such task has exactly one.
fn matches(host: &Host, service: &str, replicas: usize) -> Result<Vec<TaskContainer>, String> {
    let wanted: Vec<_> = tasks(host, service).map_err(|e| e.to_string())?;
    let wanted: BTreeSet<String> = wanted
        .iter()
        .filter(|task| task["DesiredState"] == "running" && task["Status"]["State"] == "running")
        .map(|task| task["ID"].as_str().unwrap().to_owned())
        .collect();
    let containers = task_containers(host, service).map_err(|e| e.to_string())?;
    let running: Vec<_> = containers
        .iter()
        .filter(|container| container.running)
        .cloned()
        .collect();
    let of: BTreeSet<String> = running
        .iter()
        .map(|container| container.task.clone())
        .collect();
    if wanted.len() == replicas && running.len() == replicas && of == wanted {
        return Ok(running);
    }
    Err(format!("tasks {wanted:?}, containers {containers:?}"))
}

#[test]
fn a_kill_at_rest_leaves_containers_and_start_times_alone() {
    let mut testbed = swarm();
    let name = unique("calm");
    create(testbed.host(0), &name, 3);
    wait_for_replicas(testbed.host(0), &name, "3/3").unwrap();
    let before = task_containers(testbed.host(0), &name).unwrap();
    for _ in 0..3 {
        crash(&mut testbed);
        let host = testbed.host(0);
        wait::until("the same tasks", SOON, || matches(host, &name, 3)).unwrap();
        assert_eq!(task_containers(host, &name).unwrap(), before);
    }
    testbed.host(0).docker_ok(&["service", "rm", &name]);
    wait_until_gone(testbed.host(0), &name).unwrap();
}

#[test]
fn an_orderly_end_stops_no_task() {
    let mut testbed = swarm();
    let name = unique("calm");
    create(testbed.host(0), &name, 2);
    wait_for_replicas(testbed.host(0), &name, "2/2").unwrap();
    let before = task_containers(testbed.host(0), &name).unwrap();
    testbed.host_mut(0).stop_daemon().unwrap();
    assert_eq!(task_containers(testbed.host(0), &name).unwrap(), before);
    testbed.host_mut(0).start_daemon().unwrap();
    wait::until("the same tasks", SOON, || {
        matches(testbed.host(0), &name, 2)
    })
    .unwrap();
    assert_eq!(task_containers(testbed.host(0), &name).unwrap(), before);
    testbed.host(0).docker_ok(&["service", "rm", &name]);
    wait_until_gone(testbed.host(0), &name).unwrap();
}

#[test]
fn a_kill_while_tasks_are_made_doubles_none_and_loses_none() {
    let mut testbed = swarm();
    for moment in MOMENTS {
        let name = unique("made");
        create(testbed.host(0), &name, 3);
        // The moment of the kill is what is varied here.
        thread::sleep(Duration::from_millis(moment));
        crash(&mut testbed);
        let host = testbed.host(0);
        let settled = wait::until(
            &format!("three tasks after a kill at {moment} ms"),
            SOON,
            || matches(host, &name, 3),
        );
        let rows = host.docker_ok(&["service", "ps", "--no-trunc", &name]);
        settled.unwrap_or_else(|e| panic!("{e}\n{rows}"));
        let containers = task_containers(host, &name).unwrap();
        assert_eq!(
            containers.len(),
            3,
            "killed at {moment} ms: {containers:#?}\n{rows}"
        );
        assert_eq!(
            tasks(host, &name).unwrap().len(),
            3,
            "killed at {moment} ms:\n{rows}"
        );
        host.docker_ok(&["service", "rm", &name]);
        wait_until_gone(host, &name).unwrap();
    }
}

#[test]
fn a_kill_while_tasks_are_stopped_leaves_nothing_behind() {
    let mut testbed = swarm();
    for moment in MOMENTS {
        let name = unique("stopped");
        // sleep ignores SIGTERM as a container's first process: each stop takes its whole grace period.
        let answer = testbed
            .host(0)
            .api(
                "POST",
                "/services/create",
                Some(&sleeper(&name, 2, "SIGTERM")),
            )
            .unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        wait_for_replicas(testbed.host(0), &name, "2/2").unwrap();
        testbed.host(0).docker_ok(&["service", "rm", &name]);
        thread::sleep(Duration::from_millis(moment));
        crash(&mut testbed);
        wait_until_gone(testbed.host(0), &name)
            .unwrap_or_else(|e| panic!("killed at {moment} ms: {e}"));
    }
}

#[test]
fn a_kill_during_an_update_ends_in_the_new_spec_without_doubles() {
    let mut testbed = swarm();
    for moment in MOMENTS {
        let name = unique("updated");
        create(testbed.host(0), &name, 2);
        wait_for_replicas(testbed.host(0), &name, "2/2").unwrap();
        let flags = [
            "--update-parallelism",
            "0",
            "--update-monitor",
            "1s",
            "--env-add",
            "NEW=yes",
        ];
        testbed
            .host(0)
            .docker_ok(&[&["service", "update", "--detach"], &flags[..], &[&name]].concat());
        thread::sleep(Duration::from_millis(moment));
        crash(&mut testbed);
        let host = testbed.host(0);
        wait::until(
            &format!("two new tasks after a kill at {moment} ms"),
            SOON,
            || {
                let running = matches(host, &name, 2)?;
                let env =
                    |id: &str| host.docker_ok(&["inspect", "--format", "{{.Config.Env}}", id]);
                if running
                    .iter()
                    .all(|task| env(&task.container).contains("NEW=yes"))
                {
                    Ok(())
                } else {
                    Err(format!("{running:?}"))
                }
            },
        )
        .unwrap();
        host.docker_ok(&["service", "rm", &name]);
        wait_until_gone(host, &name).unwrap();
    }
}

#[test]
fn a_kill_during_a_pull_starts_the_task_again() {
    let mut testbed = swarm();
    let name = unique("pulled");
    // A registry that never answers.
    let drop_rule = [
        "OUTPUT", "-o", "lo", "-p", "tcp", "--dport", "5999", "-j", "DROP",
    ];
    testbed
        .host(0)
        .inside(&[&["iptables", "-I"], &drop_rule[..]].concat())
        .unwrap()
        .success()
        .unwrap();
    let spec = json!({
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {"Image": "127.0.0.1:5999/slow:1"}},
        "Mode": {"Replicated": {"Replicas": 1}},
    });
    let answer = testbed
        .host(0)
        .api("POST", "/services/create", Some(&spec))
        .unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    wait::until("a pull", SOON, || preparing(testbed.host(0), &name)).unwrap();
    crash(&mut testbed);
    wait::until("another pull", SOON, || preparing(testbed.host(0), &name)).unwrap();
    let host = testbed.host(0);
    assert!(task_containers(host, &name).unwrap().is_empty());
    host.docker_ok(&["service", "rm", &name]);
    wait::until("no task", SOON, || {
        let left = tasks(host, &name).unwrap();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .unwrap();
    host.inside(&[&["iptables", "-D"], &drop_rule[..]].concat())
        .unwrap()
        .success()
        .unwrap();
}

fn preparing(host: &Host, service: &str) -> Result<(), String> {
    let tasks = tasks(host, service).map_err(|e| e.to_string())?;
    let pulls = tasks.len() == 1 && tasks[0]["Status"]["State"] == "preparing";
    if pulls {
        Ok(())
    } else {
        Err(format!("{tasks:?}"))
    }
}

#[test]
fn an_engine_that_restarts_gets_its_tasks_again() {
    let mut testbed = swarm();
    let name = unique("engine");
    create(testbed.host(0), &name, 2);
    wait_for_replicas(testbed.host(0), &name, "2/2").unwrap();
    testbed.host_mut(0).stop_engine().unwrap();
    let reads = testbed.host(0).docker(&["service", "ls"]).unwrap();
    assert_eq!(
        reads.status, 0,
        "reads are served without the engine: {reads:?}"
    );
    testbed.host_mut(0).start_engine().unwrap();
    let host = testbed.host(0);
    wait::until("two tasks again", SOON, || matches(host, &name, 2)).unwrap();
    host.docker_ok(&["service", "rm", &name]);
    wait_until_gone(host, &name).unwrap();
}
