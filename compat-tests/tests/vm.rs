//! A machine that reboots and one that loses its power: everything of the swarm is back by itself, once.
//!
//! Slow (plain emulation): `contrib/test.sh --only vm` or `--all` runs it, the ordinary run does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;
use std::time::Duration;

use swarmrs_compat_tests::testbed::{RunDir, image, package_into};
use swarmrs_compat_tests::vm::{Image, Machine};

const STEP: Duration = Duration::from_secs(120);
const SETTLED: Duration = Duration::from_secs(300);
/// Writes that are acknowledged before the power goes.
const WRITES: usize = 40;

/// What the machine is given: the package and the test image.
fn files(run: &RunDir) -> PathBuf {
    let folder = run.site().path().join("files");
    std::fs::create_dir_all(&folder).unwrap();
    package_into(&folder, "1.0").unwrap();
    let image = image::archive(run.site().path()).unwrap();
    std::fs::copy(image, folder.join("busybox.tar")).unwrap();
    folder
}

/// The package installed, and a swarm with a service of every kind that must come back.
const SET_UP: &str = r#"
set -e
dpkg -i /files/*.deb
systemctl start docker swarmrsd
docker import --change 'ENV PATH=/bin' /files/busybox.tar test
export DOCKER_HOST=unix:///run/swarmrs/docker.sock
docker swarm init --advertise-addr 127.0.0.1
printf 'only in memory' | docker secret create word -
printf 'to be read' | docker config create note -
docker service create -d --name web --replicas 2 --secret word --config note --restart-delay 1s test \
    sh -c 'cat /run/secrets/word /note && exec sleep 100000'
docker service create -d --name everywhere --mode global --restart-delay 1s test sleep 100000
docker run -d --name kept --restart=always test sleep 100000
"#;

/// Fails, and says what there is, until all is there exactly once and has its files.
const WHOLE: &str = r#"
export DOCKER_HOST=unix:///run/swarmrs/docker.sock
running() { docker ps -q --no-trunc "$@" | wc -l; }
web=$(running -f label=com.docker.swarm.service.name=web)
everywhere=$(running -f label=com.docker.swarm.service.name=everywhere)
kept=$(running -f name='^kept$')
tasks=$(docker service ps -q -f desired-state=running web everywhere | wc -l)
read=0
for id in $(docker ps -q -f label=com.docker.swarm.service.name=web); do
    [ "$(docker exec "$id" cat /run/secrets/word /note)" = "only in memoryto be read" ] && read=$((read + 1))
done
found="web $web everywhere $everywhere kept $kept tasks $tasks read $read"
[ "$found" = "web 2 everywhere 1 kept 1 tasks 3 read 2" ] || { echo "$found"; docker service ps web everywhere; exit 1; }
"#;

/// Writes for ever and says which write was acknowledged.
const WRITE: &str = r#"
export DOCKER_HOST=unix:///run/swarmrs/docker.sock
n=0
while :; do
    n=$((n + 1))
    echo payload | docker config create "write-$n" - >/dev/null && echo "acknowledged $n"
done
"#;

const WRITTEN: &str = r#"
export DOCKER_HOST=unix:///run/swarmrs/docker.sock
docker config ls --format '{{.Name}}' | grep -c '^write-'
"#;

fn whole(machine: &Machine, when: &str) {
    if let Err(error) = machine.wait_for(&format!("a whole swarm {when}"), WHOLE, SETTLED) {
        let log = machine.shell("journalctl -u swarmrsd --no-pager | tail -n 40", STEP);
        panic!(
            "{error}\n{}",
            log.map(|output| output.stdout).unwrap_or_default()
        );
    }
}

/// Writes until enough were acknowledged, then takes the power away in the middle of the next one.
fn write_until_the_power_goes(machine: &mut Machine) -> usize {
    let lines = machine.stream(WRITE, STEP).unwrap();
    let acknowledged = lines
        .map(Result::unwrap)
        .filter_map(|line| line.trim().strip_prefix("acknowledged ")?.parse().ok());
    let last = acknowledged.take(WRITES).last().unwrap();
    machine.cut_power();
    last
}

#[test]
fn a_reboot_and_a_power_cut_lose_nothing_and_double_nothing() {
    let run = RunDir::create().unwrap();
    let mut machine = Machine::start(Image::make().unwrap(), &files(&run)).unwrap();
    machine.shell(SET_UP, STEP).unwrap().success().unwrap();
    whole(&machine, "before the reboot");

    machine.reboot().unwrap();
    whole(&machine, "after the reboot");

    let acknowledged = write_until_the_power_goes(&mut machine);
    machine.power_on().unwrap();
    whole(&machine, "after the power cut");
    let output = machine.shell(WRITTEN, STEP).unwrap();
    let written: usize = output.success().unwrap().parse().unwrap();
    // The write that was under way may be there or not.
    assert!(
        (acknowledged..=acknowledged + 1).contains(&written),
        "{acknowledged} writes were acknowledged, {written} are there"
    );
}
