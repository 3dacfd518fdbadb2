//! `contrib/takeover.sh` on machines with and without systemd: who has the usual socket, what it costs, and that all of it
//! can be undone, from any point it may have died at.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;
use swarmrs_compat_tests::command::Output;
use swarmrs_compat_tests::testbed::{Machine, workspace};
use swarmrs_compat_tests::wait;

const SOON: Duration = Duration::from_secs(60);
const LIVE_RESTORE: &str =
    "echo '{\"live-restore\": true}' >/etc/docker/daemon.json; systemctl reload docker";

/// A machine with a swarm and a service, before take-over.
fn machine() -> Machine {
    let machine = Machine::with_engine().unwrap();
    let script = workspace().join("contrib/takeover.sh");
    machine.hand_in(&script, "takeover.sh").unwrap();
    machine.add_swarmrs().unwrap();
    machine
        .docker(&["swarm", "init", "--advertise-addr", "10.77.1.1"])
        .unwrap();
    machine.sleepers("web", &[]).unwrap();
    machine
}

fn take_over(machine: &Machine, args: &str) -> Output {
    let script = format!("bash /share/takeover.sh {args}");
    machine.run(&["sh", "-c", &script]).unwrap()
}

#[track_caller]
fn succeeds(machine: &Machine, args: &str) -> String {
    take_over(machine, args).success().unwrap().to_owned()
}

/// Every file that take-over may touch, with its content.
fn files(machine: &Machine) -> String {
    machine.ok("find /etc/systemd /etc/docker /etc/default /var/lib/swarmrs-takeover -type f -exec md5sum {} + 2>/dev/null | sort; \
                find /etc/systemd -type d | sort")
}

/// The answers on the usual socket: the engine's own swarm is never active, ours is.
fn swarm_at_usual_socket(machine: &Machine) -> String {
    machine
        .ok("docker --host unix:///var/run/docker.sock info --format '{{.Swarm.LocalNodeState}}'")
}

fn wait_for_service(machine: &Machine) {
    // The manager's word alone may be of before the engine stopped.
    let both = || {
        let shown = machine.docker(&["service", "ls", "--format", "{{.Replicas}}"]);
        let running = machine.sh("docker ps --quiet | wc -l");
        match (shown.as_deref(), running.as_deref()) {
            (Ok("2/2"), Ok("2")) => Ok(()),
            _ => Err(format!("{shown:?}, {running:?} containers")),
        }
    };
    wait::until("both replicas", SOON, both).unwrap();
}

fn containers(machine: &Machine) -> String {
    machine.ok(
        "docker ps --quiet | sort | xargs docker inspect --format '{{.Id}} {{.State.StartedAt}}'",
    )
}

#[test]
fn with_live_restore_nothing_stops_and_undo_restores_every_byte() {
    let mut machine = machine();
    machine.ok(LIVE_RESTORE);
    let (files_before, before) = (files(&machine), containers(&machine));
    assert!(succeeds(&machine, "").contains("no container stops"));
    assert_eq!(swarm_at_usual_socket(&machine), "active");
    assert_eq!(containers(&machine), before);
    let taken = files(&machine);
    assert!(succeeds(&machine, "").contains("already"));
    assert_eq!(files(&machine), taken);
    machine.unplug().unwrap();
    machine.turn_on().unwrap();
    machine.wait_for_swarmrs().unwrap();
    assert_eq!(swarm_at_usual_socket(&machine), "active", "after a reboot");
    wait_for_service(&machine);
    let before = containers(&machine);
    succeeds(&machine, "--undo");
    assert_eq!(swarm_at_usual_socket(&machine), "inactive");
    assert_eq!(files(&machine), files_before);
    assert_eq!(containers(&machine), before);
    machine.wait_for_swarmrs().unwrap();
    assert!(succeeds(&machine, "--undo").contains("nothing to undo"));
}

#[test]
fn without_live_restore_consent_is_asked_for_and_the_tasks_come_back() {
    let machine = machine();
    let before = (files(&machine), containers(&machine));
    let refused = take_over(&machine, "");
    assert_eq!(refused.status, 1);
    assert!(
        refused
            .stderr
            .contains("its 2 running containers would stop"),
        "{}",
        refused.stderr
    );
    assert_eq!((files(&machine), containers(&machine)), before);
    succeeds(&machine, "--yes");
    wait_for_service(&machine);
    assert_eq!(swarm_at_usual_socket(&machine), "active");
    succeeds(&machine, "--undo --yes");
    wait_for_service(&machine);
}

/// Dies in its place at the `n`th call of systemctl that changes something.
fn deadly_systemctl(n: usize) -> String {
    format!(
        "#!/bin/sh
         case $1 in
         stop | start | daemon-reload)
             echo >>/run/calls
             [ $(wc -l </run/calls) -lt {n} ] || {{ kill -9 $PPID; exit 1; }} ;;
         esac
         exec /usr/bin/systemctl \"$@\"\n"
    )
}

/// Runs the script with the systemctl that was handed in.
fn take_over_through(machine: &Machine, args: &str) -> Output {
    let script = format!("PATH=/share/bin:$PATH bash /share/takeover.sh {args}");
    machine.run(&["sh", "-c", &script]).unwrap()
}

#[test]
fn a_script_that_dies_anywhere_can_be_run_again_or_undone() {
    let machine = machine();
    machine.ok(LIVE_RESTORE);
    let before = (files(&machine), containers(&machine));
    for call in 1..=5 {
        machine
            .hand_in_text("bin/systemctl", &deadly_systemctl(call))
            .unwrap();
        let dies = |args: &str| {
            machine.ok("rm -f /run/calls");
            let died = take_over_through(&machine, args);
            assert_eq!(died.status, 137, "at call {call}: {died:?}");
        };
        dies("");
        if call % 2 == 1 {
            succeeds(&machine, "");
            assert_eq!(
                swarm_at_usual_socket(&machine),
                "active",
                "after death at call {call}"
            );
            dies("--undo");
        }
        succeeds(&machine, "--undo");
        assert_eq!(
            swarm_at_usual_socket(&machine),
            "inactive",
            "after death at call {call}"
        );
        wait_for_service(&machine);
        assert_eq!((files(&machine), containers(&machine)), before);
    }
}

#[test]
fn what_would_not_end_well_is_refused_untouched() {
    let machine = machine();
    let refused = |arrange: &str, text: &str, restore: &str| {
        machine.ok(arrange);
        let before = files(&machine);
        let said = take_over(&machine, "--yes");
        assert_eq!(said.status, 1, "{arrange}: {said:?}");
        assert!(said.stderr.contains(text), "{arrange}: {}", said.stderr);
        assert_eq!(files(&machine), before, "{arrange}");
        machine.ok(restore);
    };
    refused(
        "systemctl stop swarmrsd; docker swarm init --listen-addr 10.77.1.1:2388 --advertise-addr 10.77.1.1:2388",
        "the engine is itself in swarm mode",
        "docker swarm leave --force; systemctl start swarmrsd",
    );
    refused(
        "echo SWARMRS_ENGINE=unix:///run/other.sock >>/etc/default/swarmrsd",
        "/etc/default/swarmrsd sets SWARMRS_ENGINE",
        "rm /etc/default/swarmrsd",
    );
    refused(
        "mkdir -p /run/swarmrs-engine; touch /run/swarmrs-engine/docker.sock",
        "/run/swarmrs-engine/docker.sock is there already",
        "rm -r /run/swarmrs-engine",
    );
    refused(
        "mkdir /run/systemd/system/docker.service.d
         printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd -H unix:///run/docker.sock\\n' \
             >/run/systemd/system/docker.service.d/x.conf
         systemctl daemon-reload",
        "docker.service does not take its socket from docker.socket",
        "rm -r /run/systemd/system/docker.service.d; systemctl daemon-reload",
    );
    refused(
        "systemctl stop docker.socket docker.service; ln -sf /run/systemd/notify /run/docker.sock",
        "whoever listens on /run/docker.sock is not a Docker engine",
        "rm /run/docker.sock",
    );
}

#[test]
fn without_systemd_the_running_programs_are_started_with_other_sockets() {
    let machine = machine();
    machine.ok(
        "systemctl stop swarmrsd.socket swarmrsd docker.socket docker; mv /run/systemd/system /run/systemd/hidden
         setsid dockerd --host unix:///var/run/docker.sock --live-restore >/dev/null 2>&1 </dev/null &
         setsid swarmrsd --engine unix:///run/docker.sock --log-level debug >/dev/null 2>&1 </dev/null &",
    );
    machine.wait_for_swarmrs().unwrap();
    wait_for_service(&machine);
    let words = "tr '\\0' ' ' </proc/$(cat /run/docker.pid)/cmdline; tr '\\0' ' ' </proc/$(cat /run/swarmrs/swarmrsd.pid)/cmdline";
    let (before, commands) = (containers(&machine), machine.ok(words));
    succeeds(&machine, "");
    assert_eq!(swarm_at_usual_socket(&machine), "active");
    let moved = machine.ok(words);
    assert!(
        moved.contains("--live-restore") && moved.contains("--log-level debug"),
        "{moved}"
    );
    assert_eq!(containers(&machine), before);
    assert!(succeeds(&machine, "").contains("already"));
    succeeds(&machine, "--undo");
    machine.wait_for_swarmrs().unwrap();
    assert_eq!(machine.ok(words), commands);
    assert_eq!(containers(&machine), before);
    assert_eq!(swarm_at_usual_socket(&machine), "inactive");
}
