//! What people do beside the swarm leaves it whole: prunes, a task's container removed by hand, Compose.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::MutexGuard;
use std::time::Duration;

use swarmrs_compat_tests::command;
use swarmrs_compat_tests::testbed::{IMAGE, shared, unique};
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const LIMIT: Duration = Duration::from_secs(90);

fn ready() -> MutexGuard<'static, Testbed> {
    let testbed = shared(&Options::default());
    let host = testbed.host(0);
    if host
        .docker_ok(&["info", "--format", "{{.Swarm.LocalNodeState}}"])
        .trim()
        != "active"
    {
        host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    }
    testbed
}

/// The containers of a service that run.
fn running(host: &Host, service: &str) -> BTreeSet<String> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let list = host.docker_ok(&["ps", "--quiet", "--no-trunc", "--filter", &filter]);
    list.lines().map(str::to_owned).collect()
}

fn settled(host: &Host, service: &str, replicas: usize) -> BTreeSet<String> {
    wait::until("the service's tasks", LIMIT, || {
        let found = running(host, service);
        let listed = host.docker_ok(&["service", "ls", "--format", "{{.Name}} {{.Replicas}}"]);
        let whole = listed
            .lines()
            .any(|line| line == format!("{service} {replicas}/{replicas}"));
        match whole && found.len() == replicas {
            true => Ok(found),
            false => Err(host.docker_ok(&["service", "ps", "--no-trunc", service])),
        }
    })
    .unwrap()
}

/// Two replicas that write to a volume of their own.
fn create(host: &Host, name: &str) -> BTreeSet<String> {
    let mount = format!("type=volume,src={name},dst=/data");
    let command = "test -e /data/kept || echo kept > /data/kept; sleep 3600";
    let arguments = [
        "service",
        "create",
        "--detach",
        "--name",
        name,
        "--replicas",
        "2",
        "--mount",
        &mount,
    ];
    host.docker_ok(
        &[
            &arguments[..],
            &["--restart-delay", "100ms", IMAGE, "sh", "-c", command],
        ]
        .concat(),
    );
    settled(host, name, 2)
}

#[test]
fn prunes_take_what_nobody_uses_and_nothing_that_runs() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = unique("pruned");
    let before = create(host, &name);
    // Former tasks of a service that fails on and on are fair game, and one that waits for its turn must come all the same.
    let failing = unique("failing");
    host.docker_ok(&[
        "service",
        "create",
        "--detach",
        "--name",
        &failing,
        "--restart-delay",
        "200ms",
        IMAGE,
        "false",
    ]);
    wait::until("a failed task", LIMIT, || {
        let tasks = host.docker_ok(&["service", "ps", &failing]);
        tasks.contains("Failed").then_some(()).ok_or(tasks)
    })
    .unwrap();
    for prune in [
        &["container", "prune", "--force"][..],
        &["volume", "prune", "--force"],
        &["network", "prune", "--force"],
        &["image", "prune", "--force", "--all"],
        &["system", "prune", "--force", "--all", "--volumes"],
    ] {
        host.docker_ok(prune);
        assert_eq!(running(host, &name), before, "{prune:?}");
    }
    let kept = host.docker_ok(&["exec", before.first().unwrap(), "cat", "/data/kept"]);
    assert_eq!(kept.trim(), "kept");
    host.docker_ok(&[
        "service",
        "update",
        "--detach",
        "--replicas",
        "1",
        "--args",
        "sleep 3600",
        &failing,
    ]);
    settled(host, &failing, 1);
    host.docker_ok(&["service", "update", "--detach", "--force", &name]);
    wait::until("new tasks", LIMIT, || {
        let now = running(host, &name);
        let renewed = now.len() == 2 && now.is_disjoint(&before);
        renewed
            .then_some(())
            .ok_or_else(|| host.docker_ok(&["service", "ps", "--no-trunc", &name]))
    })
    .unwrap();
    host.docker_ok(&["service", "rm", &name, &failing]);
}

#[test]
fn a_prune_between_stopping_and_starting_delays_a_task_and_loses_none() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = unique("delayed");
    host.docker_ok(&[
        "service",
        "create",
        "--detach",
        "--name",
        &name,
        "--restart-delay",
        "3s",
        IMAGE,
        "sleep",
        "3600",
    ]);
    let before = settled(host, &name, 1);
    host.docker_ok(&["kill", before.first().unwrap()]);
    // Its replacement is prepared and waits for the delay: a container that was never started is pruned like a dead one.
    wait::until("a replacement that waits", LIMIT, || {
        let tasks = host.docker_ok(&["service", "ps", &name]);
        let waits = ["Ready", "Assigned", "Prepar"]
            .iter()
            .any(|state| tasks.contains(state));
        waits.then_some(()).ok_or(tasks)
    })
    .unwrap();
    host.docker_ok(&["container", "prune", "--force"]);
    let after = settled(host, &name, 1);
    assert!(after.is_disjoint(&before));
    host.docker_ok(&["service", "rm", &name]);
}

#[test]
fn a_tasks_container_removed_by_hand_is_replaced_with_its_volume() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = unique("removed");
    let before = create(host, &name);
    let victim = before.first().unwrap();
    host.docker_ok(&["rm", "--force", "--volumes", victim]);
    let after = settled(host, &name, 2);
    assert!(!after.contains(victim), "{after:?}");
    assert_eq!(
        after.intersection(&before).count(),
        1,
        "the other one ran on"
    );
    let fresh = after.difference(&before).next().unwrap();
    assert_eq!(
        host.docker_ok(&["exec", fresh, "cat", "/data/kept"]).trim(),
        "kept"
    );
    host.docker_ok(&["service", "rm", &name]);
}

/// Debian's Compose. Its own names and labels, a network and a volume, all beside a service of the same name.
#[test]
fn a_compose_project_comes_and_goes_beside_the_swarm() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = unique("composed");
    let before = create(host, &name);
    let file = format!(
        "version: '2.4'\nservices:\n  {name}:\n    image: {IMAGE}\n    command: sleep 3600\n    volumes: ['kept:/data']\nvolumes:\n  kept: {{}}\n"
    );
    let file = host
        .write("compose/docker-compose.yml", file.as_bytes())
        .unwrap();
    let compose = |args: &[&str]| {
        let mut command: Command = host.docker_command_of("docker-compose");
        command
            .args(["--project-name", &name, "--file"])
            .arg(&file)
            .args(args);
        command::run(&mut command, b"", LIMIT)
            .unwrap()
            .success()
            .unwrap()
            .to_owned()
    };
    compose(&["up", "--detach"]);
    let label = format!("label=com.docker.compose.project={name}");
    let composed = || host.docker_ok(&["ps", "--quiet", "--filter", &label]);
    assert_eq!(composed().lines().count(), 1);
    assert_eq!(running(host, &name), before);
    compose(&["down", "--volumes", "--remove-orphans"]);
    assert_eq!(composed().trim(), "");
    assert_eq!(running(host, &name), before);
    settled(host, &name, 2);
    host.docker_ok(&["service", "rm", &name]);
}
