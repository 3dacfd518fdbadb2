//! A container that is on a network of its engine's and on one of the swarm goes out by its engine's (decision 22); one that
//! is on an internal network alone does not go out.

use std::time::Duration;

use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::testbed::unique;
use swarmrs_compat_tests::web::{
    addresses, on_network, overlay, remove, remove_network, request, servers, sleeper,
    virtual_address,
};
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

#[test]
fn an_internal_network_leads_to_its_services_and_nowhere_else_with_its_options_in_force() {
    let testbed = shared();
    let host = testbed.host(0);
    let options = [
        "com.docker.network.driver.mtu=1400",
        "com.docker.network.driver.overlay.vxlanid_list=5000",
    ];
    let flags = ["--internal", "--opt", options[0], "--opt", options[1]];
    let network = overlay(host, &flags);
    let service = servers(host, 1, &["--network", &network]);
    let virtual_ip = virtual_address(host, &service);
    assert_eq!(addresses(host, &network, &service), [virtual_ip.as_str()]);
    assert_eq!(on_network(host, &network, &request(&virtual_ip)).len(), 12);

    let asker = sleeper(host, &network, &[]);
    assert_eq!(ways_out(host, &asker), [""; 0]);
    let out = ["exec", &asker, "ping", "-c", "1", "-W", "1", "10.77.0.254"];
    assert_ne!(host.docker(&out).unwrap().status, 0);
    let mtu = host.docker_ok(&["exec", &asker, "cat", "/sys/class/net/eth0/mtu"]);
    assert_eq!(mtu, "1400");
    let format = "{{range $name, $value := .Options}}{{$name}}={{$value}} {{end}}";
    let shown = host.docker_ok(&["network", "inspect", "--format", format, &network]);
    assert_eq!(shown, options.join(" "));

    host.docker_ok(&["rm", "--force", &asker]);
    remove(host, &service);
    remove_network(host, &network);
}
