//! A manager whose clock is an hour off, and leads; and a swarm that was off for longer than its certificates last.

use std::time::{Duration, Instant};

use swarmrs_compat_tests::observe::{tasks, wait_for_replicas};
use swarmrs_compat_tests::swarm::{self, CREATE, running, sleepers};
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::{Host, Options, Testbed};

use crate::day::Day;
use crate::hosts::{HOSTS, MANAGERS, lead, nodes, shared, until, until_printed, until_well};
use crate::means::faketime;

/// The manager with the wrong clock.
const WRONG: usize = 2;

/// Longer than it takes until the manager with the wrong clock leads.
const DELAY: Duration = Duration::from_secs(20);

#[test]
fn a_clock_that_is_an_hour_off_moves_no_time_of_the_swarm() {
    let mut testbed = shared();
    for offset in ["+3600", "-3600"] {
        wrong_clock(&mut testbed, Some(offset));
        let day = Day::begin(&testbed);
        let failing = failing(testbed.host(0));
        let failed = until_failed(testbed.host(0), &failing, 1);
        lead(&mut testbed, WRONG);
        assert!(
            failed.elapsed() < DELAY,
            "too slow a machine: {:?}",
            failed.elapsed()
        );
        until_failed(testbed.host(0), &failing, 2);
        let waited = failed.elapsed();
        println!("{offset}: restarted after {waited:?} of {DELAY:?}");
        let late = DELAY + Duration::from_secs(15);
        assert!(
            (DELAY - Duration::from_secs(1)..late).contains(&waited),
            "{waited:?}"
        );
        testbed.host(0).docker_ok(&["service", "rm", &failing]);
        day.end(&format!("a clock {offset} s off"), &testbed);
        certified_anew(&testbed);
        wrong_clock(&mut testbed, None);
    }
}

fn wrong_clock(testbed: &mut Testbed, offset: Option<&str>) {
    let host = testbed.host_mut(WRONG);
    host.stop_daemon().unwrap();
    set_clock(host, offset);
    host.start_daemon().unwrap();
    until_well(testbed);
}

/// How far the clock is off of the host's swarmrsd, from its next start on.
fn set_clock(host: &mut Host, offset: Option<&str>) {
    let library = faketime();
    let library = library.to_string_lossy();
    let wrong = offset.map(|offset| {
        [
            ("LD_PRELOAD", &*library),
            ("FAKETIME", offset),
            // How long something takes is told right on a machine whose clock is set wrong.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ]
    });
    host.set_environment(wrong.as_ref().map_or(&[], |wrong| &wrong[..]));
}

/// A service whose task fails again and again.
fn failing(manager: &Host) -> String {
    let name = unique("failing");
    let delay = format!("{}s", DELAY.as_secs());
    let flags = ["--name", &name, "--restart-delay", &delay];
    let run = [IMAGE, "false"];
    manager.docker_ok(&[&CREATE[..], &flags, &run].concat());
    name
}

/// When so many tasks of the service have failed.
fn until_failed(manager: &Host, service: &str, count: usize) -> Instant {
    until("a failed task", || {
        let tasks = tasks(manager, service).map_err(|error| error.to_string())?;
        let failed = tasks
            .iter()
            .filter(|task| task["Status"]["State"] == "failed");
        match failed.count() >= count {
            true => Ok(()),
            false => Err(format!("{tasks:?}")),
        }
    });
    Instant::now()
}

/// A worker that leaves and comes again has a certificate by the wrong clock, and is one of all.
fn certified_anew(testbed: &Testbed) {
    const LAST: usize = HOSTS - 1;
    let (manager, worker) = (testbed.host(WRONG), testbed.host(LAST));
    worker.docker_ok(&["swarm", "leave"]);
    let state = [
        "node",
        "inspect",
        "--format",
        "{{.Status.State}}",
        "electra",
    ];
    until_printed(manager, &state, "down");
    manager.docker_ok(&["node", "rm", "electra"]);
    swarm::join(manager, worker, "worker");
    until_well(testbed);
}

#[test]
fn after_a_longer_time_off_than_certificates_last_managers_lead_on_and_a_worker_joins_anew() {
    const WORKER: usize = MANAGERS;
    let mut testbed = Testbed::hosts(WORKER + 1, &Options::default()).unwrap();
    swarm::form(&testbed, MANAGERS, 1);
    swarm::until_well(&testbed, MANAGERS, 1);
    let on_worker = ["--constraint", "node.role==worker"];
    let service = sleepers(testbed.host(0), 1, &on_worker);
    let before = running(testbed.host(WORKER), &service);

    for at in 0..=WORKER {
        testbed.host_mut(at).kill_daemon();
    }
    // Certificates last 90 days.
    for at in 0..=WORKER {
        set_clock(testbed.host_mut(at), Some("+100d"));
        testbed.host_mut(at).launch_daemon().unwrap();
    }
    for manager in 0..MANAGERS {
        until("managers among themselves", || {
            let shown = nodes(testbed.host(manager))?;
            let counts = ["Reachable", "Leader", "daphne Down Active"]
                .map(|end| shown.iter().filter(|line| line.ends_with(end)).count());
            match counts == [MANAGERS - 1, 1, 1] {
                true => Ok(()),
                false => Err(format!("{shown:#?}")),
            }
        });
    }
    sleepers(testbed.host(1), 1, &["--constraint", "node.role==manager"]);

    let worker = testbed.host(WORKER);
    let said = worker.docker_ok(&["info"]);
    for line in [
        "Swarm: error",
        "Error: the certificate of this node has expired",
        "docker swarm leave --force, then docker swarm join",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(running(worker, &service), before, "its containers run on");
    worker.docker_ok(&["swarm", "leave"]);
    testbed.host(2).docker_ok(&["node", "rm", "daphne"]);
    swarm::join(testbed.host(2), worker, "worker");
    swarm::until_well(&testbed, MANAGERS, 1);
    wait_for_replicas(testbed.host(0), &service, "1/1").unwrap();
}
