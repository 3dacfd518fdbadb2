//! Debian's HAProxy before services: outside of the swarm, before a published port, and on a network, over the names of tasks.

use std::collections::BTreeSet;

use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas};
use swarmrs_compat_tests::swarm::{CREATE, shared};
use swarmrs_compat_tests::testbed::{IMAGE, Process, unique};
use swarmrs_compat_tests::web::{
    IN_CONTAINER, addresses, answers, mounts, overlay, remove, remove_network, servers,
};
use swarmrs_compat_tests::{Host, command, wait};

use super::SOON;
use super::load::{self, LOAD};

const HAPROXY: &str = "/usr/sbin/haproxy";
const DEFAULTS: &str = "defaults\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n";

/// Balances connections over nodes, and tells servers who its client is (the PROXY protocol).
const OUTSIDE: &str = "listen mesh\n  mode tcp\n  bind 10.77.0.254:18141\n  \
                       server atlas 10.77.0.1:18140 check send-proxy\n";

/// Balances requests over the tasks that the network's name server names.
const INSIDE: &str = "resolvers swarm\n  parse-resolv-conf\n  timeout resolve 1s\n  hold valid 1s\n  hold obsolete 0s\n\
                      listen tasks\n  mode http\n  bind :80\n  \
                      server-template task 8 tasks.NAME:80 check inter 500ms resolvers swarm init-addr none\n";

fn config(host: &Host, text: &str) -> String {
    let name = unique("haproxy");
    let path = host.write(&name, format!("{DEFAULTS}{text}").as_bytes());
    path.unwrap().display().to_string()
}

#[test]
fn a_balancer_outside_leads_to_a_published_port() {
    let testbed = shared();
    let host = testbed.host(0);
    let service = unique("mirror");
    let flags = load::mounts();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let what = ["--name", &service, "--publish", "18140:90"];
    let run = [IMAGE, IN_CONTAINER, "mirror", "90"];
    host.docker_ok(&[&CREATE[..], &what, &flags, &run].concat());
    wait_for_replicas(host, &service, "1/1").unwrap();
    let mut haproxy = testbed.outside_command();
    haproxy.args([HAPROXY, "-db", "-f", &config(host, OUTSIDE)]);
    let log = host.files().join("haproxy.log");
    let _haproxy = Process::start(&mut haproxy, &log).unwrap();
    let mut say = || {
        let mut say = host.inside_command();
        say.args([LOAD, "say", "tcp", "10.77.0.254:18141"]);
        let output = command::run(&mut say, b"hello", SOON).unwrap();
        let answer = output.success().map_err(|error| error.to_string())?;
        match answer.ends_with("hello") {
            true => Ok(answer.to_owned()),
            false => Err(answer.to_owned()),
        }
    };
    let answer = wait::until("an answer through the balancer", SOON, &mut say).unwrap();
    // The service sees the balancer, which says whom it sees.
    let expected = format!("10.77.0.254 PROXY TCP4 {} 10.77.0.254 ", host.address());
    assert!(answer.starts_with(&expected), "{answer}");
    remove(host, &service);
}

#[test]
fn a_balancer_on_a_network_follows_the_tasks_by_their_name() {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = servers(host, 2, &["--network", &network]);
    let balancer = unique("haproxy");
    let config = config(host, &INSIDE.replace("NAME", &service));
    let program = mounts(HAPROXY);
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    let config = format!("type=bind,source={config},target=/config");
    let run = [
        "run",
        "--detach",
        "--name",
        &balancer,
        "--network",
        &network,
    ];
    let with = [
        "--mount",
        &config,
        IMAGE,
        IN_CONTAINER,
        "-db",
        "-f",
        "/config",
    ];
    host.docker_ok(&[&run[..], &program, &with].concat());
    let at = addresses(host, &network, &balancer).remove(0);
    for replicas in [2, 5, 1] {
        let count = format!("{service}={replicas}");
        host.docker_ok(&["service", "scale", "--detach", &count]);
        wait::until("answers of all tasks and no others", SOON, || {
            let running = task_containers(host, &service).unwrap();
            let running = running.iter().filter(|task| task.running);
            let tasks: BTreeSet<String> = running
                .map(|task| task.container[..12].to_owned())
                .collect();
            let asked = answers(host, &network, &at, 2 * replicas + 2);
            let who: BTreeSet<String> = asked.into_iter().collect();
            match who == tasks && tasks.len() == replicas {
                true => Ok(()),
                false => Err(format!("{who:?} of {tasks:?}")),
            }
        })
        .unwrap();
    }
    host.docker_ok(&["rm", "--force", &balancer]);
    remove(host, &service);
    remove_network(host, &network);
}
