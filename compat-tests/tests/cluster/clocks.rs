//! A manager whose clock is an hour off, and leads.

use std::time::{Duration, Instant};

use swarmrs_compat_tests::observe::tasks;
use swarmrs_compat_tests::swarm::{self, CREATE};
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::{Host, Testbed};

use crate::day::Day;
use crate::hosts::{HOSTS, lead, shared, until, until_printed, until_well};
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
    let host = testbed.host_mut(WRONG);
    host.stop_daemon().unwrap();
    host.set_environment(wrong.as_ref().map_or(&[], |wrong| &wrong[..]));
    host.start_daemon().unwrap();
    until_well(testbed);
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
