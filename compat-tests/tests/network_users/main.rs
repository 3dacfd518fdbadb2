//! What users do to networks beyond the ordinary, by the stock command: updates under load, bad input, other people's readers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ipv6;
mod load;
mod readers;
mod refusals;
mod resolvers;
mod subnets;
mod ways_out;

use std::sync::MutexGuard;
use std::time::Duration;

use swarmrs_compat_tests::testbed::{shared, unique};
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const SOON: Duration = Duration::from_secs(30);

/// The shared host, in a swarm of one.
fn swarm() -> MutexGuard<'static, Testbed> {
    let testbed = shared(&Options::default());
    let host = testbed.host(0);
    let state = host.docker_ok(&["info", "--format", "{{.Swarm.LocalNodeState}}"]);
    if state == "inactive" {
        host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    }
    testbed
}

/// An overlay that containers may join.
fn overlay(host: &Host, flags: &[&str]) -> String {
    let name = unique("net");
    let create = ["network", "create", "--driver", "overlay", "--attachable"];
    host.docker_ok(&[&create[..], flags, &[&name]].concat());
    name
}

fn remove_network(host: &Host, network: &str) {
    let removed = wait::until("the end of a network", SOON, || {
        let output = host.docker(&["network", "rm", network]).unwrap();
        match output.status {
            0 => Ok(()),
            _ => Err(output.stderr),
        }
    });
    removed.unwrap();
}
