//! Networks of the swarm on one host, by the stock command: names, virtual addresses, published ports, containers of users.
//!
//! A newcomer's tour in real packets: an overlay and who may join it, a service's name and virtual address, `tasks.NAME` and
//! `dnsrr`, requests that reach every task, ports on the mesh and on the host, and stacks that come, change and go.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use serde_json::Value;
use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::web::{
    SERVER, addresses, answers, curl, overlay, remove, remove_network, request, servers,
    virtual_address,
};
use swarmrs_compat_tests::{swarm, wait};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_service_is_found_by_its_name_and_answers_at_its_virtual_address() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = servers(host, 3, &["--network", &network]);
    let virtual_ip = virtual_address(host, &service);
    assert_eq!(addresses(host, &network, &service), [virtual_ip.as_str()]);
    let tasks = addresses(host, &network, &format!("tasks.{service}"));
    assert_eq!(tasks.len(), 3, "{tasks:?}");
    let mut who = answers(host, &network, &virtual_ip, 6);
    assert_eq!(who.len(), 6, "{who:?}");
    who.dedup();
    assert_eq!(who.len(), 3, "each of them answers: {who:?}");
    remove(host, &service);
    remove_network(host, &network);
}

#[test]
fn a_name_without_a_virtual_address_leads_to_the_tasks() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let flags = [
        "--network",
        &format!("name={network},alias=www"),
        "--endpoint-mode",
        "dnsrr",
    ];
    let service = servers(host, 2, &flags);
    let tasks = addresses(host, &network, &format!("tasks.{service}"));
    assert_eq!(tasks.len(), 2, "{tasks:?}");
    assert_eq!(addresses(host, &network, &service), tasks);
    assert_eq!(addresses(host, &network, "www"), tasks);
    remove(host, &service);
    remove_network(host, &network);
}

#[test]
fn a_published_port_leads_to_every_task() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let service = servers(host, 2, &["--publish", "18080:80"]);
    let shown = host.docker_ok(&[
        "service",
        "ls",
        "--filter",
        &format!("name={service}"),
        "--format",
        "{{.Ports}}",
    ]);
    assert_eq!(shown, "*:18080->80/tcp");
    // No container's own.
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let shown = host.docker_ok(&["ps", "--filter", &filter, "--format", "<{{.Ports}}>"]);
    assert_eq!(shown, "<>\n<>");
    for address in ["127.0.0.1", host.address()] {
        let url = format!("http://{address}:18080/");
        let who: Vec<_> = (0..4).map(|_| curl(host, &url).unwrap()).collect();
        let different: std::collections::BTreeSet<_> = who.iter().collect();
        assert_eq!(different.len(), 2, "{address}: {who:?}");
    }
    remove(host, &service);
    let gone = wait::until("a port that is closed", SOON, || {
        match curl(host, "http://127.0.0.1:18080/") {
            Ok(answer) => Err(answer),
            Err(_) => Ok(()),
        }
    });
    gone.unwrap();
}

#[test]
fn a_port_of_the_host_is_shown_where_the_engine_shows_its_own() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let publish = [
        "--publish",
        "mode=host,target=80,published=18081",
        "--network",
        &network,
    ];
    let service = servers(host, 1, &publish);
    assert!(curl(host, "http://127.0.0.1:18081/").is_ok());
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let shown = host.docker_ok(&["ps", "--filter", &filter, "--format", "{{.Ports}}"]);
    assert!(shown.contains(":18081->80/tcp"), "{shown}");
    let tasks = host.docker_ok(&["service", "ps", "--format", "{{.Ports}}", &service]);
    assert_eq!(tasks, "*:18081->80/tcp");
    remove(host, &service);
    remove_network(host, &network);
}

#[test]
fn a_users_container_joins_an_attachable_network_and_keeps_its_address() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let name = unique("alone");
    let run = [
        "run",
        "--detach",
        "--name",
        &name,
        "--network",
        &network,
        "--network-alias",
        "solo",
        "--dns",
        "192.0.2.1",
    ];
    host.docker_ok(&[&run[..], &[IMAGE, "sh", "-c", SERVER]].concat());
    let seen = || -> Value {
        let inspected = host.docker_ok(&["inspect", &name]);
        serde_json::from_str::<Value>(&inspected).unwrap()[0].clone()
    };
    let first = seen();
    let on = &first["NetworkSettings"]["Networks"][&network];
    let id = host.docker_ok(&["network", "inspect", "--format", "{{.Id}}", &network]);
    assert_eq!(on["NetworkID"], id.as_str(), "{first}");
    assert!(
        on["Aliases"].as_array().unwrap().contains(&"solo".into()),
        "{on}"
    );
    assert_eq!(first["HostConfig"]["NetworkMode"], network.as_str());
    assert_eq!(first["HostConfig"]["Dns"], serde_json::json!(["192.0.2.1"]));
    assert_eq!(first["Config"]["Labels"], serde_json::json!({}));
    let address = on["IPAddress"].as_str().unwrap().to_owned();
    for term in ["solo", &name] {
        assert_eq!(
            addresses(host, &network, term),
            [address.as_str()],
            "{term}"
        );
    }
    host.docker_ok(&["stop", "--time", "0", &name]);
    host.docker_ok(&["start", &name]);
    let again = seen();
    assert_eq!(
        again["NetworkSettings"]["Networks"][&network]["IPAddress"],
        address.as_str()
    );
    host.docker_ok(&["rm", "--force", &name]);
    remove_network(host, &network);
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = servers(host, 1, &["--network", &network]);
    let name = unique("visitor");
    host.docker_ok(&["run", "--detach", "--name", &name, IMAGE, "sleep", "600"]);
    host.docker_ok(&["network", "connect", &network, &name]);
    let ask = request(&virtual_address(host, &service));
    let answer = || host.docker_ok(&["exec", &name, "sh", "-c", &ask]);
    assert_ne!(answer(), "");
    host.docker_ok(&["network", "disconnect", &network, &name]);
    assert_eq!(answer(), "");
    host.docker_ok(&["rm", "--force", &name]);
    remove(host, &service);
    remove_network(host, &network);
}

#[test]
fn the_engines_twins_are_nowhere_to_be_seen() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = servers(host, 1, &["--network", &network]);
    let listed = host.docker_ok(&[
        "network",
        "ls",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.Name}} {{.Driver}}",
    ]);
    let rows: Vec<&str> = listed
        .lines()
        .filter(|row| row.contains(&network))
        .collect();
    assert_eq!(rows.len(), 1, "{listed}");
    assert!(rows[0].ends_with("overlay"), "{listed}");
    let containers = host.docker_ok(&[
        "network",
        "inspect",
        "--format",
        "{{len .Containers}}",
        &network,
    ]);
    assert_eq!(containers, "1");
    let twins = host
        .engine_api("GET", "/networks", None)
        .unwrap()
        .success()
        .unwrap();
    let twins = twins.as_array().unwrap().iter();
    let twin = twins.clone().find(|one| one["Name"] == *network).unwrap();
    let own = twin["Id"].as_str().unwrap();
    for target in [
        format!("/networks/{own}"),
        format!("/networks/{}", &own[..12]),
    ] {
        assert_eq!(
            host.api("GET", &target, None).unwrap().status,
            404,
            "{target}"
        );
    }
    remove(host, &service);
    remove_network(host, &network);
}

#[test]
fn twins_that_were_pruned_are_made_again() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let name = unique("sleeper");
    host.docker_ok(&[
        "create",
        "--name",
        &name,
        "--network",
        &network,
        IMAGE,
        "sleep",
        "600",
    ]);
    host.engine_docker(&["network", "prune", "--force"])
        .unwrap()
        .success()
        .unwrap();
    host.docker_ok(&["start", &name]);
    assert_eq!(addresses(host, &network, &name).len(), 1);
    host.docker_ok(&["rm", "--force", &name]);
    remove_network(host, &network);
}

#[test]
fn a_stack_is_removed_and_deployed_again_at_once() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let stack = unique("shop");
    let file = format!(
        "version: \"3.8\"\nservices:\n  web:\n    image: {IMAGE}\n    command: [sh, -c, \"{SERVER}\"]\n    \
         stop_signal: SIGKILL\n    ports: [\"18082:80\"]\n"
    );
    for _ in 0..3 {
        let deployed = host
            .docker_fed(&["stack", "deploy", "-c", "-", &stack], file.as_bytes())
            .unwrap();
        assert_eq!(deployed.status, 0, "{deployed:?}");
        wait_for_replicas(host, &format!("{stack}_web"), "1/1").unwrap();
        assert!(curl(host, "http://127.0.0.1:18082/").is_ok());
        host.docker_ok(&["stack", "rm", &stack]);
    }
    wait_until_gone(host, &format!("{stack}_web")).unwrap();
    assert!(
        task_containers(host, &format!("{stack}_web"))
            .unwrap()
            .is_empty()
    );
}

/// Services of a stack, each of which is told a word.
fn stack_of(services: &[(&str, &str)]) -> String {
    let services = services.iter().map(|(name, word)| {
        format!("  {name}:\n    image: {IMAGE}\n    command: sleep 600\n    stop_signal: SIGKILL\n    environment: [WORD={word}]\n")
    });
    format!(
        "version: \"3.8\"\nservices:\n{}",
        services.collect::<String>()
    )
}

#[test]
fn a_stack_deployed_again_changes_what_changed_and_loses_what_the_file_lost() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let stack = unique("shop");
    let deploy = |flags: &[&str], services: &[(&str, &str)]| {
        let deploy = [&["stack", "deploy"], flags, &["-c", "-", &stack]].concat();
        let deployed = host.docker_fed(&deploy, stack_of(services).as_bytes());
        assert_eq!(deployed.as_ref().unwrap().status, 0, "{deployed:?}");
    };
    let [kept, changed, lost] = ["kept", "changed", "lost"].map(|name| format!("{stack}_{name}"));
    deploy(&[], &[("kept", "a"), ("changed", "a"), ("lost", "a")]);
    for service in [&kept, &changed, &lost] {
        wait_for_replicas(host, service, "1/1").unwrap();
    }
    let before = task_containers(host, &kept).unwrap();
    let word = |service: &str| {
        let format = "{{.Spec.TaskTemplate.ContainerSpec.Env}}";
        host.docker_ok(&["service", "inspect", "--format", format, service])
    };
    // Without being told to, nothing is removed.
    deploy(&[], &[("kept", "a"), ("changed", "b")]);
    assert_eq!(word(&lost), "[WORD=a]");
    deploy(&["--prune"], &[("kept", "a"), ("changed", "b")]);
    wait_until_gone(host, &lost).unwrap();
    let format = ["stack", "services", "--format", "{{.Name}}", &stack];
    let mut left: Vec<String> = host.docker_ok(&format).lines().map(str::to_owned).collect();
    left.sort();
    assert_eq!(left, [changed.clone(), kept.clone()]);
    wait::until("the changed word in a task", SOON, || {
        let tasks = task_containers(host, &changed).unwrap();
        let running = tasks.iter().filter(|task| task.running);
        let format = "{{.Config.Env}}";
        let words =
            running.map(|task| host.docker_ok(&["inspect", "--format", format, &task.container]));
        let words: Vec<String> = words.collect();
        match words.as_slice() {
            [one] if one.contains("WORD=b") => Ok(()),
            _ => Err(format!("{words:?}")),
        }
    })
    .unwrap();
    assert_eq!(task_containers(host, &kept).unwrap(), before);
    host.docker_ok(&["stack", "rm", &stack]);
    for service in [&kept, &changed] {
        wait_until_gone(host, service).unwrap();
    }
}

#[test]
fn compose_on_an_attachable_network() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let project = unique("project");
    let file = format!(
        "version: \"3.5\"\nservices:\n  web:\n    image: {IMAGE}\n    command: [sh, -c, \"{SERVER}\"]\n    stop_signal: \
         SIGKILL\n    networks:\n      default:\n        aliases: [www]\nnetworks:\n  default:\n    external: true\n    \
         name: {network}\n"
    );
    let path = host.write("compose.yml", file.as_bytes()).unwrap();
    let path = path.to_str().unwrap();
    let socket = format!("DOCKER_HOST=unix://{}", host.socket().display());
    let compose = |verbs: &[&str]| {
        let base = [
            "env",
            &socket,
            "docker-compose",
            "--file",
            path,
            "--project-name",
            &project,
        ];
        let command = [&base[..], verbs].concat();
        let output = host.inside(&command).unwrap();
        assert_eq!(output.status, 0, "{output:?}");
    };
    compose(&["up", "--detach"]);
    let address = addresses(host, &network, "www");
    assert_eq!(addresses(host, &network, "web"), address);
    assert_eq!(answers(host, &network, &address[0], 1).len(), 1);
    compose(&["down"]);
    remove_network(host, &network);
}
