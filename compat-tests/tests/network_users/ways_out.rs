//! A container that is on a network of its engine's and on one of the swarm goes out by its engine's (decision 22).

use std::time::Duration;

use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::testbed::unique;
use swarmrs_compat_tests::web::{overlay, remove_network, sleeper};
use swarmrs_compat_tests::{Host, wait};

/// The next hop of the container's default routes.
fn ways_out(host: &Host, container: &str) -> Vec<String> {
    let routes = host.docker_ok(&["exec", container, "ip", "route"]);
    let default = routes
        .lines()
        .filter_map(|line| line.strip_prefix("default via "));
    default
        .map(|rest| rest.split(' ').next().unwrap().to_owned())
        .collect()
}

fn gateway(host: &Host, network: &str) -> String {
    let format = "{{(index .IPAM.Config 0).Gateway}}";
    host.docker_ok(&["network", "inspect", "--format", format, network])
}

/// Restarts the container and looks at its way out, and whether packets find it.
fn check(host: &Host, container: &str, network: &str) {
    host.docker_ok(&["restart", "--time", "0", container]);
    assert_eq!(
        ways_out(host, container),
        [gateway(host, network)],
        "{container}"
    );
    let line = [
        "exec",
        container,
        "ping",
        "-c",
        "1",
        "-W",
        "2",
        "10.77.0.254",
    ];
    host.docker_ok(&line);
}

/// The engine starts the container itself: what we know of it is all that is asked.
fn check_past_us(host: &Host, container: &str, network: &str) {
    let expected = [gateway(host, network)];
    let restarted = wait::until("a way out", Duration::from_secs(10), || {
        let restart = ["restart", "--time", "0", container];
        host.engine_docker(&restart).unwrap().success().unwrap();
        match ways_out(host, container) {
            out if out == expected => Ok(()),
            out => Err(format!("{out:?}")),
        }
    });
    restarted.unwrap();
}

#[test]
fn a_container_goes_out_by_its_engines_network_whichever_came_first() {
    let testbed = shared();
    let host = testbed.host(0);
    let ours = overlay(host, &[]);
    let local = unique("local");
    host.docker_ok(&["network", "create", &local]);
    for (first, second) in [(&local, &ours), (&ours, &local)] {
        let name = sleeper(host, first, &[]);
        host.docker_ok(&["network", "connect", second, &name]);
        check(host, &name, &local);
        check_past_us(host, &name, &local);
        host.docker_ok(&["network", "disconnect", &local, &name]);
        check(host, &name, &ours);
        host.docker_ok(&["rm", "--force", &name]);
    }
    host.docker_ok(&["network", "rm", &local]);
    remove_network(host, &ours);
}
