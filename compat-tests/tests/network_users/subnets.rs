//! Subnets that an engine's own networks have too, those that are about to become free, several of one network, and those of an
//! ingress network of the user's own.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::web::{
    curl, overlay, remove, remove_network, request, servers, virtual_address_on,
};
use swarmrs_compat_tests::{Host, wait};

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
fn an_overlay_has_what_a_configuration_of_the_engine_says() {
    let testbed = shared();
    let host = testbed.host(0);
    let (plan, network) = (unique("plan"), unique("net"));
    let create = ["network", "create", "--driver", "overlay", "--config-from"];
    let unknown = host.docker(&[&create[..], &[&plan, &network]].concat());
    let unknown = unknown.unwrap().stderr;
    let told = format!("configuration network \"{plan}\" does not exist");
    assert!(unknown.contains(&told), "{unknown}");
    let mtu = ["--opt", "com.docker.network.driver.mtu=1390"];
    let config = ["--subnet", "10.219.0.0/24", "--ip-range", "10.219.0.64/26"];
    let label = ["--label", "of=plan", &plan];
    let only = ["network", "create", "--config-only"];
    host.docker_ok(&[&only[..], &config, &mtu, &label].concat());
    let own = ["--subnet", "10.220.0.0/24", &network];
    let both = host.docker(&[&create[..], &[&plan], &own].concat());
    let both = both.unwrap().stderr;
    let told = "user-specified configurations are not supported if the network depends on a configuration network";
    assert!(both.contains(told), "{both}");
    let made = host.docker_ok(&[&create[..], &[&plan, "--label", "of=user", &network]].concat());
    let format = "{{range .IPAM.Config}}{{.Subnet}} {{.IPRange}}{{end}} {{json .Labels}} {{index .Options \"com.docker.network.driver.mtu\"}}";
    let shown = host.docker_ok(&["network", "inspect", "--format", format, &made]);
    let expected = "10.219.0.0/24 10.219.0.64/26 {\"of\":\"user\"} 1390";
    assert_eq!(shown, expected);
    let web = servers(host, 1, &["--network", &network]);
    let format = "{{range .NetworksAttachments}}{{index .Addresses 0}}{{end}}";
    let task = host.docker_ok(&["service", "ps", "--quiet", "--no-trunc", &web]);
    let address = host.docker_ok(&["inspect", "--type", "task", "--format", format, &task]);
    assert!(address.starts_with("10.219.0."), "{address}");
    // It was taken over: nobody needs it any more.
    host.docker_ok(&["network", "rm", &plan]);
    remove(host, &web);
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

/// An address on a network, and the container that has it.
fn members(host: &Host, network: &str, service: &str) -> Vec<(Ipv4Addr, String)> {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    let tasks = task_containers(host, service).unwrap().into_iter();
    let member = |container: String| {
        let address = host.docker_ok(&["inspect", "--format", &format, &container]);
        (address.parse().unwrap(), container)
    };
    tasks.map(|task| member(task.container)).collect()
}

#[test]
fn tasks_in_all_subnets_of_a_network_reach_each_other_and_keep_to_its_range() {
    let testbed = shared();
    let host = testbed.host(0);
    // More than either has addresses for: the stock command gives them in an order of its own.
    let first = ["--subnet", "10.217.0.0/29"];
    let second = ["--subnet", "10.218.0.0/24", "--ip-range", "10.218.0.64/29"];
    let network = overlay(host, &[&first[..], &second].concat());
    let service = servers(host, 10, &["--network", &network]);
    let virtual_ip = virtual_address_on(host, &network, &service);
    let all = members(host, &network, &service);
    let subnet = |address: &Ipv4Addr| match address.octets() {
        [10, 217, 0, 2..=6] => 1,
        [10, 218, 0, 64..=71] => 2,
        _ => panic!("{address} is in neither"),
    };
    let askers = [1, 2].map(|wanted| all.iter().find(|(at, _)| subnet(at) == wanted));
    for (own, asker) in
        askers.map(|found| found.unwrap_or_else(|| panic!("a subnet without a task: {all:?}")))
    {
        for (address, container) in &all {
            let ask = ["exec", asker, "sh", "-c", &request(&address.to_string())];
            let answer = host.docker_ok(&ask);
            assert_eq!(answer, container[..12], "{own} asks {address}");
        }
        let line = format!("for i in $(seq 10); do {}; done", request(&virtual_ip));
        let who = host.docker_ok(&["exec", asker, "sh", "-c", &line]);
        let who: BTreeSet<&str> = who.lines().collect();
        assert_eq!(who.len(), 10, "{own} asks {virtual_ip}: {who:?}");
    }
    remove(host, &service);
    remove_network(host, &network);
}

#[test]
fn an_ingress_network_of_the_users_own_carries_published_ports() {
    let testbed = shared();
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "leave", "--force"]);
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    let removed = host.docker_fed(&["network", "rm", "ingress"], b"y\n");
    removed.unwrap().success().unwrap();
    let create = ["network", "create", "--driver", "overlay", "--ingress"];
    let subnet = ["--subnet", "10.219.0.0/24", "--gateway", "10.219.0.254"];
    let mtu = ["--opt", "com.docker.network.driver.mtu=1300", "mesh"];
    host.docker_ok(&[&create[..], &subnet, &mtu].concat());
    let service = servers(host, 2, &["--publish", "18150:80"]);
    for address in ["127.0.0.1", host.address()] {
        let url = format!("http://{address}:18150/");
        let who: BTreeSet<String> = (0..4).map(|_| curl(host, &url).unwrap()).collect();
        assert_eq!(who.len(), 2, "{address}: {who:?}");
    }
    let task = &task_containers(host, &service).unwrap()[0].container;
    let link = host.docker_ok(&["exec", task, "ip", "addr", "show", "dev", "eth0"]);
    for word in ["mtu 1300", "inet 10.219.0."] {
        assert!(link.contains(word), "{link}");
    }
    let way_out = host.docker_ok(&["exec", task, "ip", "route", "show", "default"]);
    assert!(way_out.contains("via 10.219.0.254"), "{way_out}");
    remove(host, &service);
    host.docker_ok(&["swarm", "leave", "--force"]);
}
