//! What somebody who learns Swarm does with services on one node, by the stock command. Of the tour: a first service, scale and
//! update with the command's progress, a task that falls, and logs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use swarmrs_compat_tests::observe::{
    shown_replicas, task_containers, tasks, wait_for_replicas, wait_until_gone,
};
use swarmrs_compat_tests::swarm::{self, CREATE, sleepers};
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::web::{curl, remove};
use swarmrs_compat_tests::{Host, wait};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn the_commands_own_progress_converges_without_a_terminal() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("progress");
    let create = [
        "service",
        "create",
        "--name",
        &name,
        "--stop-signal",
        "KILL",
        "--replicas",
        "2",
    ];
    let shown = host.docker_ok(
        &[
            &create[..],
            &["--update-monitor", "1s", IMAGE, "sleep", "600"],
        ]
        .concat(),
    );
    assert!(shown.ends_with("verify: Service converged"), "{shown}");
    remove(host, &name);
}

#[test]
fn the_commands_own_progress_converges_in_a_terminal() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("progress");
    let create = [
        "service",
        "create",
        "--name",
        &name,
        "--stop-signal",
        "KILL",
        "--replicas",
        "2",
    ];
    let arguments = [
        &create[..],
        &["--update-monitor", "1s", IMAGE, "sleep", "600"],
    ]
    .concat();
    let shown = host.docker_in_terminal(&arguments, b"").unwrap();
    assert_eq!(shown.status, 0, "{shown:?}");
    assert!(
        shown.stdout.contains("verify: Service converged"),
        "{shown:?}"
    );
    remove(host, &name);
}

#[test]
fn three_web_servers_answer_at_ports_that_the_engine_drew() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("web");
    let publish = [
        "--publish",
        "mode=host,target=80",
        "--replicas",
        "3",
        "--stop-signal",
        "KILL",
        "--detach",
    ];
    let server = [IMAGE, "httpd", "-f", "-p", "80", "-h", "/www"];
    host.docker_ok(
        &[
            &["service", "create", "--name", &name],
            &publish[..],
            &server[..],
        ]
        .concat(),
    );
    wait_for_replicas(host, &name, "3/3").unwrap();
    let filter = format!("label=com.docker.swarm.service.name={name}");
    let shown = host.docker_ok(&["ps", "--filter", &filter, "--format", "{{.Ports}}"]);
    let mut ports: Vec<&str> = shown
        .lines()
        .filter_map(|line| Some(line.split_once("->")?.0.rsplit_once(':')?.1))
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3, "{shown}");
    for port in ports {
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(curl(host, &url).unwrap(), "swarmrs\n");
    }
    remove(host, &name);
}

#[test]
fn containers_are_named_and_labelled_as_docker_does() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = sleepers(host, 2, &["--container-label", "tier=back"]);
    let node = host.docker_ok(&["info", "--format", "{{.Swarm.NodeID}}"]);
    let service = host.docker_ok(&["service", "inspect", "--format", "{{.ID}}", &name]);
    for (slot, task) in ["1", "2"].iter().zip(by_slot(host, &name)) {
        let task_name = format!("{name}.{slot}.{}", task.0);
        let format = "{{.Name}} {{json .Config.Labels}}";
        let seen = host.docker_ok(&[
            "inspect",
            "--type",
            "container",
            "--format",
            format,
            &task.1,
        ]);
        let labels = serde_json::json!({
            "com.docker.swarm.node.id": node, "com.docker.swarm.service.id": service,
            "com.docker.swarm.service.name": name, "com.docker.swarm.task": "",
            "com.docker.swarm.task.id": task.0, "com.docker.swarm.task.name": task_name, "tier": "back",
        });
        assert_eq!(seen, format!("/{task_name} {labels}"));
    }
    remove(host, &name);
}

/// Task and container ids, in order of slots.
fn by_slot(host: &Host, service: &str) -> Vec<(String, String)> {
    let mut containers = task_containers(host, service).unwrap();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    containers
        .into_iter()
        .map(|container| (container.task, container.container))
        .collect()
}

#[test]
fn a_task_that_ends_is_replaced_and_kept_in_the_list() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = sleepers(host, 1, &["--restart-delay", "100ms"]);
    let before = task_containers(host, &name).unwrap();
    host.engine_docker(&["kill", &before[0].container])
        .unwrap()
        .success()
        .unwrap();
    wait::until("another task", SOON, || {
        let now = task_containers(host, &name).unwrap();
        if now
            .iter()
            .any(|new| new.running && new.task != before[0].task)
        {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .unwrap();
    wait_for_replicas(host, &name, "1/1").unwrap();
    let rows = host.docker_ok(&["service", "ps", "--no-trunc", &name]);
    assert!(
        rows.contains(&format!(" \\_ {name}.1")) && rows.contains("task: non-zero exit (137)"),
        "{rows}"
    );
    remove(host, &name);
}

/// The stock swarm starts it again after every delay, for ever; here the delay grows, the waiting task says so, and only a
/// new spec is tried at once.
#[test]
fn what_crashes_over_and_over_is_started_ever_less_often_and_says_so() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("crashes");
    let begun = host.docker_ok(&["info", "--format", "{{.SystemTime}}"]);
    let named = ["--restart-delay", "100ms", "--name", &name];
    host.docker_ok(&[&CREATE[..], &named, &[IMAGE, "false"]].concat());
    let starts = || {
        let filter = format!("label=com.docker.swarm.service.name={name}");
        let now = host.docker_ok(&["info", "--format", "{{.SystemTime}}"]);
        let past = ["events", "--since", &begun, "--until", &now];
        let of = ["--filter", "event=start", "--filter", &filter];
        host.docker_ok(&[&past[..], &of].concat()).lines().count()
    };
    wait::until("a task that waits longer", 2 * SOON, || {
        let (before, starts, after) = (waits(host, &name), starts(), waits(host, &name));
        match before.as_deref() {
            // It waits for seconds by then; one that began meanwhile is looked at again.
            Some(message) if message.ends_with("after 7 crashes in a row") && before == after => {
                assert_eq!(starts, 7, "{message}");
                Ok(())
            }
            _ => Err(format!("{before:?} after {starts} starts")),
        }
    })
    .unwrap();
    let update = ["service", "update", "--detach", "--args", "sleep 600"];
    host.docker_ok(&[&update[..], &[&name]].concat());
    wait_for_replicas(host, &name, "1/1").unwrap();
    remove(host, &name);
}

/// What the service's task says that is prepared and may not start yet.
fn waits(host: &Host, service: &str) -> Option<String> {
    let tasks = tasks(host, service).unwrap();
    let held = tasks.iter().find(|task| task["DesiredState"] == "ready")?;
    held["Status"]["Message"].as_str().map(str::to_owned)
}

#[test]
fn a_service_is_scaled_up_and_down() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = sleepers(host, 1, &[]);
    let kept = task_containers(host, &name).unwrap();
    for replicas in [4, 2, 0, 1] {
        host.docker_ok(&[
            "service",
            "scale",
            "--detach",
            &format!("{name}={replicas}"),
        ]);
        wait_for_replicas(host, &name, &format!("{replicas}/{replicas}")).unwrap();
        let all_there = || {
            let running = task_containers(host, &name)
                .unwrap()
                .iter()
                .filter(|task| task.running)
                .count();
            if running == replicas {
                Ok(())
            } else {
                Err(format!("{running} run"))
            }
        };
        wait::until("as many containers", SOON, all_there).unwrap();
        let now = task_containers(host, &name).unwrap();
        if replicas == 4 {
            assert!(
                now.contains(&kept[0]),
                "scaling up leaves what runs alone: {now:?}"
            );
        }
    }
    remove(host, &name);
}

#[test]
fn an_update_replaces_one_task_after_the_other() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = sleepers(host, 3, &["--update-monitor", "1s", "--env", "COLOUR=red"]);
    let before = task_containers(host, &name).unwrap();
    let arguments = [
        "service",
        "update",
        "--detach",
        "--env-add",
        "COLOUR=blue",
        &name,
    ];
    host.docker_ok(&arguments);
    let mut fewest = usize::MAX;
    wait::until("the end of the update", Duration::from_secs(60), || {
        fewest = fewest.min(
            task_containers(host, &name)
                .unwrap()
                .iter()
                .filter(|task| task.running)
                .count(),
        );
        let state = host.docker_ok(&[
            "service",
            "inspect",
            "--format",
            "{{.UpdateStatus.State}}",
            &name,
        ]);
        if state == "completed" {
            Ok(())
        } else {
            Err(state)
        }
    })
    .unwrap();
    assert!(
        fewest >= 2,
        "parallelism is one, yet only {fewest} of 3 ran at some time"
    );
    let now: Vec<_> = task_containers(host, &name)
        .unwrap()
        .into_iter()
        .filter(|task| task.running)
        .collect();
    assert!(
        now.len() == 3 && now.iter().all(|task| !before.contains(task)),
        "{now:?}"
    );
    for task in now {
        let env = host.docker_ok(&["inspect", "--format", "{{.Config.Env}}", &task.container]);
        assert!(env.contains("COLOUR=blue"), "{env}");
    }
    remove(host, &name);
}

#[test]
fn a_change_of_replicas_alone_replaces_nothing() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = sleepers(host, 2, &[]);
    let before = task_containers(host, &name).unwrap();
    host.docker_ok(&["service", "update", "--detach", "--replicas", "3", &name]);
    wait_for_replicas(host, &name, "3/3").unwrap();
    let now = task_containers(host, &name).unwrap();
    assert!(
        before.iter().all(|task| now.contains(task)),
        "{before:?} {now:?}"
    );
    remove(host, &name);
}

#[test]
fn a_task_waits_for_a_node_that_fits_and_runs_once_there_is_one() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("picky");
    let constraint = format!("node.labels.{name}==yes");
    let named = ["--name", &name];
    host.docker_ok(
        &[
            &CREATE[..],
            &named,
            &["--constraint", &constraint, IMAGE, "sleep", "600"],
        ]
        .concat(),
    );
    wait::until("the reason", SOON, || {
        let rows = host.docker_ok(&["service", "ps", "--no-trunc", &name]);
        let reason = "no suitable node (scheduling constraints not satisfied on 1 node)";
        if rows.contains(reason) {
            Ok(())
        } else {
            Err(rows)
        }
    })
    .unwrap();
    assert_eq!(shown_replicas(host, &name).unwrap(), "0/1");
    host.docker_ok(&[
        "node",
        "update",
        "--label-add",
        &format!("{name}=yes"),
        host.name(),
    ]);
    wait_for_replicas(host, &name, "1/1").unwrap();
    remove(host, &name);
}

#[test]
fn a_global_service_runs_once_on_the_node() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("each");
    let global = ["--mode", "global", "--name", &name];
    host.docker_ok(&[&CREATE[..], &global, &[IMAGE, "sleep", "600"]].concat());
    wait_for_replicas(host, &name, "1/1").unwrap();
    assert_eq!(task_containers(host, &name).unwrap().len(), 1);
    remove(host, &name);
}

/// The stock swarm does not know this name; how tasks are on `host` and `bridge` is held against it in a scenario.
#[test]
fn a_task_without_a_network_has_nothing_but_itself() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = sleepers(host, 1, &["--network", "none"]);
    let task = &task_containers(host, &name).unwrap()[0].container;
    let links = host.docker_ok(&["exec", task, "ls", "/sys/class/net"]);
    assert_eq!(links, "lo");
    remove(host, &name);
}

#[test]
fn logs_are_those_of_all_tasks_and_can_be_followed() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("talk");
    let script = "echo hello from $HOSTNAME; exec sleep 600";
    let named = ["--replicas", "2", "--name", &name];
    let hostname = [
        "--hostname",
        "task{{.Task.Slot}}",
        "--env",
        "HOSTNAME=task{{.Task.Slot}}",
    ];
    host.docker_ok(
        &[
            &CREATE[..],
            &named,
            &hostname[..],
            &[IMAGE, "sh", "-c", script],
        ]
        .concat(),
    );
    wait_for_replicas(host, &name, "2/2").unwrap();
    wait::until("both lines", SOON, || {
        let shown = host.docker_ok(&["service", "logs", "--raw", &name]);
        let mut lines: Vec<&str> = shown.lines().collect();
        lines.sort_unstable();
        if lines == ["hello from task1", "hello from task2"] {
            Ok(())
        } else {
            Err(shown)
        }
    })
    .unwrap();
    let follow = format!("timeout 5 \"$DOCKER\" service logs --follow --raw {name}; true");
    let mut shell = host.docker_command_of("sh");
    shell.args(["-c", &follow]);
    let shown = swarmrs_compat_tests::command::run(&mut shell, b"", SOON).unwrap();
    assert_eq!(shown.stdout.lines().count(), 2, "{shown:?}");
    remove(host, &name);
}

#[test]
fn a_removed_service_is_gone_at_once_and_its_containers_soon() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = sleepers(host, 2, &[]);
    host.docker_ok(&["service", "rm", &name]);
    let inspect = host.docker(&["service", "inspect", &name]).unwrap();
    assert_eq!(inspect.status, 1, "{inspect:?}");
    wait_until_gone(host, &name).unwrap();
}

#[test]
fn a_task_that_needs_more_memory_than_there_is_waits() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("huge");
    let create = [
        "service",
        "create",
        "--detach",
        "--reserve-memory",
        "4000GB",
        "--name",
        &name,
    ];
    host.docker_ok(&[&create[..], &[IMAGE, "sleep", "600"]].concat());
    wait::until("the reason", SOON, || {
        let rows = host.docker_ok(&["service", "ps", "--no-trunc", &name]);
        if rows.contains("insufficient resources on 1 node") {
            Ok(())
        } else {
            Err(rows)
        }
    })
    .unwrap();
    assert!(task_containers(host, &name).unwrap().is_empty());
    remove(host, &name);
}

#[test]
fn leaving_removes_the_containers_of_all_tasks_and_a_new_swarm_starts_empty() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = sleepers(host, 3, &[]);
    host.docker_ok(&["service", "scale", "--detach", &format!("{name}=1")]);
    let refused = host.docker(&["swarm", "leave"]).unwrap();
    assert_eq!(refused.status, 1, "the last manager left without force");
    host.docker_ok(&["swarm", "leave", "--force"]);
    let left = host.engine_docker(&["ps", "--all", "--quiet"]).unwrap();
    assert_eq!(left.stdout.trim(), "");
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    assert_eq!(host.docker_ok(&["service", "ls", "--quiet"]), "");
}
