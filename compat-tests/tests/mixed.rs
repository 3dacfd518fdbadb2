//! Two releases in one swarm: the daemon of the previous landing and this tree's, side by side, while a swarm is upgraded node
//! by node under writes, and one goes back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use swarmrs_compat_tests::clients::Clients;
use swarmrs_compat_tests::observe::wait_for_replicas;
use swarmrs_compat_tests::swarm::{self, sleepers, until_nodes};
use swarmrs_compat_tests::testbed::{previous_swarmrsd, tested_binary};
use swarmrs_compat_tests::{Host, Options, Testbed};

const MANAGERS: usize = 3;
const HOSTS: usize = 4;

/// Three managers and a worker that run this daemon, in one swarm; the first leads.
fn swarm_of(daemon: &Path) -> Testbed {
    let options = Options {
        swarmrsd: Some(daemon.to_owned()),
        ..Options::default()
    };
    let testbed = Testbed::hosts(HOSTS, &options).unwrap();
    swarm::form(&testbed, MANAGERS, HOSTS - MANAGERS);
    until_nodes(
        testbed.host(0),
        &[
            "atlas Ready Active Leader",
            "boreas Ready Active Reachable",
            "castor Ready Active Reachable",
            "daphne Ready Active",
        ],
    );
    testbed
}

/// The containers of a service on every host, with when they started.
fn containers(testbed: &Testbed, service: &str) -> BTreeSet<(String, String)> {
    let on = (0..HOSTS).map(|at| swarm::running(testbed.host(at), service));
    on.flatten().collect()
}

/// Replaces a host's daemon and waits until the swarm is whole again, as every manager sees it.
fn replace(testbed: &mut Testbed, at: usize, by: &Path) {
    testbed.host_mut(at).replace_daemon(by).unwrap();
    swarm::until_well(testbed, MANAGERS, HOSTS - MANAGERS);
}

#[test]
fn a_swarm_is_upgraded_node_by_node_under_writes_and_one_goes_back() {
    let (previous, this) = (previous_swarmrsd().unwrap(), tested_binary().unwrap());
    let mut testbed = swarm_of(&previous);
    let service = sleepers(testbed.host(0), HOSTS, &[]);
    let before = containers(&testbed, &service);
    let sockets: Vec<_> = (0..MANAGERS).map(|at| testbed.host(at).socket()).collect();
    let clients = Clients::start(&sockets).unwrap();
    // An old leader with new followers, then a new leader with an old one, first the way up, then back.
    for (at, by) in [
        (2, &this),
        (1, &this),
        (0, &this),
        (2, &previous),
        (2, &this),
        (3, &this),
    ] {
        replace(&mut testbed, at, by);
        println!("host {at} runs {}", by.display());
    }
    let acknowledged = clients.acknowledged();
    println!("{:?}", clients.finish().unwrap());
    assert!(acknowledged > 100, "{acknowledged}");
    assert_eq!(
        containers(&testbed, &service),
        before,
        "no container was restarted"
    );
    testbed
        .host(1)
        .docker_ok(&["service", "scale", "--detach", &format!("{service}=6")]);
    wait_for_replicas(testbed.host(2), &service, "6/6").unwrap();
}

/// The feature level that a host's log is of. A new swarm's is that of the release that made it.
fn level(host: &Host) -> u8 {
    let format = host.daemon().data_root().join("swarm/raft/format");
    fs::read(format).unwrap()[0] - 1
}

#[test]
fn a_daemon_that_is_too_old_for_a_swarm_is_refused_by_name() {
    let previous = previous_swarmrsd().unwrap();
    let mut testbed = Testbed::hosts(2, &Options::default()).unwrap();
    testbed.host_mut(1).replace_daemon(&previous).unwrap();
    let (first, second) = (testbed.host(0), testbed.host(1));
    swarm::init(first);
    swarm::init(second);
    let (needed, known) = (level(first), level(second));
    if known == needed {
        println!(
            "skipped: a daemon that is too old: the previous landing knows level {needed} too"
        );
        return;
    }
    second.docker_ok(&["swarm", "leave", "--force"]);
    let refused = second.join(first, "manager").unwrap_err().to_string();
    let why = format!(
        "this swarm needs managers of feature level {needed}, and the release of this one has {known}"
    );
    assert!(refused.contains(&why), "{refused}");

    testbed.host_mut(0).stop_daemon().unwrap();
    let error = testbed
        .host_mut(0)
        .replace_daemon(&previous)
        .unwrap_err()
        .to_string();
    let (found, read) = (needed + 1, known + 1);
    let why = format!("format has format {found}, this release reads up to {read}");
    assert!(error.contains(&why), "{error}");
}
