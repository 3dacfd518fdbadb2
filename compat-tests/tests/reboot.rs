//! The whole machine goes down and comes up again: everything is back by itself, once.
//!
//! A machine is unplugged by killing its init: engine, swarmrsd, containerd, shims and containers die in the same moment, and
//! `/run`, `/tmp` and every network namespace are gone with them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use swarmrs_compat_tests::census::Census;
use swarmrs_compat_tests::testbed::{IMAGE, Machine};
use swarmrs_compat_tests::wait;

/// Boot, engine, swarmrsd, tasks: all on a machine that is busy.
const BACK: Duration = Duration::from_secs(90);

/// The container that no restart policy brings back.
const PASSING: &str = "passing";

/// A machine that all tests share, on, with everything running that shall be there again.
fn machine() -> MutexGuard<'static, Machine> {
    static SHARED: OnceLock<Mutex<Machine>> = OnceLock::new();
    let machine = SHARED.get_or_init(|| Mutex::new(populated()));
    let machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
    machine.ok(&format!("docker start {PASSING}"));
    machine
}

fn populated() -> Machine {
    let machine = Machine::with_engine().unwrap();
    machine.add_swarmrs().unwrap();
    let create = "docker service create --detach --no-resolve-image --restart-delay 1s";
    machine.ok(&format!(
        "export DOCKER_HOST=unix:///run/swarmrs/docker.sock
         docker swarm init --advertise-addr 10.77.1.1
         {create} --name web --replicas 3 --publish mode=host,target=80 {IMAGE} httpd -f -p 80 -h /www
         {create} --name everywhere --mode global {IMAGE} sleep 600
         {create} --name keeper --mount type=volume,source=kept,target=/kept {IMAGE} \
             sh -c 'echo kept >>/kept/file; exec sleep 600'
         docker run --detach --name own --restart always {IMAGE} sleep 600
         docker run --detach --name {PASSING} {IMAGE} sleep 600"
    ));
    machine
}

/// What is there once all seven containers run.
fn everything(machine: &Machine) -> Census {
    settled(machine, |census| match census.running.len() {
        7 => Ok(()),
        _ => Err(format!("{:?}", census.running)),
    })
}

/// Waits for a census of which `is` holds; nothing may be there twice at any moment until then.
fn settled(machine: &Machine, is: impl Fn(&Census) -> Result<(), String>) -> Census {
    let look = || {
        let census =
            Census::take(&|args| machine.docker(args)).map_err(|error| error.to_string())?;
        assert_eq!(census.doubled(), Vec::<&str>::new());
        is(&census).map(|()| census)
    };
    wait::until("what was there before", BACK, look).unwrap()
}

/// Waits until all is as it was, but for what had no reason to come back.
fn all_is_back(machine: &Machine, before: &Census) {
    let mut expected = before.clone();
    expected.running.remove(PASSING);
    settled(machine, |now| match now == &expected {
        true => Ok(()),
        false => Err(format!("{now:#?}")),
    });
    let kept = machine.ok(
        "docker exec $(docker ps -qf label=com.docker.swarm.service.name=keeper) cat /kept/file",
    );
    assert!(
        kept.lines().count() > 1,
        "the volume is the same one: {kept}"
    );
}

#[test]
fn a_power_cut_brings_everything_back() {
    let mut machine = machine();
    let before = everything(&machine);
    machine.unplug().unwrap();
    machine.turn_on().unwrap();
    all_is_back(&machine, &before);
}

#[test]
fn an_orderly_shutdown_brings_everything_back() {
    let mut machine = machine();
    let before = everything(&machine);
    machine.shut_down().unwrap();
    machine.turn_on().unwrap();
    all_is_back(&machine, &before);
}

#[test]
fn swarmrsd_may_come_before_the_engine() {
    let mut machine = machine();
    let before = everything(&machine);
    machine.ok(
        "systemctl disable --quiet docker.service docker.socket swarmrsd.socket swarmrsd.service",
    );
    machine.unplug().unwrap();
    machine.turn_on().unwrap();
    machine.ok("systemctl mask --quiet --runtime docker.service docker.socket");
    machine.ok("systemctl start swarmrsd.service");
    machine.wait_for_swarmrs().unwrap();
    machine.ok("systemctl unmask --quiet --runtime docker.service docker.socket");
    machine.ok("systemctl start docker.socket docker.service");
    all_is_back(&machine, &before);
    machine.ok(
        "systemctl enable --quiet docker.service docker.socket swarmrsd.socket swarmrsd.service",
    );
}

#[test]
fn the_engine_may_come_long_before_swarmrsd() {
    let mut machine = machine();
    let before = everything(&machine);
    machine.ok("systemctl disable --quiet swarmrsd.socket swarmrsd.service");
    machine.unplug().unwrap();
    machine.turn_on().unwrap();
    let own = || match machine.ok("docker ps --quiet --filter name=own").is_empty() {
        true => Err("not yet".to_owned()),
        false => Ok(()),
    };
    wait::until("the engine's own container", BACK, own).unwrap();
    machine.ok("systemctl enable --quiet --now swarmrsd.socket swarmrsd.service");
    all_is_back(&machine, &before);
}

#[test]
fn power_that_fails_again_and_again_while_things_come_back_loses_and_doubles_nothing() {
    let mut machine = machine();
    let before = everything(&machine);
    for moment in [0, 200, 500, 1000, 2000] {
        machine.unplug().unwrap();
        machine.turn_on().unwrap();
        // The moment of the next cut is what is varied here.
        thread::sleep(Duration::from_millis(moment));
    }
    machine.unplug().unwrap();
    machine.turn_on().unwrap();
    all_is_back(&machine, &before);
}
