//! The Debian package on a machine with an engine: installed, upgraded over running tasks, removed, purged.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use swarmrs_compat_tests::testbed::{Machine, package};

/// Every file and folder that is not the engine's, the log's or the package manager's.
fn files(machine: &Machine) -> BTreeSet<String> {
    let list = machine.ok(
        "find /etc /usr /var /root /run -xdev -path /run/systemd -prune -o -path /var/lib/dpkg -prune -o -path /var/log -prune \
         -o -path /run/docker -prune -o -path /run/containerd -prune -o -path /run/log -prune -o -path /var/cache -prune \
         -o -print | sort",
    );
    list.lines().map(str::to_owned).collect()
}

fn containers(machine: &Machine) -> String {
    machine.ok("docker ps --quiet | sort | xargs --no-run-if-empty docker inspect --format '{{.Id}} {{.State.StartedAt}}'")
}

#[test]
fn an_upgrade_touches_no_container_and_a_purge_leaves_nothing() {
    let machine = Machine::with_engine().unwrap();
    package(&machine, "1.0").unwrap();
    package(&machine, "2.0").unwrap();
    let before = files(&machine);
    machine.ok("dpkg --install /share/swarmrs_1.0_*.deb");
    assert_eq!(
        machine.ok("systemctl is-active swarmrsd.socket swarmrsd"),
        "active\nactive"
    );
    assert_eq!(
        machine.ok("systemctl is-enabled swarmrsd.socket swarmrsd"),
        "enabled\nenabled"
    );
    machine
        .docker(&["swarm", "init", "--advertise-addr", "10.77.1.1"])
        .unwrap();
    machine.ok("echo word | docker --host unix:///run/swarmrs/docker.sock secret create word -");
    machine.sleepers("web", &["--secret", "word"]).unwrap();
    assert!(
        machine
            .docker(&["swarmrs", "version"])
            .unwrap()
            .contains("Swarm:        active")
    );

    let running = containers(&machine);
    let pid = machine.ok("systemctl show --property MainPID --value swarmrsd");
    let inode = machine.ok("stat --format %i /run/swarmrs/docker.sock");
    machine.ok("echo SWARMRSD_OPTS=--debug >/etc/default/swarmrsd");
    machine.ok("dpkg --install /share/swarmrs_2.0_*.deb </dev/null");
    machine.wait_for_swarmrs().unwrap();
    assert_ne!(
        machine.ok("systemctl show --property MainPID --value swarmrsd"),
        pid
    );
    assert_eq!(
        machine.ok("stat --format %i /run/swarmrs/docker.sock"),
        inode
    );
    assert_eq!(
        machine.ok("cat /etc/default/swarmrsd"),
        "SWARMRSD_OPTS=--debug"
    );
    assert_eq!(containers(&machine), running);

    machine.ok("swarmrs-takeover --yes; dpkg --remove swarmrs");
    let state = machine
        .ok("docker --host unix:///run/docker.sock info --format '{{.Swarm.LocalNodeState}}'");
    assert_eq!(state, "inactive", "the engine has its socket again");
    assert!(
        machine.ok("ls /var/lib/swarmrs").contains("swarm"),
        "what was removed can be installed again"
    );

    machine.ok("dpkg --purge swarmrs");
    assert_eq!(machine.ok("docker ps --all --quiet"), "");
    let after = files(&machine);
    let left: Vec<_> = after.difference(&before).collect();
    assert_eq!(left, Vec::<&String>::new());
}
