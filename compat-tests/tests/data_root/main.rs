//! What lies in the data root: changed behind the daemon's back it is refused by name or makes no difference, either engine of
//! the log keeps what was acknowledged, and so does a disk without room.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod disk;
mod engine;
mod still;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use swarmrs_compat_tests::census::Census;
use swarmrs_compat_tests::{Host, swarm, wait, web};

const SOON: Duration = Duration::from_secs(20);

/// What its users know of a swarm, and whom the node trusts.
type Known = (Census, String);

fn known(host: &Host) -> Result<Known, String> {
    let docker = |args: &[&str]| host.docker(args)?.success().map(str::to_owned);
    let trust = [
        "node",
        "inspect",
        "self",
        "--format",
        "{{json .Description.TLSInfo}}",
    ];
    let known = Census::take(&docker).and_then(|census| Ok((census, docker(&trust)?)));
    known.map_err(|error| error.to_string())
}

#[track_caller]
fn wait_for(host: &Host, expected: &Known) {
    let whole = || match known(host)? {
        found if found == *expected => Ok(()),
        found => Err(format!("{found:#?}")),
    };
    wait::until("the swarm as it was", SOON, whole).unwrap();
}

/// A service, a container on an overlay, a secret and a config, and a snapshot of that.
fn something_of_everything(host: &Host) {
    swarm::init(host);
    host.docker_ok(&["swarm", "update", "--snapshot-interval", "10"]);
    // More than fits into the journal before the log.
    let content = "x".repeat(400_000);
    for kind in ["secret", "config"] {
        let made = host.docker_fed(&[kind, "create", "used", "-"], content.as_bytes());
        made.unwrap().success().unwrap();
    }
    let network = web::overlay(host, &[]);
    let flags = [
        "--network",
        &network,
        "--secret",
        "used",
        "--config",
        "used",
    ];
    swarm::sleepers(host, 2, &[&flags[..], &["--publish", "8080:80"]].concat());
    web::sleeper(host, &network, &[]);
    let snapshots = host.daemon().data_root().join("swarm/raft/snapshots");
    let list = ["ls", snapshots.to_str().unwrap()];
    wait::until("a snapshot", SOON, || {
        let listed = host.inside(&list).unwrap();
        listed
            .stdout
            .contains("snapshot")
            .then_some(())
            .ok_or(listed.stderr)
    })
    .unwrap();
}

/// Every file of a data root by its name in it, with its content. A lock holds nothing.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let list = Command::new("find")
        .arg(root)
        .args(["-type", "f", "!", "-name", "lock"])
        .output();
    let list = String::from_utf8(list.unwrap().stdout).unwrap();
    let file = |path: &str| {
        let name = Path::new(path).strip_prefix(root).unwrap();
        (name.to_owned(), fs::read(path).unwrap())
    };
    list.lines().map(file).collect()
}
