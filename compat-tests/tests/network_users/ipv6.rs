//! A network with IPv6, by containers: addresses, names, packets; and IPv6 clients of a published port.

use swarmrs_compat_tests::command;
use swarmrs_compat_tests::observe::{wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::{CREATE, shared};
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::web::{overlay, remove_network, request, sleeper};
use swarmrs_compat_tests::{Host, Testbed, wait};

use super::SOON;

const SERVER: &str =
    "mkdir -p /srv && hostname > /srv/index.html && exec httpd -f -p '[::]:80' -h /srv";

/// Gives the host and a neighbour an IPv6 address each.
pub fn cable(testbed: &Testbed) {
    let own = testbed.host(0).inside(&[
        "ip",
        "addr",
        "replace",
        "fd77::1/64",
        "dev",
        "eth0",
        "nodad",
    ]);
    own.unwrap().success().unwrap();
    let mut neighbour = testbed.outside_command();
    neighbour.args([
        "ip",
        "addr",
        "replace",
        "fd77::fe/64",
        "dev",
        "hub0",
        "nodad",
    ]);
    command::run(&mut neighbour, b"", SOON)
        .unwrap()
        .success()
        .unwrap();
}

fn in_container(host: &Host, container: &str, line: &str) -> String {
    host.docker_ok(&["exec", container, "sh", "-c", line])
}

#[test]
fn containers_have_and_find_ipv6_addresses_and_ipv6_clients_are_served() {
    let testbed = shared();
    let host = testbed.host(0);
    cable(&testbed);
    let network = overlay(
        host,
        &[
            "--ipv6",
            "--subnet",
            "fd00:5a::/64",
            "--subnet",
            "10.215.0.0/24",
        ],
    );
    let service = unique("six");
    let what = [
        "--name",
        &service,
        "--replicas",
        "2",
        "--network",
        &network,
        "--publish",
        "18110:80",
    ];
    host.docker_ok(&[&CREATE[..], &what, &[IMAGE, "sh", "-c", SERVER]].concat());
    wait_for_replicas(host, &service, "2/2").unwrap();
    let asker = sleeper(host, &network, &[]);
    let own = in_container(host, &asker, "ip -6 -o addr show scope global");
    assert!(own.contains("fd00:5a::"), "{own}");
    let format =
        format!("{{{{(index .NetworkSettings.Networks \"{network}\").GlobalIPv6Address}}}}");
    let shown = host.docker_ok(&["inspect", "--format", &format, &asker]);
    assert!(
        shown.starts_with("fd00:5a::") && own.contains(&shown),
        "{shown} {own}"
    );
    let tasks = in_container(
        host,
        &asker,
        &format!("nslookup -type=aaaa tasks.{service} 127.0.0.11"),
    );
    let found = tasks
        .lines()
        .filter_map(|line| line.strip_prefix("Address: "));
    let found: Vec<&str> = found
        .filter(|address| address.starts_with("fd00:5a::"))
        .collect();
    assert_eq!(found.len(), 2, "{tasks}");
    for address in found {
        let answer = in_container(host, &asker, &request(address));
        assert_eq!(answer.trim().len(), 12, "{address}: {answer}");
    }
    for (who, url) in [
        ("neighbour", "http://[fd77::1]:18110/"),
        ("host", "http://[::1]:18110/"),
    ] {
        let mut command = match who {
            "neighbour" => testbed.outside_command(),
            _ => host.inside_command(),
        };
        command.args(["curl", "--silent", "--show-error", "--max-time", "3", url]);
        let answer = command::run(&mut command, b"", SOON).unwrap();
        assert_eq!(answer.status, 0, "{who}: {answer:?}");
        assert_eq!(answer.stdout.trim().len(), 12, "{who}: {answer:?}");
    }
    host.docker_ok(&["rm", "--force", &asker]);
    host.docker_ok(&["service", "rm", &service]);
    wait_until_gone(host, &service).unwrap();
    let gone = wait::until("a closed port", SOON, || {
        let output = host.inside(&["ss", "-Hltn", "sport = :18110"]).unwrap();
        match output.stdout.trim() {
            "" => Ok(()),
            left => Err(left.to_owned()),
        }
    });
    gone.unwrap();
    remove_network(host, &network);
}
