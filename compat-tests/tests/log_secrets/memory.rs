//! What a daemon has in memory, and that none of it is dumped.

use std::fs::File;
use std::os::unix::fs::FileExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use swarmrs_compat_tests::swarm::sleepers;
use swarmrs_compat_tests::{Options, Testbed, wait};

use crate::{CANARY, LIMIT};

/// All that a process has in memory of its own, but for pages of nothing.
fn memory(pid: i32) -> Vec<u8> {
    const PAGE: usize = 4096;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (from, to) = line
            .split_whitespace()
            .next()
            .unwrap()
            .split_once('-')
            .unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let mut page = [0; PAGE];
        for at in (address(from)..address(to)).step_by(PAGE) {
            // One that went meanwhile has nothing.
            if memory.read_exact_at(&mut page, at).is_ok() && page != [0; PAGE] {
                found.extend_from_slice(&page);
            }
        }
    }
    found
}

/// How often a process has these bytes in memory.
fn copies(pid: i32, secret: &[u8]) -> usize {
    let secret: String = secret.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let secret = regex::bytes::Regex::new(&format!("(?-u){secret}")).unwrap();
    secret.find_iter(&memory(pid)).count()
}

#[track_caller]
fn until_none(what: &str, pid: i32, secret: &[u8]) {
    wait::until(&format!("no copy of {what}"), LIMIT, || {
        match copies(pid, secret) {
            0 => Ok(()),
            copies => Err(format!("{copies} copies")),
        }
    })
    .unwrap();
}

#[test]
fn what_nobody_needs_any_more_is_not_in_memory() {
    let testbed = Testbed::hosts(2, &Options::default()).unwrap();
    let (manager, worker) = (testbed.host(0), testbed.host(1));
    manager.docker_ok(&[
        "swarm",
        "init",
        "--autolock",
        "--advertise-addr",
        manager.address(),
    ]);
    worker.join(manager, "worker").unwrap();
    let made = manager.docker_fed(&["secret", "create", "s", "-"], CANARY.as_bytes());
    made.unwrap().success().unwrap();
    let there = ["--constraint", "node.role==worker", "--secret", "s"];
    let service = sleepers(manager, 1, &there);
    let pid = worker.daemon().pid().unwrap();
    println!("a secret in use: {} copies", copies(pid, CANARY.as_bytes()));
    assert!(copies(pid, CANARY.as_bytes()) > 0);
    manager.docker_ok(&["service", "rm", &service]);
    until_none("the secret", pid, CANARY.as_bytes());

    let key = manager.docker_ok(&["swarm", "unlock-key", "--quiet"]);
    let key = STANDARD_NO_PAD
        .decode(key.trim().strip_prefix("SWMKEY-1-").unwrap())
        .unwrap();
    let pid = manager.daemon().pid().unwrap();
    println!("an unlock key in use: {} copies", copies(pid, &key));
    assert!(copies(pid, &key) > 0);
    manager.docker_ok(&["swarm", "leave", "--force"]);
    until_none("the unlock key", pid, &key);
}

#[test]
fn neither_the_daemon_nor_its_holder_may_leave_a_core() {
    let testbed = Testbed::one().unwrap();
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    let daemon = host.daemon();
    for pid in [daemon.pid().unwrap(), daemon.holder_pid().unwrap()] {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let mut lines = limits.lines();
        let core = lines
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        let numbers: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(numbers, ["0", "0"], "{core}");
    }
}
