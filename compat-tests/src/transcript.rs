//! Transcripts: one scenario, run on the reference swarm and on swarmrs, and what differs between the two.
//!
//! ```text
//!   scenarios/x.txt ─► scenario ─► run on the reference ─► mask ─┐
//!                            └──► run on swarmrs ───────► mask ─┴► compare ─► deltas ─ differences.toml ─► report
//! ```
//!
//! Both sides start from a fresh host and run on their own, at the same time. Exit codes, error texts, the lines of
//! standard output and every JSON name, type and value are compared, after ids, times, tokens and the like are masked.
//! What we mean to differ in is listed with its reason in `differences.toml`; a listed difference that no longer shows
//! is reported too, so that the list stays true.

mod compare;
mod differences;
mod mask;
mod run;
mod scenario;

pub use compare::{Delta, compare};
pub use differences::Differences;
pub use run::{Outcome, run};
pub use scenario::{Action, Scenario, Step};

use crate::Host;

/// Runs `scenario` on both hosts and returns a report of the differences that `meant` does not list, if any.
pub fn differ(
    scenario: &Scenario,
    reference: &Host,
    ours: &Host,
    meant: &Differences,
) -> Option<String> {
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run(scenario, reference));
        let ours = run(scenario, ours);
        (theirs.join(), ours)
    });
    let theirs = theirs.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    keep(scenario, "reference", &theirs);
    keep(scenario, "ours", &ours);
    let outcomes = scenario.steps.iter().zip(theirs.iter().zip(&ours));
    let deltas: Vec<Delta> = outcomes
        .flat_map(|(step, (theirs, ours))| compare(step, theirs, ours))
        .collect();
    meant.report(scenario, deltas)
}

/// Writes one side's outcomes to the folder that `SWARMRS_TRANSCRIPTS` names, if it names one.
fn keep(scenario: &Scenario, side: &str, outcomes: &[Outcome]) {
    let Some(folder) = std::env::var_os("SWARMRS_TRANSCRIPTS") else {
        return;
    };
    let steps = scenario.steps.iter().zip(outcomes);
    let text: String = steps
        .map(|(step, outcome)| {
            let Outcome {
                status,
                output,
                errors,
                content_type,
            } = outcome;
            format!(
                "== {}\n{status} {content_type}\n{output}\n{errors}\n",
                step.title
            )
        })
        .collect();
    let path = std::path::Path::new(&folder).join(format!("{}.{side}.txt", scenario.name));
    if let Err(error) = std::fs::write(&path, text) {
        eprintln!("cannot keep {}: {error}", path.display());
    }
}
