//! Who is in the swarm, and where services run.

use std::collections::BTreeSet;

use swarmrs_compat_tests::Host;
use swarmrs_compat_tests::observe::{wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::{CREATE, join, sleepers};
use swarmrs_compat_tests::testbed::IMAGE;

use crate::hosts::{HOSTS, distinct, lead, nodes, places, shared, until, until_led, until_well};

#[test]
fn every_manager_shows_the_same_swarm_and_services_run_on_all_hosts() {
    let testbed = shared();
    let spread = sleepers(testbed.host(1), HOSTS, &[]);
    assert_eq!(distinct(&places(testbed.host(2), &spread)).len(), HOSTS);
    let pinned = sleepers(
        testbed.host(2),
        2,
        &["--constraint", "node.hostname==electra"],
    );
    assert_eq!(places(testbed.host(0), &pinned), ["electra", "electra"]);
    let workers = sleepers(testbed.host(0), 2, &["--constraint", "node.role==worker"]);
    assert_eq!(places(testbed.host(1), &workers), ["daphne", "electra"]);

    say_where_they_are(testbed.host(0));
    for manager in 0..3 {
        let host = testbed.host(manager);
        until("the lines of all hosts, at any manager", || {
            let told = host.docker_ok(&["service", "logs", "--raw", "talkers"]);
            let places: BTreeSet<&str> = told.lines().collect();
            match places.len() == HOSTS {
                true => Ok(()),
                false => Err(format!("{places:?}")),
            }
        });
    }

    testbed
        .host(1)
        .docker_ok(&["node", "update", "--availability", "drain", "electra"]);
    wait_for_replicas(testbed.host(0), &spread, "5/5").unwrap();
    until("electra without tasks", || {
        match places(testbed.host(0), &spread)
            .iter()
            .any(|place| place == "electra")
        {
            true => Err("not yet".to_owned()),
            false => Ok(()),
        }
    });
    testbed
        .host(1)
        .docker_ok(&["node", "update", "--availability", "active", "electra"]);
    for service in [&spread, &pinned, &workers, "talkers"] {
        testbed.host(2).docker_ok(&["service", "rm", service]);
        for at in 0..HOSTS {
            wait_until_gone(testbed.host(at), service).unwrap();
        }
    }
}

/// A task on each host that tells the host's name.
fn say_where_they_are(manager: &Host) {
    let flags = ["--name", "talkers", "--mode", "global"];
    let named = ["--hostname", "{{.Node.Hostname}}"];
    let command = [IMAGE, "sh", "-c", "hostname; exec sleep 600"];
    manager.docker_ok(&[&CREATE[..], &flags, &named, &command].concat());
}

#[test]
fn whoever_leaves_may_come_again_as_another() {
    let mut testbed = shared();
    lead(&mut testbed, 0);
    let manager = testbed.host(0);
    // A manager: it is out of the quorum at once.
    testbed.host(2).docker_ok(&["swarm", "leave", "--force"]);
    until("castor down", || {
        let shown = nodes(manager)?;
        let castor = shown.iter().find(|line| line.starts_with("castor"));
        match castor.is_some_and(|line| line == "castor Down Active") {
            true => Ok(()),
            false => Err(format!("{shown:#?}")),
        }
    });
    manager.docker_ok(&["node", "rm", "castor"]);
    join(manager, testbed.host(2), "manager");
    until_well(&testbed);
    // The leader itself.
    manager.docker_ok(&["swarm", "leave", "--force"]);
    let boreas = testbed.host(1);
    until_led(&testbed, 1, &[0]);
    let leaders = nodes(boreas).unwrap();
    assert!(
        leaders.iter().any(|line| line.starts_with("atlas Down")),
        "{leaders:#?}"
    );
    boreas.docker_ok(&["node", "rm", "--force", "atlas"]);
    assert_eq!(nodes(boreas).unwrap().len(), HOSTS - 1);
    join(boreas, testbed.host(0), "manager");
    until_well(&testbed);
}
