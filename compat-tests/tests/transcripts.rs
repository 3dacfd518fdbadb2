//! Scenarios run on the stock swarm and on swarmrs, with the same engine on both sides.
//!
//! `SWARMRS_SCENARIO=path` in the environment adds a scenario of one's own, for trying things out;
//! `SWARMRS_TRANSCRIPTS=folder` keeps what both sides said, unmasked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use swarmrs_compat_tests::Options;
use swarmrs_compat_tests::testbed::Release;
use swarmrs_compat_tests::transcript::{Differences, held_against_stock, meant, own};

fn compare(path: &Path, ours: &Options, meant: &Differences) {
    if let Some(report) = held_against_stock(path, ours, meant).unwrap() {
        panic!("unlisted differences:\n{report}");
    }
}

#[test]
fn one_node_answers_as_the_stock_swarm_does() {
    compare(
        &own("scenarios/one-node.txt"),
        &Options::default(),
        &meant().unwrap(),
    );
}

#[test]
fn secrets_and_configs_answer_as_on_the_stock_swarm() {
    compare(
        &own("scenarios/payload.txt"),
        &Options::default(),
        &meant().unwrap(),
    );
}

#[test]
fn networks_answer_as_on_the_stock_swarm() {
    compare(
        &own("scenarios/networks.txt"),
        &Options::default(),
        &meant().unwrap(),
    );
}

#[test]
fn the_lock_of_managers_answers_as_the_stock_one_does() {
    compare(
        &own("scenarios/autolock.txt"),
        &Options::default(),
        &meant().unwrap(),
    );
}

#[test]
fn jobs_and_placement_are_those_of_the_stock_swarm() {
    let ours = Options::default().with_resources();
    compare(&own("scenarios/jobs.txt"), &ours, &meant().unwrap());
}

#[test]
fn two_stock_swarms_do_not_differ_once_masked() {
    compare(
        &own("scenarios/one-node.txt"),
        &Options::stock(),
        &Differences::default(),
    );
}

/// On the newer engine the stock swarm answers as we do on every engine: what differs there is listed once more.
fn compare_on_28(scenario: &str) {
    let ours = Options::engine(Release::V28);
    compare(&own(scenario), &ours, &meant().unwrap());
}

#[test]
fn on_28_one_node_answers_as_the_stock_swarm_does() {
    compare_on_28("scenarios/one-node.txt");
}

#[test]
fn on_28_services_with_every_flag_are_what_the_stock_swarm_makes_of_them() {
    compare_on_28("scenarios/fields.txt");
}

#[test]
fn on_28_bad_input_is_refused_as_the_stock_swarm_does() {
    compare_on_28("scenarios/refusals.txt");
}

#[test]
fn on_28_a_course_about_services_shows_what_the_stock_swarm_shows() {
    compare_on_28("scenarios/course.txt");
}

#[test]
fn on_28_secrets_and_configs_answer_as_on_the_stock_swarm() {
    compare_on_28("scenarios/payload.txt");
}

#[test]
fn on_28_networks_answer_as_on_the_stock_swarm() {
    compare_on_28("scenarios/networks.txt");
}

#[test]
fn on_28_the_lock_of_managers_answers_as_the_stock_one_does() {
    compare_on_28("scenarios/autolock.txt");
}

#[test]
fn on_28_jobs_and_placement_are_those_of_the_stock_swarm() {
    let ours = Options::engine(Release::V28).with_resources();
    compare(&own("scenarios/jobs.txt"), &ours, &meant().unwrap());
}

#[test]
fn a_scenario_of_ones_own_is_compared_too() {
    if let Some(path) = std::env::var_os("SWARMRS_SCENARIO") {
        compare(Path::new(&path), &Options::default(), &meant().unwrap());
    }
}
