//! A disk without room.

use std::path::{Path, PathBuf};

use swarmrs_compat_tests::testbed::unique;
use swarmrs_compat_tests::{Host, Options, Testbed};

use crate::{known, something_of_everything, wait_for};

/// A disk of 64 MiB in the place of a data root of which nothing was used yet.
fn small_disk(testbed: &mut Testbed) -> PathBuf {
    testbed.host_mut(0).stop_daemon().unwrap();
    let host = testbed.host(0);
    let (root, image) = (host.daemon().data_root(), host.files().join("disk"));
    let script =
        "truncate --size 64M \"$1\"; mkfs.ext4 -q -m 0 \"$1\"; mount -o loop \"$1\" \"$2\"";
    shell(host, script, &[&image, &root]);
    testbed.host_mut(0).start_daemon().unwrap();
    root
}

fn shell(host: &Host, script: &str, arguments: &[&Path]) {
    let arguments = arguments.iter().map(|path| path.to_str().unwrap());
    let line = ["sh", "-ec", script, "sh"].into_iter().chain(arguments);
    let ran = host.inside(&line.collect::<Vec<_>>());
    ran.unwrap().success().unwrap();
}

/// Writes configs of 400 KB until one is refused; its refusal.
fn write_until_refused(host: &Host, written: &mut Vec<String>) -> String {
    for _ in 0..500 {
        let name = unique("big");
        let create = ["config", "create", &name, "-"];
        let made = host.docker_fed(&create, &[b'x'; 400_000]).unwrap();
        match made.status {
            0 => written.push(format!("config {name}")),
            _ => return made.stderr,
        }
    }
    panic!("the disk is never full");
}

#[test]
fn a_full_disk_costs_writes_until_there_is_room_and_nothing_else() {
    let options = Options {
        flags: vec!["--disk-reserve=8".to_owned()],
        ..Options::default()
    };
    let mut testbed = Testbed::hosts(1, &options).unwrap();
    let root = small_disk(&mut testbed);
    let host = testbed.host(0);
    something_of_everything(host);
    let ballast = root.join("ballast");
    shell(host, "fallocate --length 30M \"$1\"", &[&ballast]);
    let mut written = Vec::new();
    let refused = write_until_refused(host, &mut written);
    assert!(refused.contains("8.0 MiB are kept back"), "{refused}");
    assert!(!written.is_empty());
    let fill = "dd if=/dev/zero of=\"$1.2\" bs=4k 2>/dev/null || test -s \"$1.2\"";
    shell(host, fill, &[&ballast]);
    let expected = known(host).unwrap();
    let is_there = |name| expected.0.used.contains_key(name);
    assert!(written.iter().all(is_there), "{expected:#?}");
    let refused = write_until_refused(host, &mut Vec::new());
    assert!(refused.contains("is nearly full"), "{refused}");

    testbed.host_mut(0).kill_daemons();
    testbed.host_mut(0).start_daemon().unwrap();
    wait_for(testbed.host(0), &expected);
    let refused = write_until_refused(testbed.host(0), &mut Vec::new());
    assert!(refused.contains("is nearly full"), "{refused}");

    shell(testbed.host(0), "rm \"$1\" \"$1.2\"", &[&ballast]);
    wait_for(testbed.host(0), &expected);
    let made = testbed
        .host(0)
        .docker_fed(&["config", "create", "after", "-"], b"x");
    made.unwrap().success().unwrap();
    let expected = known(testbed.host(0)).unwrap();
    testbed.host_mut(0).kill_daemons();
    testbed.host_mut(0).start_daemon().unwrap();
    wait_for(testbed.host(0), &expected);
}
