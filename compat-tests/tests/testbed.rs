//! The testbed keeps its own promises: hosts are apart, joined by the hub, and leave nothing behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const SOON: Duration = Duration::from_secs(60);

/// Processes and cgroups that carry the name of the testbed in `dir`.
fn left_of(dir: &Path) -> Vec<String> {
    let mark = format!("SWARMRS_TESTBED={}", dir.display());
    let marked = |process: &PathBuf| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    };
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(marked);
    let name = format!("*{}*", dir.file_name().unwrap().to_string_lossy());
    let cgroups = Command::new("find")
        .args(["/sys/fs/cgroup", "-name", &name])
        .output()
        .unwrap();
    let cgroups = String::from_utf8_lossy(&cgroups.stdout)
        .lines()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    processes
        .map(|path| path.display().to_string())
        .chain(cgroups)
        .collect()
}

fn answers(from: &Host, to: &Host) -> bool {
    let ping = ["/bin/busybox", "ping", "-c", "1", "-W", "1", to.address()];
    from.inside(&ping).unwrap().status == 0
}

#[test]
fn a_dropped_testbed_leaves_nothing() {
    let testbed = Testbed::hosts(1, &Options::stock()).unwrap();
    let host = testbed.host(0);
    host.docker_ok(&["run", "--detach", IMAGE, "sleep", "600"]);
    let dir = host.files().parent().unwrap().to_owned();
    assert!(
        left_of(&dir).len() > 5,
        "the search finds what is there: {:?}",
        left_of(&dir)
    );
    drop(testbed);
    assert_eq!(left_of(&dir), Vec::<String>::new());
    assert!(!dir.exists());
}

#[test]
fn hosts_reach_each_other_until_one_is_cut_off() {
    let testbed = Testbed::hosts(2, &Options::stock()).unwrap();
    let (first, second) = (testbed.host(0), testbed.host(1));
    assert_ne!(first.name(), second.name());
    assert!(answers(first, second));
    testbed.cut_off(1).unwrap();
    assert!(!answers(first, second));
    testbed.reconnect(1).unwrap();
    wait::until("an answer", SOON, || {
        if answers(first, second) {
            Ok(())
        } else {
            Err("none".to_owned())
        }
    })
    .unwrap();
}

#[test]
fn a_killed_engine_starts_again_and_knows_its_containers() {
    let mut testbed = Testbed::hosts(1, &Options::stock()).unwrap();
    let container = testbed
        .host(0)
        .docker_ok(&["run", "--detach", IMAGE, "sleep", "600"]);
    for _ in 0..2 {
        testbed.host_mut(0).kill_engine();
        testbed.host_mut(0).start_engine().unwrap();
    }
    let seen = testbed
        .host(0)
        .docker_ok(&["ps", "--all", "--quiet", "--no-trunc"]);
    assert_eq!(seen, container);
}

#[test]
fn a_testbed_is_swept_when_its_owner_is_killed() {
    let base = std::env::temp_dir().join(format!("swarmrs-testbed-owner-{}", std::process::id()));
    // Never becomes ready, so that the benchmark waits for it with a host standing.
    let mut owner = Command::new(env!("CARGO_BIN_EXE_swarmrs-bench"))
        .args(["create-1", "--swarmrsd", "/bin/false"])
        .env("SWARMRS_TESTBED_DIR", &base)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let standing = || {
        let dir = std::fs::read_dir(&base)
            .map_err(|e| e.to_string())?
            .flatten()
            .next()
            .ok_or("no testbed")?
            .path();
        if dir.join("atlas/swarmrs").exists() {
            Ok(dir)
        } else {
            Err("no host".to_owned())
        }
    };
    let dir = wait::until("a standing host", SOON, standing).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait::until("the sweep", SOON, || {
        let left = left_of(&dir);
        if left.is_empty() && !base.exists() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .unwrap();
}
