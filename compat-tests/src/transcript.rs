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
pub mod mask;
mod run;
mod scenario;

pub use compare::{Delta, compare};
pub use differences::Differences;
pub use run::{Outcome, run};
pub use scenario::{Action, Scenario, Step};

use std::path::{Path, PathBuf};

use crate::error::Tried;
use crate::testbed::Release;
use crate::{Error, Host, Options, Testbed};

/// Runs the scenario at `path` on the stock swarm and on a host made as `ours` says, and returns a report of what differs
/// and is not `meant`.
///
/// Each side has a testbed with a hub of its own, so both hosts have the same name and address.
pub fn held_against_stock(
    path: &Path,
    ours: &Options,
    meant: &Differences,
) -> Result<Option<String>, Error> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match ours.release {
        Release::Own => name.into_owned(),
        release => format!("{name} on {release:?}"),
    };
    let scenario = Scenario::parse(&name, &read(path)?)?;
    let stock = Options {
        release: ours.release,
        flags: ours.flags.clone(),
        ..Options::stock()
    };
    let reference = Testbed::hosts(1, &stock)?;
    let subject = Testbed::hosts(1, ours)?;
    Ok(differ(&scenario, reference.host(0), subject.host(0), meant))
}

/// What is meant to differ: `differences.toml`.
pub fn meant() -> Result<Differences, Error> {
    Differences::parse("differences.toml", &read(&own("differences.toml"))?)
}

/// A file of this crate's: a scenario, or what is meant to differ.
pub fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).tried(|| format!("read {}", path.display()))
}

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
