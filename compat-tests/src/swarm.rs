//! A swarm of one, and services that do nothing but run: what most suites begin with.
//!
//! A step that fails is a failure of the test which takes it, as with [`Host::docker_ok`].

use std::collections::BTreeSet;
use std::sync::MutexGuard;
use std::time::Duration;

use crate::observe::{task_containers, wait_for_replicas};
use crate::testbed::{self, IMAGE, unique};
use crate::{Host, Options, Testbed, wait};

/// A swarm does everything within this, the stock one too.
const SOON: Duration = Duration::from_secs(60);

/// How a service begins whose tasks end at once when told to; nobody waits for it yet.
pub const CREATE: [&str; 5] = ["service", "create", "--detach", "--stop-signal", "KILL"];

/// The first host of the testbed that a binary's tests share, in a swarm of one.
pub fn shared() -> MutexGuard<'static, Testbed> {
    let testbed = testbed::shared(&Options::default());
    init(testbed.host(0));
    testbed
}

/// Makes a swarm of the host, if it is in none.
#[track_caller]
pub fn init(host: &Host) {
    if host.docker_ok(&["info", "--format", "{{.Swarm.LocalNodeState}}"]) == "inactive" {
        host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    }
}

/// Creates a service of `sleep`s that end at once when told to, and waits until it runs. Returns its new name; `flags` are
/// those of `service create`.
#[track_caller]
pub fn sleepers(host: &Host, replicas: usize, flags: &[&str]) -> String {
    let name = unique("sleep");
    let count = replicas.to_string();
    let named = ["--name", &name, "--replicas", &count];
    let command = [IMAGE, "sleep", "600"];
    host.docker_ok(&[&CREATE[..], &named, flags, &command].concat());
    if let Err(error) = wait_for_replicas(host, &name, &format!("{replicas}/{replicas}")) {
        panic!("{error}");
    }
    name
}

/// The containers of a service that run on a host, each with when it was started.
#[track_caller]
pub fn running(host: &Host, service: &str) -> BTreeSet<(String, String)> {
    let all = match task_containers(host, service) {
        Ok(all) => all.into_iter(),
        Err(error) => panic!("{error}"),
    };
    let running = all.filter(|container| container.running);
    running.map(|one| (one.container, one.started_at)).collect()
}

/// Makes one swarm of the testbed's first hosts: so many managers, of which the first leads, then so many workers.
#[track_caller]
pub fn form(testbed: &Testbed, managers: usize, workers: usize) {
    let first = testbed.host(0);
    init(first);
    for at in 1..managers + workers {
        let role = if at < managers { "manager" } else { "worker" };
        join(first, testbed.host(at), role);
    }
}

/// Has `host` join the swarm that `manager` manages, in that role.
#[track_caller]
pub fn join(manager: &Host, host: &Host, role: &str) {
    if let Err(error) = host.join(manager, role) {
        panic!("{} does not join: {error}", host.name());
    }
}

/// The token by which a node joins in that role.
#[track_caller]
pub fn token(manager: &Host, role: &str) -> String {
    manager.docker_ok(&["swarm", "join-token", "--quiet", role])
}

/// Name, state, availability and rank of every node as this host's `node ls` shows them, in order of their names:
/// `atlas Ready Active Leader`.
pub fn nodes(host: &Host) -> Result<Vec<String>, String> {
    let format = "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}";
    let output = host.docker(&["node", "ls", "--format", format]);
    let output = output.map_err(|error| error.to_string())?;
    let lines = output.success().map_err(|error| error.to_string())?;
    let mut lines: Vec<_> = lines.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    Ok(lines)
}

/// Waits until `node ls` shows these.
#[track_caller]
pub fn until_nodes(host: &Host, expected: &[&str]) {
    let shown = wait::until("the nodes", SOON, || match nodes(host)? {
        shown if shown == expected => Ok(()),
        shown => Err(format!("{shown:#?}")),
    });
    if let Err(error) = shown {
        panic!("{error}");
    }
}

/// Waits until each of the first `managers` hosts shows all nodes ready, one leader among them, the other managers
/// reachable, and so many workers.
#[track_caller]
pub fn until_well(testbed: &Testbed, managers: usize, workers: usize) {
    for manager in (0..managers).map(|at| testbed.host(at)) {
        let what = format!("a swarm that is well, to {}", manager.name());
        let well = wait::until(&what, SOON, || {
            let shown = nodes(manager)?;
            let ranks = [
                " Ready Active",
                " Ready Active Reachable",
                " Ready Active Leader",
            ];
            let counts = ranks.map(|end| shown.iter().filter(|line| line.ends_with(end)).count());
            match counts == [workers, managers - 1, 1] {
                true => Ok(()),
                false => Err(format!("{shown:#?}")),
            }
        });
        if let Err(error) = well {
            panic!("{error}");
        }
    }
}
