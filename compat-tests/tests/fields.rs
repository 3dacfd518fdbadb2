//! Services against the stock swarm: every flag does what it does there, what is refused there is refused here, and a course
//! shows what it shows. Each scenario says in its first lines which steps of the tour it has.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::process::Command;

use swarmrs_compat_tests::Options;
use swarmrs_compat_tests::testbed::Release;
use swarmrs_compat_tests::transcript::{held_against_stock, meant, own};

const DOCKER: &str = "/usr/bin/docker";

/// Flags whose work is another suite's.
const ELSEWHERE: [(&str, &str); 11] = [
    ("config", "scenarios of secrets and configs"),
    ("config-add", "scenarios of secrets and configs"),
    ("config-rm", "scenarios of secrets and configs"),
    ("secret", "scenarios of secrets and configs"),
    ("secret-add", "scenarios of secrets and configs"),
    ("secret-rm", "scenarios of secrets and configs"),
    ("generic-resource", "scenarios of the scheduler"),
    ("generic-resource-add", "scenarios of the scheduler"),
    ("generic-resource-rm", "scenarios of the scheduler"),
    ("max-concurrent", "scenarios of jobs"),
    ("help", "the command's own"),
];

fn compare(scenario: &str) {
    compare_on(scenario, &Options::default());
}

fn compare_on(scenario: &str, ours: &Options) {
    let differing = held_against_stock(&own(scenario), ours, &meant().unwrap());
    if let Some(report) = differing.unwrap() {
        panic!("unlisted differences:\n{report}");
    }
}

#[test]
fn services_with_every_flag_are_what_the_stock_swarm_makes_of_them() {
    compare("scenarios/fields.txt");
}

#[test]
fn on_28_fields_that_are_younger_are_what_the_stock_swarm_makes_of_them() {
    let ours = Options::engine(Release::V28).with_resources();
    compare_on("scenarios/newer.txt", &ours);
}

#[test]
fn bad_input_is_refused_as_the_stock_swarm_does_and_changes_nothing() {
    compare("scenarios/refusals.txt");
}

#[test]
fn a_course_about_services_shows_what_the_stock_swarm_shows() {
    compare("scenarios/course.txt");
}

#[test]
fn no_flag_of_the_stock_command_is_left_out() {
    let text = std::fs::read_to_string(own("scenarios/fields.txt")).unwrap();
    let steps: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("$ docker service"))
        .collect();
    for verb in ["create", "update"] {
        let begin = format!("$ docker service {verb} ");
        let lines = steps.iter().filter(|line| line.starts_with(&begin));
        let used: BTreeSet<&str> = lines.flat_map(|line| flags_in(line)).collect();
        let offered = flags_of(verb);
        assert!(offered.len() > 60, "{offered:?}");
        let left: Vec<&String> = offered
            .iter()
            .filter(|flag| !used.contains(flag.as_str()))
            .filter(|flag| !ELSEWHERE.iter().any(|(other, _)| other == flag))
            .collect();
        println!(
            "{} flags of service {verb}, {} tried here",
            offered.len(),
            used.len()
        );
        assert!(left.is_empty(), "service {verb}: nobody tries {left:?}");
    }
}

/// The long flags on a command line, without their values.
fn flags_in(line: &str) -> Vec<&str> {
    let words = line.split(' ').filter_map(|word| word.strip_prefix("--"));
    words.filter_map(|word| word.split('=').next()).collect()
}

/// The long flags that the stock command offers.
fn flags_of(verb: &str) -> BTreeSet<String> {
    let help = Command::new(DOCKER)
        .args(["service", verb, "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let lines = help
        .lines()
        .filter_map(|line| line.trim_start().split_once("--"));
    let flags = lines.filter(|(before, _)| before.is_empty() || before.ends_with(", "));
    flags
        .filter_map(|(_, flag)| flag.split(' ').next())
        // A line that goes on from the one above may begin with a flag it speaks of.
        .filter(|flag| flag.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .map(str::to_owned)
        .collect()
}
