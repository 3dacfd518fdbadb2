//! The main course of networks on each engine that we speak of: the same commands, the same answers. Of a newcomer's tour it
//! has an overlay, virtual address and names, load balancing, published ports and a stack, one after the other in one swarm.
//!
//! An engine that is not the machine's own is a newer Debian's, in a root folder of its own, and is asked by the `docker`
//! command that came with it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live_restore;

use std::time::Duration;

use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::CREATE;
use swarmrs_compat_tests::testbed::{IMAGE, Release, unique};
use swarmrs_compat_tests::web::{
    SERVER, addresses, answers, curl, overlay, remove, remove_network, request, servers,
    virtual_address_on,
};
use swarmrs_compat_tests::{Host, Options, Testbed, command, traces, wait};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn on_the_machines_own_networks_are_whole() {
    networks_are_whole(Release::Own, "");
}

#[test]
fn on_28_networks_are_whole() {
    networks_are_whole(Release::V28, "28.5");
}

#[test]
fn on_26_networks_are_whole() {
    networks_are_whole(Release::V26, "26.1");
}

/// `version` begins the number of the engine that is meant.
fn networks_are_whole(release: Release, version: &str) {
    let mut testbed = Testbed::hosts(1, &Options::engine(release)).unwrap();
    let host = testbed.host(0);
    let server = host.docker_ok(&["version", "--format", "{{.Server.Version}}"]);
    assert!(server.starts_with(version), "{server}");
    // What the engine's own first container and start leave is not ours.
    host.docker_ok(&["run", "--rm", IMAGE, "true"]);
    testbed.host_mut(0).stop_engine().unwrap();
    testbed.host_mut(0).start_engine().unwrap();
    let host = testbed.host(0);
    let before = traces::of(host).unwrap();
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);

    let network = overlay(host, &[]);
    let published = ["--publish", "18080:80", "--network", &network];
    let service = servers(host, 2, &published);
    a_service_answers_at_its_virtual_address(host, &network, &service);
    a_name_is_known_at_the_first_instruction(host, &network, &service);
    a_users_container_and_a_service_find_each_other(host, &network, &service);
    a_port_of_the_host_leads_to_its_task(host, &network);
    the_mesh_keeps_the_clients_address(&testbed);
    a_stack_comes_and_goes(host);
    a_network_of_each_engines_own_carries_a_service(&testbed);
    a_container_joins_later(host, &network, &service);
    a_restart_of_swarmrsd_ends_no_container(&mut testbed, &service);
    a_restart_of_the_engine_keeps_addresses(&mut testbed, &network, &service);

    let host = testbed.host(0);
    remove(host, &service);
    remove_network(host, &network);
    host.docker_ok(&["swarm", "leave", "--force"]);
    let left = || traces::none_since(&before, host);
    wait::until("a host as it was before", SOON, left).unwrap();
}

fn mesh(host: &Host) {
    for address in ["127.0.0.1", host.address()] {
        let answered = || curl(host, &format!("http://{address}:18080/"));
        wait::until("an answer of the mesh", SOON, answered).unwrap();
    }
}

fn a_service_answers_at_its_virtual_address(host: &Host, network: &str, service: &str) {
    let virtual_ip = virtual_address_on(host, network, service);
    assert_eq!(addresses(host, network, service), [virtual_ip.as_str()]);
    let tasks = addresses(host, network, &format!("tasks.{service}"));
    assert_eq!(tasks.len(), 2, "{tasks:?}");
    let mut who = answers(host, network, &virtual_ip, 4);
    assert_eq!(who.len(), 4, "{who:?}");
    who.dedup();
    assert_eq!(who.len(), 2, "each of them answers: {who:?}");
    mesh(host);
}

fn a_name_is_known_at_the_first_instruction(host: &Host, network: &str, service: &str) {
    let name = unique("asker");
    let line = format!("nslookup {service} 127.0.0.11 >/first 2>&1 || echo lost; exec sleep 600");
    let what = ["--name", &name, "--network", network, IMAGE, "sh", "-c"];
    host.docker_ok(&[&CREATE[..], &what, &[&line]].concat());
    wait_for_replicas(host, &name, "1/1").unwrap();
    let asker = &task_containers(host, &name).unwrap()[0].container;
    let expected = virtual_address_on(host, network, service);
    let seen = || match host.docker_ok(&["exec", asker, "cat", "/first"]) {
        first if first.contains(&expected) => Ok(()),
        first => Err(first),
    };
    wait::until("the first look-up", SOON, seen).unwrap();
    assert_eq!(host.docker_ok(&["logs", asker]), "");
    remove(host, &name);
}

fn a_users_container_and_a_service_find_each_other(host: &Host, network: &str, service: &str) {
    let name = unique("alone");
    let run = ["run", "--detach", "--name", &name, "--network", network];
    let what = ["--network-alias", "solo", IMAGE, "sh", "-c", SERVER];
    host.docker_ok(&[&run[..], &what].concat());
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    let own = host.docker_ok(&["inspect", "--format", &format, &name]);
    let look_up = |from: &str, of: &str| {
        let asked = host.docker(&["exec", from, "nslookup", of, "127.0.0.11"]);
        asked.unwrap().stdout
    };
    let virtual_ip = virtual_address_on(host, network, service);
    assert!(look_up(&name, service).contains(&virtual_ip));
    let task = &task_containers(host, service).unwrap()[0].container;
    for term in [&name, "solo"] {
        let found = look_up(task, term);
        assert!(found.contains(&own), "{term}: {found}, instead of {own}");
    }
    host.docker_ok(&["exec", task, "sh", "-c", &request(&own)]);
    host.docker_ok(&["stop", "--time", "0", &name]);
    host.docker_ok(&["start", &name]);
    let again = host.docker_ok(&["inspect", "--format", &format, &name]);
    assert_eq!(again, own);
    host.docker_ok(&["rm", "--force", &name]);
}

fn a_port_of_the_host_leads_to_its_task(host: &Host, network: &str) {
    let published = ["--publish", "mode=host,target=80,published=18081"];
    let service = servers(host, 1, &[&published[..], &["--network", network]].concat());
    assert!(curl(host, "http://127.0.0.1:18081/").is_ok());
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let shown = host.docker_ok(&["ps", "--filter", &filter, "--format", "{{.Ports}}"]);
    assert!(shown.contains(":18081->80/tcp"), "{shown}");
    remove(host, &service);
}

/// What a client outside of the host is answered.
fn asked_outside(testbed: &Testbed, at: &str) -> String {
    let url = format!("http://{at}");
    let answered = || {
        let mut outside = testbed.outside_command();
        outside.args(["curl", "--silent", "--fail", "--max-time", "3", &url]);
        let output = command::run(&mut outside, b"", SOON).unwrap();
        let answer = output.success().map_err(|error| error.to_string())?;
        Ok(answer.trim().to_owned())
    };
    wait::until("an answer", SOON, answered).unwrap()
}

fn the_mesh_keeps_the_clients_address(testbed: &Testbed) {
    let host = testbed.host(0);
    let name = unique("mirror");
    let line = "mkdir -p /srv/cgi-bin && printf '#!/bin/sh\\necho; echo $REMOTE_ADDR\\n' >/srv/cgi-bin/who && \
                chmod +x /srv/cgi-bin/who && exec httpd -f -p 80 -h /srv";
    let what = ["--name", &name, "--publish", "18083:80", IMAGE];
    host.docker_ok(&[&CREATE[..], &what, &["sh", "-c", line]].concat());
    wait_for_replicas(host, &name, "1/1").unwrap();
    let seen = asked_outside(testbed, &format!("{}:18083/cgi-bin/who", host.address()));
    // A server that listens on both families writes it as one of IPv6.
    assert_eq!(
        seen.trim_start_matches("[::ffff:").trim_end_matches(']'),
        "10.77.0.254"
    );
    remove(host, &name);
}

fn a_stack_comes_and_goes(host: &Host) {
    let stack = unique("shop");
    let file = format!(
        "version: \"3.8\"\nservices:\n  web:\n    image: {IMAGE}\n    command: [sh, -c, \"{SERVER}\"]\n    \
         stop_signal: SIGKILL\n    ports: [\"18082:80\"]\n"
    );
    for _ in 0..2 {
        let deploy = ["stack", "deploy", "-c", "-", &stack];
        let deployed = host.docker_fed(&deploy, file.as_bytes()).unwrap();
        assert_eq!(deployed.status, 0, "{deployed:?}");
        wait_for_replicas(host, &format!("{stack}_web"), "1/1").unwrap();
        curl(host, "http://127.0.0.1:18082/").unwrap();
        host.docker_ok(&["stack", "rm", &stack]);
    }
    wait_until_gone(host, &format!("{stack}_web")).unwrap();
}

/// A macvlan with the settings that this node has for it: its task is a neighbour of the host's neighbours.
fn a_network_of_each_engines_own_carries_a_service(testbed: &Testbed) {
    let host = testbed.host(0);
    let create = ["network", "create"];
    let range = ["--subnet", "10.77.0.0/24", "--ip-range", "10.77.0.64/28"];
    let settings = ["--config-only", "--opt", "parent=eth0"];
    host.docker_ok(&[&create[..], &settings, &range, &["lan-here"]].concat());
    let of_swarm = ["--driver", "macvlan", "--scope", "swarm"];
    let from = ["--config-from", "lan-here", "lan"];
    let lan = host.docker_ok(&[&create[..], &of_swarm, &from].concat());
    let service = servers(host, 1, &["--network", "lan"]);
    let task = &task_containers(host, &service).unwrap()[0].container;
    let on = "{{with .NetworkSettings.Networks.lan}}{{.NetworkID}} {{.IPAddress}}{{end}}";
    let shown = host.docker_ok(&["inspect", "--format", on, task]);
    let (network, address) = shown.split_once(' ').unwrap();
    assert_eq!(network, lan, "the swarm's id");
    assert_eq!(asked_outside(testbed, address), task[..12]);
    remove(host, &service);
    for network in ["lan", "lan-here"] {
        remove_network(host, network);
    }
}

/// A container that was made on another network: its names come from inside it.
fn a_container_joins_later(host: &Host, network: &str, service: &str) {
    let name = unique("visitor");
    host.docker_ok(&["run", "--detach", "--name", &name, IMAGE, "sleep", "600"]);
    host.docker_ok(&["network", "connect", network, &name]);
    let virtual_ip = virtual_address_on(host, network, service);
    let found = host.docker_ok(&["exec", &name, "nslookup", service, "127.0.0.11"]);
    assert!(found.contains(&virtual_ip), "{found}");
    let answer = || host.docker_ok(&["exec", &name, "sh", "-c", &request(&virtual_ip)]);
    assert_ne!(answer(), "");
    host.docker_ok(&["network", "disconnect", network, &name]);
    assert_eq!(answer(), "");
    host.docker_ok(&["rm", "--force", &name]);
}

fn a_restart_of_swarmrsd_ends_no_container(testbed: &mut Testbed, service: &str) {
    let before = task_containers(testbed.host(0), service).unwrap();
    testbed.host_mut(0).kill_daemon();
    mesh(testbed.host(0));
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    wait_for_replicas(host, service, "2/2").unwrap();
    mesh(host);
    assert_eq!(task_containers(host, service).unwrap(), before);
}

fn a_restart_of_the_engine_keeps_addresses(testbed: &mut Testbed, network: &str, service: &str) {
    let host = testbed.host(0);
    let name = unique("kept");
    let run = ["run", "--detach", "--restart", "always", "--name", &name];
    let what = ["--network", network, IMAGE, "sh", "-c", SERVER];
    host.docker_ok(&[&run[..], &what].concat());
    let own = addresses(host, network, &name);
    let virtual_ip = virtual_address_on(host, network, service);
    testbed.host_mut(0).stop_engine().unwrap();
    testbed.host_mut(0).start_engine().unwrap();
    let host = testbed.host(0);
    wait_for_replicas(host, service, "2/2").unwrap();
    mesh(host);
    assert_eq!(addresses(host, network, service), [virtual_ip.as_str()]);
    assert_eq!(addresses(host, network, &name), own);
    assert_eq!(answers(host, network, &own[0], 1).len(), 1);
    host.docker_ok(&["rm", "--force", &name]);
}
