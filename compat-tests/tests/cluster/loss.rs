//! What is lost on ugly days: a leader, a worker, all managers at once. Nothing that was acknowledged, and no container
//! that did not have to go.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas};
use swarmrs_compat_tests::swarm::{CREATE, sleepers};
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::{Host, Options, Testbed};

use crate::hosts::{HOSTS, distinct, joined, nodes, places, until, until_nodes, whole};

/// From the end of a leader to the next write that is acknowledged: the goal is one second; a loaded machine may take
/// longer, but not as long as the stock swarm's ten.
const FAILOVER: Duration = Duration::from_secs(8);

/// Writes configs by a manager's API until told to stop; the names of those that were acknowledged.
fn write(host: &Host, names: impl Iterator<Item = String>) -> BTreeSet<String> {
    names.filter(|name| written(host, name)).collect()
}

fn written(host: &Host, name: &str) -> bool {
    let body = serde_json::json!({"Name": name, "Data": "eA=="});
    let answer = host.api("POST", "/configs/create", Some(&body));
    answer.is_ok_and(|answer| answer.status == 201)
}

fn configs(host: &Host) -> BTreeSet<String> {
    let shown = host.docker_ok(&["config", "ls", "--format", "{{.Name}}"]);
    shown.lines().map(str::to_owned).collect()
}

/// The containers of a service on every host, with when they started.
fn containers(testbed: &Testbed, service: &str) -> Vec<(String, String)> {
    let all = (0..HOSTS).flat_map(|at| task_containers(testbed.host(at), service).unwrap());
    let running = all.filter(|container| container.running);
    let mut running: Vec<_> = running.map(|one| (one.container, one.started_at)).collect();
    running.sort();
    running
}

#[test]
fn a_leader_that_is_killed_takes_nothing_with_it() {
    let mut testbed = joined(&Options::default());
    let service = sleepers(testbed.host(0), HOSTS, &[]);
    let before = containers(&testbed, &service);
    let (leader, follower) = (testbed.host(0), testbed.host(1));
    let mut acknowledged = write(leader, (0..50).map(|n| format!("by-leader-{n}")));
    acknowledged.extend(write(follower, (0..50).map(|n| format!("by-follower-{n}"))));
    assert_eq!(acknowledged.len(), 100);

    testbed.host_mut(0).kill_daemon();
    let killed = Instant::now();
    let survivor = testbed.host(1);
    let first = until("the first write after it", || {
        let name = format!("after-{}", killed.elapsed().as_millis());
        match written(survivor, &name) {
            true => Ok(name),
            false => Err("refused".to_owned()),
        }
    });
    let took = killed.elapsed();
    println!("kill -9 of the leader: first write after {took:?}");
    assert!(took < FAILOVER, "{took:?}");
    acknowledged.insert(first);
    for manager in 1..3 {
        let known = configs(testbed.host(manager));
        let lost: Vec<_> = acknowledged.difference(&known).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    // It is back before anybody missed its containers.
    testbed.host_mut(0).start_daemon().unwrap();
    until("all nodes ready", || {
        let shown = nodes(testbed.host(1))?;
        match shown.iter().all(|line| line.contains(" Ready ")) {
            true => Ok(()),
            false => Err(format!("{shown:#?}")),
        }
    });
    wait_for_replicas(testbed.host(2), &service, "5/5").unwrap();
    let after = containers(&testbed, &service);
    let kept = before.iter().filter(|one| after.contains(one)).count();
    assert!(kept >= HOSTS - 1, "{before:?}\n{after:?}");
}

#[test]
fn a_worker_that_is_cut_off_is_replaced_and_comes_back() {
    let testbed = joined(&Options::default());
    let manager = testbed.host(0);
    let service = sleepers(manager, HOSTS, &[]);
    let each = ["--name", "each", "--mode", "global", IMAGE, "sleep", "600"];
    manager.docker_ok(&[&CREATE[..], &each].concat());
    until("one on each", || match places(manager, "each").len() {
        HOSTS => Ok(()),
        some => Err(format!("{some}")),
    });
    let global = task_containers(testbed.host(4), "each").unwrap();
    testbed.cut_off(4).unwrap();
    let cut = Instant::now();
    until("four hosts with all tasks", || {
        let places = places(manager, &service);
        match places.len() == HOSTS && !distinct(&places).contains("electra") {
            true => Ok(()),
            false => Err(format!("{places:?}")),
        }
    });
    println!("a worker cut off: replaced after {:?}", cut.elapsed());
    let shown = nodes(manager).unwrap();
    assert!(
        shown.contains(&"electra Down Active".to_owned()),
        "{shown:#?}"
    );
    testbed.reconnect(4).unwrap();
    until_nodes(manager, &whole());
    until("no container that was replaced", || {
        let left = task_containers(testbed.host(4), &service).unwrap();
        match left.iter().any(|container| container.running) {
            true => Err(format!("{left:?}")),
            false => Ok(()),
        }
    });
    assert_eq!(task_containers(testbed.host(4), "each").unwrap(), global);
    assert_eq!(places(manager, &service).len(), HOSTS);
}

#[test]
fn all_managers_at_once_are_killed_and_everything_is_as_it_was() {
    let mut testbed = joined(&Options::default());
    let service = sleepers(testbed.host(0), HOSTS, &[]);
    let acknowledged = write(testbed.host(2), (0..50).map(|n| format!("kept-{n}")));
    let before = containers(&testbed, &service);
    for manager in 0..3 {
        testbed.host_mut(manager).kill_daemon();
    }
    assert_eq!(containers(&testbed, &service), before);
    for manager in 0..3 {
        testbed.host_mut(manager).launch_daemon().unwrap();
    }
    until("all nodes ready", || {
        let shown = nodes(testbed.host(1))?;
        let ready = shown.iter().filter(|line| line.contains(" Ready ")).count();
        match ready == HOSTS && shown.iter().any(|line| line.ends_with("Leader")) {
            true => Ok(()),
            false => Err(format!("{shown:#?}")),
        }
    });
    let lost: Vec<_> = acknowledged
        .difference(&configs(testbed.host(0)))
        .cloned()
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    wait_for_replicas(testbed.host(0), &service, "5/5").unwrap();
    assert_eq!(containers(&testbed, &service), before);
}

#[test]
fn without_a_majority_nothing_is_acknowledged_and_containers_run_on() {
    let mut testbed = joined(&Options::default());
    let service = sleepers(testbed.host(0), HOSTS, &[]);
    let before = containers(&testbed, &service);
    for manager in 1..3 {
        testbed.host_mut(manager).kill_daemon();
    }
    let alone = testbed.host(0);
    let asked = Instant::now();
    let refused = alone.docker(&["config", "ls"]).unwrap();
    assert_ne!(refused.status, 0, "{refused:?}");
    assert!(
        asked.elapsed() < Duration::from_secs(30),
        "{:?}",
        asked.elapsed()
    );
    assert!(!written(alone, "nobody-agrees"));
    let refused = until("Docker's words", || {
        let refused = alone.docker(&["node", "ls"]).unwrap();
        match refused.stderr.contains("The swarm does not have a leader") {
            true => Ok(refused),
            false => Err(format!("{refused:?}")),
        }
    });
    assert_ne!(refused.status, 0);
    assert_eq!(containers(&testbed, &service), before);
    for manager in 1..3 {
        testbed.host_mut(manager).launch_daemon().unwrap();
    }
    until("a write", || {
        match written(testbed.host(0), &unique("again")) {
            true => Ok(()),
            false => Err("refused".to_owned()),
        }
    });
    wait_for_replicas(testbed.host(0), &service, "5/5").unwrap();
    assert_eq!(containers(&testbed, &service), before);
}
