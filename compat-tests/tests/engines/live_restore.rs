//! An engine that is told to leave its containers running (`--live-restore`) leaves them their connections too, however it ends.

use swarmrs_compat_tests::counts::{Count, Way, go_on};
use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas};
use swarmrs_compat_tests::swarm::{CREATE, init};
use swarmrs_compat_tests::testbed::{IMAGE, Release};
use swarmrs_compat_tests::web::{
    IN_CONTAINER, addresses, mounts, overlay, sleeper, virtual_address_on,
};
use swarmrs_compat_tests::{Host, Options, Testbed};

const LOAD: &str = env!("CARGO_BIN_EXE_swarmrs-load");

#[test]
fn on_28_connections_outlive_an_engine_with_live_restore() {
    connections_outlive_the_engine(Release::V28);
}

#[test]
fn on_the_machines_own_connections_outlive_an_engine_with_live_restore() {
    connections_outlive_the_engine(Release::Own);
}

/// Two services and a container that say again what they are told: over the mesh, at a task's port of the host, and at a port
/// that the engine publishes.
fn mirrors(host: &Host, network: &str) {
    // Another engine sees the host's own files and few others.
    let program = host.files().join("load");
    std::fs::copy(LOAD, &program).unwrap();
    let mounts = mounts(program.to_str().unwrap());
    let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let run = [&mounts[..], &[IMAGE, IN_CONTAINER, "mirror", "90"]].concat();
    let on = ["--network", network];
    let mesh = ["--publish", "18090:90", "--publish", "18090:90/udp"];
    let near = ["--publish", "mode=host,target=90,published=18091"];
    host.docker_ok(&[&CREATE[..], &["--name", "echo"], &on, &mesh, &run].concat());
    host.docker_ok(&[&CREATE[..], &["--name", "near"], &on, &near, &run].concat());
    let plain = ["run", "--detach", "--publish", "18092:90"];
    host.docker_ok(&[&plain[..], &run].concat());
    for service in ["echo", "near"] {
        wait_for_replicas(host, service, "1/1").unwrap();
    }
}

/// Clients of all of them, and of the virtual address.
fn counts(testbed: &Testbed, network: &str) -> Vec<Count> {
    let host = testbed.host(0);
    let virtual_ip = virtual_address_on(host, network, "echo");
    let container = sleeper(host, network, &[]);
    let way = |protocol, address: &str, port, again| Way {
        load: LOAD,
        protocol,
        address: format!("{address}:{port}"),
        again,
    };
    let inside = ["tcp", "udp"].map(|protocol| {
        let way = way(protocol, &virtual_ip, 90, false);
        Count::of_container(host, &container, &way)
    });
    let ports = [
        ("tcp", 18090),
        ("udp", 18090),
        ("tcp", 18091),
        ("tcp", 18092),
    ];
    // An engine takes its jump to DOCKER-USER away and sets it anew when it starts: what the host forwards in that moment is lost.
    let outside = ports.map(|(protocol, port)| {
        let way = way(protocol, host.address(), port, protocol == "udp");
        Count::outside(testbed, &way)
    });
    inside.into_iter().chain(outside).collect()
}

/// Connections and flows of datagrams go on while the engine is killed, away and started again, and once more while it is
/// stopped in order; nothing that is said on them is lost.
fn connections_outlive_the_engine(release: Release) {
    let options = Options {
        engine_flags: vec!["--live-restore".to_owned()],
        ..Options::engine(release)
    };
    let mut testbed = Testbed::hosts(1, &options).unwrap();
    let host = testbed.host(0);
    init(host);
    let network = overlay(host, &[]);
    mirrors(host, &network);
    let tasks = task_containers(host, "echo").unwrap();
    let counts = counts(&testbed, &network);
    go_on("connections and flows", &counts);
    for in_order in [false, true] {
        match in_order {
            true => testbed.host_mut(0).stop_engine().unwrap(),
            false => testbed.host_mut(0).kill_engine(),
        }
        go_on("the same without an engine", &counts);
        testbed.host_mut(0).start_engine().unwrap();
        go_on("the same with an engine again", &counts);
    }
    let host = testbed.host(0);
    assert_eq!(task_containers(host, "echo").unwrap(), tasks);
    // And the engine is used as before.
    host.docker_ok(&["service", "scale", "--detach", "echo=2"]);
    wait_for_replicas(host, "echo", "2/2").unwrap();
    let found = addresses(host, &network, "tasks.echo");
    assert_eq!(found.len(), 2, "{found:?}");
}
