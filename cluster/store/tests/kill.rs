//! A process that is killed while it writes loses nothing that it acknowledged.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use support::writer::{self, CALLERS, Dice};
use support::{config, networks};
use swarmrs_store::{LogEngine, Store};

const KILLS: u64 = 20;
const WRITES: usize = 1000;

#[tokio::test]
async fn the_writer() {
    writer::write_if_asked().await;
}

/// Kills the writer a moment after so many acknowledgements; returns all that it ever said.
fn write_and_kill(
    folder: &Path,
    engine: LogEngine,
    first: u64,
    acks: usize,
    then: Duration,
) -> Vec<u64> {
    let (mut process, mut output) = writer::start(folder, engine, first, writer::OFTEN);
    let mut said = Vec::new();
    while said.len() < acks {
        let number = writer::next(&mut output).expect("writes until it is killed");
        said.push(number);
    }
    // The moment of the kill is what is varied here.
    std::thread::sleep(then);
    process.kill().expect("can be killed");
    said.extend(std::iter::from_fn(|| writer::next(&mut output)));
    process.wait().expect("ends");
    said
}

/// Each caller of a round wrote one number after the other, so what is found of it has no gap.
fn assert_no_gap(found: &BTreeSet<u64>, first: u64) {
    for caller in first..first + CALLERS {
        let mut of_caller = (caller..first + 1_000_000).step_by(CALLERS as usize);
        let written = of_caller.by_ref().take_while(|n| found.contains(n)).count();
        let beyond: Vec<_> = of_caller.filter(|n| found.contains(n)).collect();
        assert!(
            beyond.is_empty(),
            "after {written} comes a gap, then {beyond:?}"
        );
    }
}

async fn kill_over_and_over(engine: LogEngine) {
    let mut dice = Dice::new();
    let root = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let first = round * 1_000_000;
        let acks = 50 + dice.below(20) as usize;
        let then = Duration::from_micros(dice.below(30_000));
        acknowledged.extend(write_and_kill(root.path(), engine, first, acks, then));
        let mut config = config(root.path());
        config.engine = engine;
        config.was_initialized = true;
        let store = Store::open(config).await.unwrap();
        let found: BTreeSet<u64> = networks(&store.view()).iter().map(|(n, _)| *n).collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        assert_no_gap(&found, first);
        store.shutdown().await.unwrap();
    }
    assert!(acknowledged.len() >= WRITES, "{}", acknowledged.len());
    eprintln!("{engine}: {} writes, {KILLS} kills", acknowledged.len());
}

#[tokio::test]
async fn a_killed_process_loses_no_acknowledged_entry_on_redb() {
    kill_over_and_over(LogEngine::Redb).await;
}

#[tokio::test]
async fn a_killed_process_loses_no_acknowledged_entry_on_sled() {
    kill_over_and_over(LogEngine::Sled).await;
}
