//! Subnets that an engine's own networks have too, and those that are about to become free.

use std::time::Duration;

use swarmrs_compat_tests::observe::{wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::wait;
use swarmrs_compat_tests::web::remove_network;

use super::SOON;

#[test]
fn a_subnet_of_the_engines_own_is_passed_over() {
    let testbed = shared();
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "leave", "--force"]);
    let local = unique("local");
    host.docker_ok(&["network", "create", "--subnet", "10.211.1.0/24", &local]);
    let init = ["swarm", "init", "--advertise-addr", host.address()];
    let pool = [
        "--default-addr-pool",
        "10.211.0.0/22",
        "--default-addr-pool-mask-length",
        "24",
    ];
    host.docker_ok(&[&init[..], &pool].concat());
    let network = unique("net");
    host.docker_ok(&["network", "create", "--driver", "overlay", &network]);
    let format = "{{(index .IPAM.Config 0).Subnet}}";
    let subnet = host.docker_ok(&["network", "inspect", "--format", format, &network]);
    assert_eq!(subnet, "10.211.2.0/24");
    host.docker_ok(&["swarm", "leave", "--force"]);
    host.docker_ok(&["network", "rm", &local]);
}

#[test]
fn a_task_says_which_network_of_its_engine_is_in_its_way() {
    let testbed = shared();
    let host = testbed.host(0);
    let (network, local, service) = (unique("net"), unique("local"), unique("web"));
    let create = ["network", "create", "--subnet", "10.212.0.0/24"];
    host.docker_ok(&[&create[..], &["--driver", "overlay", &network]].concat());
    host.docker_ok(&[&create[..], &[&local]].concat());
    let flags = [
        "--detach",
        "--restart-condition",
        "none",
        "--name",
        &service,
        "--network",
        &network,
    ];
    host.docker_ok(&[&["service", "create"], &flags[..], &[IMAGE, "sleep", "600"]].concat());
    let told = format!(
        "subnet 10.212.0.0/24 of network {network} overlaps with subnet 10.212.0.0/24 of this node's own network {local}"
    );
    let rejected = wait::until("the task's error", SOON, || {
        let tasks = host.docker_ok(&[
            "service",
            "ps",
            "--no-trunc",
            "--format",
            "{{.CurrentState}} {{.Error}}",
            &service,
        ]);
        match tasks.contains("Rejected") && tasks.contains(&told) {
            true => Ok(()),
            false => Err(tasks),
        }
    });
    rejected.unwrap();
    host.docker_ok(&["service", "rm", &service]);
    host.docker_ok(&["network", "rm", &local]);
    remove_network(host, &network);
}

#[test]
fn a_stack_is_deployed_again_while_its_old_tasks_are_still_stopping() {
    let testbed = shared();
    let host = testbed.host(0);
    let stack = unique("shop");
    let file = format!(
        "version: \"3.8\"\nservices:\n  web:\n    image: {IMAGE}\n    command: [sh, -c, \"trap : TERM; while :; do sleep 1; done\"]\n    \
         stop_grace_period: 3s\nnetworks:\n  default:\n    ipam:\n      config: [{{subnet: 10.213.0.0/24}}]\n"
    );
    let service = format!("{stack}_web");
    for _ in 0..3 {
        let deployed = host
            .docker_fed(&["stack", "deploy", "-c", "-", &stack], file.as_bytes())
            .unwrap();
        assert_eq!(deployed.status, 0, "{deployed:?}");
        wait_for_replicas(host, &service, "1/1").unwrap();
        let states = host.docker_ok(&["service", "ps", "--format", "{{.CurrentState}}", &service]);
        assert_eq!(
            states.lines().count(),
            1,
            "no task failed on the way: {states}"
        );
        host.docker_ok(&["stack", "rm", &stack]);
    }
    wait_until_gone(host, &service).unwrap();
    let gone = wait::until(
        "the end of the networks",
        Duration::from_secs(30),
        || match host.docker_ok(&[
            "network",
            "ls",
            "--quiet",
            "--filter",
            &format!("name={stack}"),
        ]) {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        },
    );
    gone.unwrap();
}
