//! `contrib/install`: a bare Debian becomes a node of a swarm by it and one `docker swarm join`; what it refuses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;
use std::time::{Duration, Instant};

use swarmrs_compat_tests::testbed::{Machine, package, workspace};
use swarmrs_compat_tests::{Testbed, wait};

const SOON: Duration = Duration::from_secs(60);

fn hand_in(machine: &Machine) {
    let script = workspace().join("contrib/install");
    machine.hand_in(&script, "install").unwrap();
}

/// Asserts that the script refuses with these words, as the environment of the command is.
#[track_caller]
fn refused(machine: &Machine, command: &str, why: &str) {
    let output = machine.run(&["sh", "-c", command]).unwrap();
    assert!(output.status != 0, "{command}: {output:?}");
    assert!(output.stderr.contains(why), "{command}: {output:?}");
}

#[test]
fn a_bare_debian_is_a_ready_node_by_it_and_one_join() {
    let testbed = Testbed::one().unwrap();
    let manager = testbed.host(0);
    manager.docker_ok(&["swarm", "init", "--advertise-addr", manager.address()]);
    let token = manager.docker_ok(&["swarm", "join-token", "--quiet", "worker"]);
    let machine = Machine::debian().unwrap();
    testbed.plug_in(&machine, 9).unwrap();
    hand_in(&machine);
    refused(&machine, "/share/install", "there is nothing to install");
    package(&machine, "1.0").unwrap();
    machine.ok("! command -v docker && ! command -v dockerd && ! [ -e /usr/bin/swarmrsd ]");

    let begun = Instant::now();
    let said = machine.ok("/share/install --takeover");
    let installed = begun.elapsed();
    let join = format!(
        "docker swarm join --token {token} {}:2377",
        manager.address()
    );
    machine.ok(&join);
    wait::until("the machine among the nodes", SOON, || {
        let format = "{{.Hostname}} {{.Status}} {{.ManagerStatus}}";
        let shown = manager.docker_ok(&["node", "ls", "--format", format]);
        match shown.contains("umbra Ready") {
            true => Ok(()),
            false => Err(shown),
        }
    })
    .unwrap();
    let ready = begun.elapsed();
    println!("measured: a bare Debian: installed after {installed:.1?}, Ready after {ready:.1?}");
    println!("{said}");
    assert_eq!(
        machine.ok("systemctl is-enabled swarmrsd.socket swarmrsd swarmrs-holder"),
        "enabled\nenabled\nenabled"
    );

    let pid = || machine.ok("systemctl show --property MainPID --value swarmrsd docker");
    let before = pid();
    let again = machine.ok("/share/install --takeover");
    assert!(again.contains("is installed and runs already"), "{again}");
    assert_eq!(pid(), before, "a second run restarts nothing");
}

#[test]
fn what_cannot_end_well_is_refused_before_anything_is_changed() {
    let machine = Machine::with_engine().unwrap();
    hand_in(&machine);
    package(&machine, "1.0").unwrap();
    for (command, why) in [
        ("/share/install --now", "unknown argument --now"),
        ("setpriv --reuid 65534 bash /share/install", "needs root"),
        (
            "mv /etc/debian_version /root; /share/install; status=$?; mv /root/debian_version /etc; exit $status",
            "this is not Debian",
        ),
        (
            "/share/install --package /share/absent.deb",
            "there is no file /share/absent.deb",
        ),
        (
            "/share/install --package /share/install",
            "is no package of swarmrs",
        ),
        (
            "/share/install --programs /share",
            "does not have both swarmrsd and docker-swarmrs",
        ),
        (
            "docker swarm init --advertise-addr 10.77.1.1 >/dev/null; /share/install",
            "the engine is in swarm mode",
        ),
    ] {
        refused(&machine, command, why);
    }
    machine.ok("! [ -e /usr/bin/swarmrsd ] && docker swarm leave --force");
}

#[test]
fn what_was_built_in_its_tree_is_installed_in_front_of_the_engine_there_is() {
    let machine = Machine::with_engine().unwrap();
    let tree = std::env::temp_dir().join(format!("swarmrs-install-{}.tar", std::process::id()));
    let mut tar = Command::new("tar");
    tar.arg("--directory")
        .arg(workspace())
        .arg("--create")
        .arg("--file")
        .arg(&tree);
    tar.args([
        "contrib",
        "docs",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "Cargo.toml",
    ]);
    assert!(tar.status().unwrap().success());
    machine.hand_in(&tree, "tree.tar").unwrap();
    std::fs::remove_file(&tree).unwrap();
    // The programs out of a package: those that were built, without what only a debugger reads.
    package(&machine, "9.0").unwrap();
    machine.ok(
        "mkdir -p /root/tree/target && cd /root/tree && tar --extract --file /share/tree.tar
         dpkg-deb --extract /share/swarmrs_9.0_*.deb built && rm /share/*.deb
         mkdir target/release && mv built/usr/bin/swarmrsd built/usr/libexec/docker/cli-plugins/docker-swarmrs target/release",
    );
    let engine = machine.ok("systemctl show --property MainPID --value docker");
    machine.ok("/root/tree/contrib/install");
    machine
        .docker(&["swarm", "init", "--advertise-addr", "10.77.1.1"])
        .unwrap();
    assert_eq!(
        machine.ok("systemctl show --property MainPID --value docker"),
        engine
    );
    machine.ok("dpkg --purge swarmrs; ! [ -e /usr/bin/swarmrsd ]");
}
