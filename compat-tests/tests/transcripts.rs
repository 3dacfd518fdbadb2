//! Scenarios run on the stock swarm and on swarmrs, with the same engine on both sides.
//!
//! `SWARMRS_SCENARIO=path` in the environment adds a scenario of one's own, for trying things out;
//! `SWARMRS_TRANSCRIPTS=folder` keeps what both sides said, unmasked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use swarmrs_compat_tests::transcript::{Differences, Scenario, differ};
use swarmrs_compat_tests::{Options, Testbed};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

fn scenario(path: &Path) -> Scenario {
    let name = path.file_stem().unwrap().to_string_lossy();
    Scenario::parse(&name, &read(path)).unwrap()
}

fn meant() -> Differences {
    Differences::parse("differences.toml", &read(&file("differences.toml"))).unwrap()
}

/// Two testbeds at once: each has a hub of its own, so both hosts have the same name and address.
fn compare(path: &Path, ours: &Options, meant: &Differences) {
    let scenario = scenario(path);
    let reference = Testbed::hosts(1, &Options::stock()).unwrap();
    let subject = Testbed::hosts(1, ours).unwrap();
    if let Some(report) = differ(&scenario, reference.host(0), subject.host(0), meant) {
        panic!("unlisted differences:\n{report}");
    }
}

#[test]
fn one_node_answers_as_the_stock_swarm_does() {
    compare(
        &file("scenarios/one-node.txt"),
        &Options::default(),
        &meant(),
    );
}

#[test]
fn secrets_and_configs_answer_as_on_the_stock_swarm() {
    compare(
        &file("scenarios/payload.txt"),
        &Options::default(),
        &meant(),
    );
}

#[test]
fn the_lock_of_managers_answers_as_the_stock_one_does() {
    compare(
        &file("scenarios/autolock.txt"),
        &Options::default(),
        &meant(),
    );
}

#[test]
fn two_stock_swarms_do_not_differ_once_masked() {
    compare(
        &file("scenarios/one-node.txt"),
        &Options::stock(),
        &Differences::default(),
    );
}

#[test]
fn a_scenario_of_ones_own_is_compared_too() {
    if let Some(path) = std::env::var_os("SWARMRS_SCENARIO") {
        compare(Path::new(&path), &Options::default(), &meant());
    }
}
