//! Networks over all hosts: names, virtual addresses and published ports lead to tasks on other hosts too.

use std::collections::BTreeSet;

use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::web::{
    addresses, answers, curl, on_network, overlay, remove, remove_network, request, servers,
    sleeper,
};
use swarmrs_compat_tests::{Host, Options};

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

/// Containers of users, on workers: their places are a manager's to give, whichever answers.
#[test]
fn a_container_on_a_worker_has_its_place_on_a_network_whatever_happens_to_managers_and_daemons() {
    let mut testbed = joined(&Options::default());
    let (manager, worker) = (testbed.host(0), testbed.host(4));
    let network = overlay(manager, &[]);
    let service = servers(
        manager,
        2,
        &["--network", &network, "--constraint", "node.role==manager"],
    );
    is_refused(manager, worker);
    let who: BTreeSet<String> = answers(worker, &network, &service, 20)
        .into_iter()
        .collect();
    assert_eq!(who.len(), 2, "a worker's container asks a service: {who:?}");

    let stays = sleeper(worker, &network, &["--restart", "always"]);
    let address = address_of(worker, &stays, &network);
    until_pinged(testbed.host(1), &network, &stays);
    assert!(is_attached(testbed.host(1), &network, &address));
    connects(worker, &network, &service);

    // Whoever was asked dies: another is asked.
    testbed.host_mut(0).kill_daemon();
    let worker = testbed.host(4);
    let late = sleeper(worker, &network, &[]);
    until_pinged(testbed.host(1), &network, &late);
    worker.docker_ok(&["rm", "--force", &late]);

    // The daemon, and then the engine.
    testbed.host_mut(4).kill_daemon();
    testbed.host_mut(4).start_daemon().unwrap();
    let worker = testbed.host(4);
    worker.docker_ok(&["restart", "--time", "0", &stays]);
    assert_eq!(address_of(worker, &stays, &network), address);
    until_pinged(testbed.host(2), &network, &stays);
    testbed.host_mut(4).kill_engine();
    testbed.host_mut(4).start_engine().unwrap();
    let worker = testbed.host(4);
    until("the container of an engine that came back", || {
        let format = "{{.State.Running}}";
        let shown = worker.docker(&["inspect", "--format", format, &stays]);
        match shown {
            Ok(shown) if shown.stdout.trim() == "true" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(address_of(worker, &stays, &network), address);
    until_pinged(testbed.host(2), &network, &stays);

    // What is given back is free.
    worker.docker_ok(&["rm", "--force", &stays]);
    remove(testbed.host(1), &service);
    remove_network(testbed.host(1), &network);
}

/// In Docker's words.
fn is_refused(manager: &Host, worker: &Host) {
    let closed = unique("closed");
    manager.docker_ok(&["network", "create", "--driver", "overlay", &closed]);
    let reasons = [
        (
            closed.as_str(),
            format!(
                "Could not attach to network {closed}: rpc error: code = PermissionDenied \
                 desc = network {closed} not manually attachable"
            ),
        ),
        (
            "nowhere",
            "Could not attach to network nowhere: rpc error: code = NotFound \
             desc = network nowhere not found"
                .to_owned(),
        ),
    ];
    for (network, reason) in reasons {
        let run = ["run", "--rm", "--network", network, IMAGE, "true"];
        let refused = worker.docker(&run).unwrap();
        assert_ne!(refused.status, 0, "{refused:?}");
        assert!(refused.stderr.contains(&reason), "{refused:?}");
    }
    remove_network(manager, &closed);
}

/// A container that runs already comes to the network, and leaves it.
fn connects(worker: &Host, network: &str, service: &str) {
    let name = unique("late");
    worker.docker_ok(&["run", "--detach", "--name", &name, IMAGE, "sleep", "600"]);
    worker.docker_ok(&["network", "connect", network, &name]);
    let again = worker
        .docker(&["network", "connect", network, &name])
        .unwrap();
    assert!(
        again.stderr.contains("is already attached to network"),
        "{again:?}"
    );
    let line = request(service);
    until("an answer in a connected container", || {
        let asked = worker.docker(&["exec", &name, "sh", "-c", &line]).unwrap();
        match asked.stdout.trim().is_empty() {
            true => Err(format!("{asked:?}")),
            false => Ok(()),
        }
    });
    let address = address_of(worker, &name, network);
    assert!(is_attached(worker, network, &address));
    worker.docker_ok(&["network", "disconnect", network, &name]);
    assert!(!is_attached(worker, network, &address));
    worker.docker_ok(&["rm", "--force", &name]);
}

fn address_of(host: &Host, container: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
    host.docker_ok(&["inspect", "--format", &format, container])
}

/// Whether a container on the host's network finds the address.
fn is_attached(host: &Host, network: &str, address: &str) -> bool {
    let line = format!("ping -c 1 -W 2 {address} >/dev/null && echo yes || echo no");
    on_network(host, network, &line).trim() == "yes"
}

/// By the name that resolves to it, in containers of another host.
#[track_caller]
fn until_pinged(host: &Host, network: &str, name: &str) {
    until(&format!("an answer of {name}"), || {
        let found = addresses(host, network, name);
        match found.first() {
            Some(address) if is_attached(host, network, address) => Ok(()),
            _ => Err(format!("{found:?}")),
        }
    });
}
