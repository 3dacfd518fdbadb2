//! What only real containers show of jobs and of what tasks are given of their node. Of the tour: something runs to its end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const SOON: Duration = Duration::from_secs(40);

/// A swarm of one whose node has two GPUs by name and three licences by number.
fn swarm() -> Testbed {
    let testbed = Testbed::hosts(1, &Options::default().with_resources()).unwrap();
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    testbed
}

fn create(host: &Host, name: &str, flags: &[&str], command: &str) {
    let create = ["service", "create", "--detach", "--name", name];
    host.docker_ok(&[&create[..], flags, &[IMAGE, "sh", "-c", command]].concat());
}

fn shown(host: &Host, service: &str) -> String {
    let filter = format!("name={service}");
    host.docker_ok(&[
        "service",
        "ls",
        "--filter",
        &filter,
        "--format",
        "{{.Replicas}}",
    ])
}

fn wait_for(host: &Host, service: &str, replicas: &str) {
    wait::until("the replicas of a job", SOON, || {
        match shown(host, service) {
            found if found == replicas => Ok(()),
            found => Err(found),
        }
    })
    .unwrap();
}

fn containers(host: &Host, service: &str, format: &str) -> Vec<String> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let shown = host.docker_ok(&["ps", "-a", "--filter", &filter, "--format", format]);
    let mut lines: Vec<_> = shown.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn each_completion_is_a_container_that_ran_once_and_stays() {
    let testbed = swarm();
    let host = testbed.host(0);
    let job = [
        "--mode",
        "replicated-job",
        "--replicas",
        "5",
        "--max-concurrent",
        "2",
    ];
    create(host, "sums", &job, "echo {{.Task.Slot}}");
    wait_for(host, "sums", "0/2 (5/5 completed)");
    assert_eq!(containers(host, "sums", "{{.State}}"), ["exited"; 5]);
    let logs = host.docker_ok(&["service", "logs", "--raw", "sums"]);
    assert_eq!(logs.lines().count(), 5, "{logs}");
    host.docker_ok(&["service", "rm", "sums"]);
    wait::until("the containers' end", SOON, || {
        match containers(host, "sums", "{{.ID}}") {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .unwrap();
}

#[test]
fn a_job_goes_on_where_it_was_after_the_daemon_was_killed() {
    let mut testbed = swarm();
    let job = [
        "--mode",
        "replicated-job",
        "--replicas",
        "3",
        "--max-concurrent",
        "1",
    ];
    create(testbed.host(0), "slow", &job, "sleep 4");
    wait_for(testbed.host(0), "slow", "1/1 (0/3 completed)");
    let before = containers(testbed.host(0), "slow", "{{.ID}}");
    testbed.host_mut(0).kill_daemon();
    testbed.host_mut(0).start_daemon().unwrap();
    wait_for(testbed.host(0), "slow", "0/1 (3/3 completed)");
    let after = containers(testbed.host(0), "slow", "{{.ID}}");
    assert_eq!(after.len(), 3, "{after:?}");
    assert!(after.contains(&before[0]), "{before:?} {after:?}");
}

#[test]
fn no_two_containers_are_given_the_same_named_resource() {
    let testbed = swarm();
    let host = testbed.host(0);
    let one = [
        "--mode",
        "replicated-job",
        "--replicas",
        "6",
        "--max-concurrent",
        "6",
    ];
    let flags = [&one[..], &["--generic-resource", "GPU=1"]].concat();
    let says_when = "read up rest </proc/uptime; echo $DOCKER_RESOURCE_GPU $up; sleep 1";
    create(host, "train", &flags, says_when);
    wait_for(host, "train", "0/6 (6/6 completed)");
    let logs = host.docker_ok(&["service", "logs", "--raw", "train"]);
    let mut begun: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, up) in logs.lines().filter_map(|line| line.split_once(' ')) {
        begun.entry(name).or_default().push(up.parse().unwrap());
    }
    assert_eq!(
        begun.keys().copied().collect::<Vec<_>>(),
        ["UUID1", "UUID2"]
    );
    assert_eq!(begun.values().map(Vec::len).sum::<usize>(), 6, "{logs}");
    for times in begun.values_mut() {
        times.sort_by(f64::total_cmp);
        let apart = times.windows(2).all(|two| two[1] - two[0] >= 1.0);
        assert!(apart, "one had it while another did: {logs}");
    }
}
