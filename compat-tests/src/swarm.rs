//! A swarm of one, and services that do nothing but run: what most suites begin with.
//!
//! A step that fails is a failure of the test which takes it, as with [`Host::docker_ok`].

use std::sync::MutexGuard;

use crate::observe::wait_for_replicas;
use crate::testbed::{self, IMAGE, unique};
use crate::{Host, Options, Testbed};

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
