//! `contrib/systemd` on a machine with systemd: what it accepts, starts, restarts and leaves alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use swarmrs_compat_tests::testbed::Machine;
use swarmrs_compat_tests::wait;

const SOON: Duration = Duration::from_secs(30);

/// A machine that all tests share: swarmrsd installed and on, a service of two replicas.
fn machine() -> MutexGuard<'static, Machine> {
    static SHARED: OnceLock<Mutex<Machine>> = OnceLock::new();
    let machine = SHARED.get_or_init(|| {
        let machine = Machine::with_engine().unwrap();
        machine.add_swarmrs().unwrap();
        let swarm = ["swarm", "init", "--advertise-addr", "10.77.1.1"];
        machine.docker(&swarm).unwrap();
        machine.sleepers("two", &[]).unwrap();
        Mutex::new(machine)
    });
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ids and start times of the service's containers, asked past swarmrsd.
fn containers(machine: &Machine) -> String {
    machine.ok("docker ps --quiet --filter label=com.docker.swarm.service.name=two | sort | xargs docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Running}}'")
}

fn property(machine: &Machine, name: &str) -> String {
    machine.ok(&format!(
        "systemctl show --property {name} --value swarmrsd.service"
    ))
}

/// Waits until systemd has replaced the process `old` and the new one answers.
fn wait_for_another(machine: &Machine, old: &str) {
    let another = || match property(machine, "MainPID") {
        now if now != "0" && now != old => Ok(()),
        now => Err(now),
    };
    wait::until("another swarmrsd", SOON, another).unwrap();
    machine.wait_for_swarmrs().unwrap();
}

#[test]
fn systemd_finds_nothing_to_say_against_the_units() {
    let machine = machine();
    let verified = machine
        .run(&[
            "systemd-analyze",
            "verify",
            "/lib/systemd/system/swarmrsd.socket",
            "/lib/systemd/system/swarmrsd.service",
            "/lib/systemd/system/swarmrs-holder.service",
        ])
        .unwrap();
    let said: Vec<_> = verified
        .stderr
        .lines()
        .filter(|line| line.contains("swarmrs"))
        .collect();
    assert_eq!((verified.status, said), (0, vec![]), "{}", verified.stderr);
}

#[test]
fn a_killed_daemon_is_started_again_and_its_containers_run_on() {
    let machine = machine();
    let before = containers(&machine);
    assert_eq!(before.lines().count(), 2);
    let pid = property(&machine, "MainPID");
    machine.ok(&format!("kill -9 {pid}"));
    wait_for_another(&machine, &pid);
    assert_eq!(
        machine
            .docker(&["service", "ls", "--format", "{{.Replicas}}"])
            .unwrap(),
        "2/2"
    );
    assert_eq!(containers(&machine), before);
}

#[test]
fn the_holder_is_a_unit_of_its_own_and_comes_back_by_itself() {
    let machine = machine();
    let holder = || machine.ok("systemctl show --property MainPID --value swarmrs-holder.service");
    let pid = holder();
    assert_ne!(pid, "0");
    machine.ok("systemctl restart swarmrsd.service");
    machine.wait_for_swarmrs().unwrap();
    assert_eq!(holder(), pid, "the daemon's restart is not the holder's");
    machine.ok("systemctl stop swarmrsd.socket swarmrsd.service");
    machine.ok(&format!("kill -9 {pid}"));
    let another = || match holder() {
        now if now != "0" && now != pid => Ok(()),
        now => Err(now),
    };
    wait::until("another holder without swarmrsd", SOON, another).unwrap();
    machine.ok("systemctl start swarmrsd.socket swarmrsd.service");
    machine.wait_for_swarmrs().unwrap();
}

#[test]
fn stop_and_start_leave_containers_alone() {
    let machine = machine();
    let before = containers(&machine);
    machine.ok("systemctl stop swarmrsd.socket swarmrsd.service");
    assert_eq!(property(&machine, "Result"), "success");
    assert_eq!(containers(&machine), before);
    machine.ok("systemctl start swarmrsd.service");
    machine.wait_for_swarmrs().unwrap();
    assert_eq!(containers(&machine), before);
}

#[test]
fn the_socket_is_the_same_one_over_restarts_and_whoever_asks_meanwhile_waits() {
    let machine = machine();
    let inode = || machine.ok("stat --format %i /run/swarmrs/docker.sock");
    let before = inode();
    machine.ok("systemctl stop swarmrsd.service");
    let activated = machine.docker(&["service", "ls", "--quiet"]).unwrap();
    assert_eq!(activated.lines().count(), 1, "asking starts it");
    machine.ok("systemctl restart swarmrsd.service");
    assert_eq!(inode(), before);
}

#[test]
fn the_daemon_outlives_a_restart_of_the_engine() {
    let machine = machine();
    let pid = property(&machine, "MainPID");
    machine.ok("systemctl restart docker.service");
    let back = || match machine.docker(&["service", "ls", "--format", "{{.Replicas}}"]) {
        Ok(shown) if shown == "2/2" => Ok(()),
        other => Err(format!("{other:?}")),
    };
    wait::until("both replicas", SOON, back).unwrap();
    assert_eq!(property(&machine, "MainPID"), pid);
}

#[test]
fn a_reload_takes_the_log_level_of_the_file_and_is_no_restart() {
    let machine = machine();
    let pid = property(&machine, "MainPID");
    let told = |level: &str| {
        machine.ok(&format!(
            "mkdir -p /etc/swarmrs; echo '{{\"log-level\": \"{level}\"}}' >/etc/swarmrs/daemon.json
             systemctl reload swarmrsd.service"
        ));
        let seen = || {
            let log = machine.ok("journalctl --sync; journalctl --unit swarmrsd --output cat");
            let mut reloads = log.lines().rev().filter(|line| line.contains("SIGHUP"));
            let last = reloads.next().unwrap_or_default();
            match last.contains("configuration reloaded") && last.contains(level) {
                true => Ok(()),
                false => Err(last.to_owned()),
            }
        };
        wait::until("a reload", SOON, seen).unwrap();
    };
    for level in ["debug", "info"] {
        told(level);
    }
    assert_eq!(property(&machine, "MainPID"), pid);
    machine.ok("rm -r /etc/swarmrs");
}

#[test]
fn what_the_daemon_mounts_is_seen_by_the_engine() {
    let machine = machine();
    let namespace = |pid: &str| machine.ok(&format!("readlink /proc/{pid}/ns/mnt"));
    assert_eq!(namespace(&property(&machine, "MainPID")), namespace("1"));
}

#[test]
fn others_reach_the_socket_and_only_the_docker_group_may_use_it() {
    let machine = machine();
    let modes = machine
        .ok("stat --format '%A %U %G' /run/swarmrs /run/swarmrs/docker.sock /var/lib/swarmrs");
    assert_eq!(
        modes,
        "drwxr-xr-x root root\nsrw-rw---- root docker\ndrwx------ root root"
    );
}
