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

/// The secret of each task of `web`.
const HUSH: &str = "h4sh";

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
         docker network create --driver overlay --attachable app
         printf {HUSH} | docker secret create hush -
         {create} --name web --replicas 3 --network app --secret hush --publish mode=host,target=80 \
             --publish published=8080,target=80 {IMAGE} httpd -f -p 80 -h /www
         {create} --name everywhere --mode global {IMAGE} sleep 600
         {create} --name keeper --mount type=volume,source=kept,target=/kept {IMAGE} \
             sh -c 'echo kept >>/kept/file; exec sleep 600'
         docker run --detach --name own --restart always {IMAGE} sleep 600
         docker run --detach --name guest --restart always --network app {IMAGE} sleep 600
         docker run --detach --name {PASSING} {IMAGE} sleep 600"
    ));
    machine
}

/// What is there once all eight containers run.
fn everything(machine: &Machine) -> Census {
    settled(machine, |census| match census.running.len() {
        8 => Ok(()),
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

/// Asks `web` by its name, its virtual address and its port on the mesh, and `guest` by its name, each from the other's
/// container, and prints what each task has for a secret.
const SERVES: &str = r#"
    export DOCKER_HOST=unix:///run/swarmrs/docker.sock
    address() { docker exec "$1" nslookup "$2" 127.0.0.11 | sed -n '/^Name:/,$s/^Address.*: //p'; }
    virtual=$(address guest web)
    docker service inspect --format '{{json .Endpoint.VirtualIPs}}' web | grep --quiet --fixed-strings "\"$virtual/"
    docker exec guest sh -c "printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 $virtual 80" | grep --quiet '^HTTP/1.[01] '
    curl --silent --show-error --max-time 3 --output /dev/null http://10.77.1.1:8080/
    for task in $(docker ps --quiet --filter label=com.docker.swarm.service.name=web); do
        test "$(address $task guest)" = "$(docker inspect --format '{{.NetworkSettings.Networks.app.IPAddress}}' guest)"
        docker exec $task cat /run/secrets/hush
    done
"#;

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
    let three = [HUSH; 3].concat();
    wait::until(
        "names, addresses, ports and secrets",
        BACK,
        || match machine.sh(SERVES) {
            Ok(secrets) if secrets == three => Ok(()),
            Ok(other) => Err(other),
            Err(error) => Err(error.to_string()),
        },
    )
    .unwrap();
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
