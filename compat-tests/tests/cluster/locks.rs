//! Managers that lock themselves: one that starts again waits for the key, and the key is one for all.

use swarmrs_compat_tests::{Host, Testbed};

use crate::hosts::{MANAGERS, others, shared, until_printed, until_unreachable, until_well};

const LOCKED: &str = "Swarm is encrypted and needs to be unlocked before it can be used. \
                      Please use \"docker swarm unlock\" to unlock it.";
const STATE: [&str; 3] = ["info", "--format", "{{.Swarm.LocalNodeState}}"];
const KEY: [&str; 3] = ["swarm", "unlock-key", "--quiet"];

#[test]
fn a_manager_that_starts_again_waits_for_the_key_that_all_managers_have() {
    let mut testbed = shared();
    let lock = ["swarm", "update", "--autolock=true"];
    let said = testbed.host(0).docker_ok(&lock);
    let first = testbed.host(1).docker_ok(&KEY);
    assert!(said.contains(&first), "{said}");
    start_again(&mut testbed, 2);
    locked_out(&testbed, 2);

    // Who was locked meanwhile has the key of before still.
    let rotate = ["swarm", "unlock-key", "--rotate", "--quiet"];
    let second = testbed.host(1).docker_ok(&rotate);
    assert_ne!(second, first);
    refused(testbed.host(2), &second);
    unlock(testbed.host(2), &first);
    until_well(&testbed);
    for manager in 0..MANAGERS {
        until_printed(testbed.host(manager), &KEY, &second);
        start_again(&mut testbed, manager);
        refused(testbed.host(manager), &first);
        unlock(testbed.host(manager), &second);
        until_well(&testbed);
    }

    let open = ["swarm", "update", "--autolock=false"];
    testbed.host(2).docker_ok(&open);
    for manager in 0..MANAGERS {
        start_again(&mut testbed, manager);
        assert_eq!(testbed.host(manager).docker_ok(&STATE), "active");
        until_well(&testbed);
    }
}

fn start_again(testbed: &mut Testbed, manager: usize) {
    testbed.host_mut(manager).kill_daemon();
    testbed.host_mut(manager).start_daemon().unwrap();
}

/// What it says itself, and what the others say of it.
#[track_caller]
fn locked_out(testbed: &Testbed, manager: usize) {
    let locked = testbed.host(manager);
    let said = locked.docker_ok(&["info"]);
    assert!(said.contains("Swarm: locked"), "{said}");
    let asked = locked.docker(&["node", "ls"]).unwrap();
    let daemon = format!("Error response from daemon: {LOCKED}");
    assert_eq!((asked.status, asked.stderr.trim()), (1, &*daemon));
    for other in others(manager) {
        until_unreachable(testbed.host(other), locked.name());
    }
}

fn unlock_by(host: &Host, key: &str) -> (i32, String) {
    let said = host.docker_fed(&["swarm", "unlock"], format!("{key}\n").as_bytes());
    let said = said.unwrap();
    (said.status, said.stderr)
}

#[track_caller]
fn unlock(host: &Host, key: &str) {
    assert_eq!(unlock_by(host, key), (0, String::new()));
}

#[track_caller]
fn refused(host: &Host, key: &str) {
    assert_eq!(host.docker_ok(&STATE), "locked");
    let (status, said) = unlock_by(host, key);
    let expected = "Error response from daemon: swarm could not be unlocked: invalid key provided";
    assert_eq!((status, said.trim()), (1, expected));
}
