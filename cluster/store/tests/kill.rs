//! A process that is killed while it writes loses nothing that it acknowledged.
//!
//! The writing process is this test binary again, told by its environment to run [`the_writer`].

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use support::{config, create, networks, open};
use swarmrs_store::Store;

const FOLDER: &str = "SWARMRS_TEST_WRITER_FOLDER";
const FIRST: &str = "SWARMRS_TEST_WRITER_FIRST";

/// Writes with eight callers until it is killed, and says each number once it is acknowledged.
/// Does nothing where nobody asked for it.
#[tokio::test]
async fn the_writer() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut config = config(Path::new(&folder));
    config.snapshot.entries = 200;
    config.snapshot.keep = 20;
    let store = Arc::new(Store::open(config).await.unwrap());
    if !store.is_initialized() {
        store.initialize().await.unwrap();
    }
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in (first + caller..).step_by(8) {
                    store.propose(create(number)).await.unwrap();
                    println!("ack {number}");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

fn start_writer(folder: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "the_writer", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts")
}

/// Kills the writer after so many acknowledgements; returns all that it ever said.
fn write_and_kill(folder: &Path, first: u64, acknowledged: usize) -> Vec<u64> {
    let mut writer = start_writer(folder, first);
    let output = BufReader::new(writer.stdout.take().expect("is piped"));
    let mut said = Vec::new();
    for line in output.lines() {
        let line = line.expect("is text");
        let number = line.split_once("ack ").map(|(_, number)| number);
        said.extend(number.and_then(|number| number.parse::<u64>().ok()));
        if said.len() == acknowledged {
            writer.kill().expect("can be killed");
        }
    }
    writer.wait().expect("ends");
    said
}

#[tokio::test]
async fn a_killed_process_loses_no_acknowledged_entry() {
    let root = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for (round, acks) in [1usize, 37, 200, 555, 1200].into_iter().enumerate() {
        let first = round as u64 * 1_000_000;
        let said = write_and_kill(root.path(), first, acks);
        assert!(said.len() >= acks, "writer ended early: {}", said.len());
        acknowledged.extend(said);
        let store = open(root.path()).await;
        let found: BTreeSet<u64> = networks(&store.view()).iter().map(|(n, _)| *n).collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        store.shutdown().await.unwrap();
    }
}
