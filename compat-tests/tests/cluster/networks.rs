//! Networks over all hosts: names, virtual addresses and published ports lead to tasks on other hosts too.

use std::collections::BTreeSet;

use swarmrs_compat_tests::Options;
use swarmrs_compat_tests::web::{answers, curl, overlay, servers};

use crate::hosts::{HOSTS, joined, until};

const TASKS: usize = 4;

#[test]
fn a_task_is_reached_from_every_host_by_its_service_and_by_its_port() {
    let testbed = joined(&Options::default());
    let network = overlay(testbed.host(0), &[]);
    let flags = [
        "--network",
        &network,
        "--publish",
        "8081:80",
        "--constraint",
        "node.hostname!=atlas",
    ];
    let service = servers(testbed.host(0), TASKS, &flags);
    for at in 0..3 {
        let host = testbed.host(at);
        until("all tasks answer in a container", || {
            let who = answers(host, &network, &service, 40);
            let who: BTreeSet<String> = who.into_iter().collect();
            match who.len() == TASKS {
                true => Ok(()),
                false => Err(format!("asked on host {at}: {who:?}")),
            }
        });
    }
    for at in 0..HOSTS {
        let url = format!("http://{}:8081/", testbed.host(at).address());
        until("all tasks answer at a published port", || {
            let asked = (0..40).map(|_| curl(testbed.host(0), &url));
            let who: Result<BTreeSet<String>, String> = asked.collect();
            match who {
                Ok(who) if who.len() == TASKS => Ok(()),
                other => Err(format!("{url}: {other:?}")),
            }
        });
    }
}
