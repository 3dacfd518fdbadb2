//! No request is lost while a service is updated: asked from outside over the mesh, and from a container at the virtual address.

use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use swarmrs_compat_tests::observe::{wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::testbed::{IMAGE, unique};
pub use swarmrs_compat_tests::web::IN_CONTAINER;
use swarmrs_compat_tests::web::{self, overlay, remove_network, virtual_address_on};
use swarmrs_compat_tests::{Host, Testbed, wait};

use super::SOON;

pub const LOAD: &str = env!("CARGO_BIN_EXE_swarmrs-load");
/// Requests in a second, of each client.
const RATE: usize = 200;
const UPDATE: Duration = Duration::from_secs(120);

/// The flags that put it into a container.
pub fn mounts() -> Vec<String> {
    web::mounts(LOAD)
}

/// A service of polite servers, published and on a network, that counts as running once it answers.
fn polite(host: &Host, network: &str, port: u16, order: &str) -> String {
    let name = unique("polite");
    let publish = format!("{port}:80");
    let mounts = mounts();
    let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let check = format!("{IN_CONTAINER} once 127.0.0.1:80");
    let create = [
        "service",
        "create",
        "--detach",
        "--name",
        &name,
        "--replicas",
        "2",
        "--network",
        network,
        "--publish",
        &publish,
        "--env",
        "RELEASE=one",
        "--update-order",
        order,
        "--update-monitor",
        "1s",
        "--health-cmd",
        &check,
        "--health-interval",
        "200ms",
        "--health-timeout",
        "5s",
    ];
    host.docker_ok(&[&create[..], &mounts, &[IMAGE, IN_CONTAINER, "serve", "80"]].concat());
    wait_for_replicas(host, &name, "2/2").unwrap();
    name
}

/// A client outside of the host, which speaks to the published port.
fn outside(testbed: &Testbed, port: u16) -> Child {
    let address = format!("{}:{port}", testbed.host(0).address());
    let mut command = testbed.outside_command();
    command.args([LOAD, "ask", &address, &RATE.to_string()]);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// A client in a container on the network, which speaks to the virtual address.
fn inside(host: &Host, network: &str, service: &str) -> String {
    let address = virtual_address_on(host, network, service);
    let (name, mounts) = (unique("asker"), mounts());
    let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let run = ["run", "--detach", "--name", &name, "--network", network];
    let (target, rate) = (format!("{address}:80"), RATE.to_string());
    host.docker_ok(
        &[
            &run[..],
            &mounts,
            &[IMAGE, IN_CONTAINER, "ask", &target, &rate],
        ]
        .concat(),
    );
    name
}

fn report_of(client: Child) -> Value {
    kill(Pid::from_raw(client.id().cast_signed()), Signal::SIGTERM).unwrap();
    let output = client.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn report_in(host: &Host, container: &str) -> Value {
    host.docker_ok(&["stop", container]);
    let report = host.docker_ok(&["logs", container]);
    host.docker_ok(&["rm", container]);
    serde_json::from_str(&report).unwrap()
}

fn wait_for_update(host: &Host, service: &str, end: &str) {
    let format = "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}";
    let done = wait::until("the end of an update", UPDATE, || {
        let state = host.docker_ok(&["service", "inspect", "--format", format, service]);
        match state == end {
            true => Ok(()),
            false => Err(state),
        }
    });
    done.unwrap();
}

/// Not one request failed, there were as many as make a load, and both releases answered, and no other.
fn check(who: &str, report: &Value) {
    println!("{who}: {report}");
    assert_eq!(report["failed"], 0, "{who}: {report}");
    let asked = report["asked"].as_f64().unwrap();
    let held_up = report["held_up"].as_u64().unwrap() > 0;
    let wanted = RATE as f64 * report["seconds"].as_f64().unwrap();
    // A machine with no time to spare asks less often.
    assert!(held_up || asked >= 0.5 * wanted, "{who}: {report}");
    let answers = report["answers"].as_object().unwrap();
    // What was rolled back is of the second release again, by another task.
    for (release, tasks) in [("one", 2..=2), ("two", 2..=4), ("three", 0..=0)] {
        let of_release = answers.keys().filter(|answer| answer.ends_with(release));
        assert!(tasks.contains(&of_release.count()), "{who}: {report}");
    }
}

fn updated_without_loss(port: u16, order: &str) {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = polite(host, &network, port, order);
    let neighbour = outside(&testbed, port);
    let container = inside(host, &network, &service);
    let running = wait::until("a client that runs", SOON, || {
        let format = "{{.State.Running}}";
        match host
            .docker_ok(&["inspect", "--format", format, &container])
            .as_str()
        {
            "true" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    running.unwrap();
    let update = ["service", "update", "--detach", "--env-add", "RELEASE=two"];
    host.docker_ok(&[&update[..], &[&service]].concat());
    wait_for_update(host, &service, "completed");
    // One whose check is never content is not asked anything, and what is there serves until all is as before.
    let sick = [
        "--env-add",
        "RELEASE=three",
        "--health-cmd",
        "false",
        "--health-retries",
        "2",
    ];
    let goes_back = ["--update-failure-action", "rollback"];
    let update = ["service", "update", "--detach"];
    host.docker_ok(&[&update[..], &sick, &goes_back, &[&service]].concat());
    wait_for_update(host, &service, "rollback_completed");
    let (from_outside, from_inside) = (report_of(neighbour), report_in(host, &container));
    check("over the mesh", &from_outside);
    check("at the virtual address", &from_inside);
    host.docker_ok(&["service", "rm", &service]);
    wait_until_gone(host, &service).unwrap();
    remove_network(host, &network);
}

#[test]
fn no_request_fails_while_new_tasks_start_first() {
    updated_without_loss(18_090, "start-first");
}

#[test]
fn no_request_fails_while_old_tasks_stop_first() {
    updated_without_loss(18_091, "stop-first");
}
