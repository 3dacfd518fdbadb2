//! What was changed on disk behind our back is refused, never half believed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use support::{config, create, eventually, fresh, names, networks};
use swarmrs_security::{DataKey, Sealer};
use swarmrs_store::{Config, Error, LogEngine, SnapshotPolicy, Store};

/// A store with a snapshot and a log tail, shut down; its networks.
async fn written(config: Config) -> Vec<(u64, u64)> {
    let snapshots = config.folder.join("snapshots");
    let store = fresh(config).await;
    for number in 0..60 {
        store.propose(create(number)).await.expect("is taken");
    }
    eventually("a snapshot is there", || !names(&snapshots).is_empty()).await;
    let networks = networks(&store.view());
    store.shutdown().await.expect("ends");
    networks
}

fn small(folder: &Path) -> Config {
    let mut config = config(folder);
    config.snapshot = SnapshotPolicy {
        entries: 50,
        bytes: u64::MAX,
        keep: 5,
    };
    config
}

/// How many bytes of each file are tried.
const SAMPLES: usize = 24;

/// Every file below a folder, with its content. The lock holds nothing.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in names(folder).iter().filter(|name| *name != "lock") {
        let path = folder.join(name);
        match path.is_dir() {
            true => files.extend(content(&path)),
            false => drop(files.insert(path.clone(), fs::read(path).expect("can be read"))),
        }
    }
    files
}

fn write_all(files: &BTreeMap<PathBuf, Vec<u8>>, from: &Path, to: &Path) {
    // sled makes this folder if it is not there.
    for (path, bytes) in files {
        let path = to.join(path.strip_prefix(from).expect("is below"));
        fs::create_dir_all(path.parent().expect("has a folder")).expect("can be made");
        fs::write(path, bytes).expect("can be written");
    }
}

/// Where to flip: the ends, and places in between. Mostly where something is written.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let step = (written.len() / SAMPLES).max(1);
    let mut offsets: Vec<usize> = written.into_iter().step_by(step).collect();
    offsets.extend([0, bytes.len() / 2, bytes.len().saturating_sub(1)]);
    offsets.retain(|at| *at < bytes.len());
    offsets
}

/// Flips bytes of every file of a store one at a time, and opens it.
async fn flip_everywhere(
    engine: LogEngine,
    found: &BTreeMap<PathBuf, Vec<u8>>,
    from: &Path,
    before: &[(u64, u64)],
) {
    for (path, bytes) in found {
        let (mut refused, mut harmless) = (0, 0);
        for at in offsets(bytes) {
            let scratch = tempfile::tempdir().unwrap();
            let mut flipped = found.clone();
            flipped.get_mut(path).expect("is there")[at] ^= 0x04;
            write_all(&flipped, from, scratch.path());
            let as_written = content(scratch.path());
            let mut config = small(scratch.path());
            (config.engine, config.was_initialized) = (engine, true);
            let place = format!("{engine}: byte {at} of {}", path.display());
            match Store::open(config).await {
                Ok(store) => {
                    assert_eq!(networks(&store.view()), before, "{place}");
                    harmless += 1;
                }
                Err(error) => {
                    refused += 1;
                    let text = error.to_string();
                    assert!(
                        text.contains(scratch.path().to_str().unwrap()),
                        "{place}: {text}"
                    );
                    let unchanged = content(scratch.path()) == as_written;
                    assert!(unchanged, "{place}: changed, though refused: {text}");
                }
            }
        }
        let name = path.strip_prefix(from).expect("is below").display();
        eprintln!("{engine}: {name}: {refused} refused, {harmless} harmless");
    }
}

/// Both the store as it lies there after an orderly end, and as a kill leaves it.
async fn sweep(engine: LogEngine) {
    let root = tempfile::tempdir().unwrap();
    let mut config = small(root.path());
    config.engine = engine;
    let snapshots = root.path().join("snapshots");
    let store = fresh(config).await;
    for number in 0..70 {
        store.propose(create(number)).await.expect("is taken");
    }
    eventually("a snapshot is there", || !names(&snapshots).is_empty()).await;
    store.propose(create(70)).await.expect("is taken");
    let before = networks(&store.view());
    let killed = content(root.path());
    store.shutdown().await.expect("ends");
    let closed = content(root.path());
    for found in [killed, closed] {
        flip_everywhere(engine, &found, root.path(), &before).await;
    }
}

#[tokio::test]
async fn a_flipped_byte_on_redb_is_refused_by_name_and_left_alone_or_changes_nothing() {
    sweep(LogEngine::Redb).await;
}

#[tokio::test]
async fn a_flipped_byte_on_sled_is_refused_by_name_and_left_alone_or_changes_nothing() {
    sweep(LogEngine::Sled).await;
}

#[tokio::test]
async fn a_flipped_byte_in_a_snapshot_is_always_refused() {
    let root = tempfile::tempdir().unwrap();
    written(small(root.path())).await;
    let folder = root.path().join("snapshots");
    let file = folder.join(&names(&folder)[0]);
    let good = fs::read(&file).unwrap();
    for at in [1, 30, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x04;
        fs::write(&file, bad).unwrap();
        let refused = Store::open(small(root.path())).await.unwrap_err();
        let named = matches!(&refused, Error::Damaged { path, .. } if *path == file);
        assert!(named, "{refused}");
    }
    fs::write(&file, good).unwrap();
    Store::open(small(root.path())).await.unwrap();
}

#[tokio::test]
async fn a_damaged_log_is_refused_with_the_last_good_snapshot() {
    let root = tempfile::tempdir().unwrap();
    written(small(root.path())).await;
    let (log, snapshots) = (root.path().join("log.redb"), root.path().join("snapshots"));
    fs::write(&log, vec![0; 4096]).unwrap();
    let refused = Store::open(small(root.path()))
        .await
        .unwrap_err()
        .to_string();
    let good = snapshots.join(&names(&snapshots)[0]);
    assert!(refused.contains(log.to_str().unwrap()), "{refused}");
    assert!(
        refused.contains(&format!("last good snapshot: {}", good.display())),
        "{refused}"
    );
}

#[tokio::test]
async fn a_log_of_before_is_refused_however_whole_it_is() {
    for engine in [LogEngine::Redb, LogEngine::Sled] {
        let root = tempfile::tempdir().unwrap();
        let mut config = small(root.path());
        config.engine = engine;
        let store = fresh(config.clone()).await;
        store.propose(create(1)).await.unwrap();
        store.shutdown().await.unwrap();
        let log = root.path().join(format!("log.{engine}"));
        let mut old = content(root.path());
        old.retain(|path, _| path.starts_with(&log) || path.ends_with("log.redb-journal"));
        let store = Store::open(config.clone()).await.unwrap();
        store.propose(create(2)).await.unwrap();
        store.shutdown().await.unwrap();
        if log.is_dir() {
            fs::remove_dir_all(&log).unwrap();
            fs::create_dir_all(log.join("blobs")).unwrap();
        }
        write_all(&old, root.path(), root.path());
        let refused = Store::open(config).await.unwrap_err().to_string();
        assert!(refused.contains("was acknowledged"), "{engine}: {refused}");
    }
}

/// What may be found where a member's store should be, and what is said of it.
#[tokio::test]
async fn what_is_not_a_whole_store_of_ours_is_refused_by_name_and_left_alone() {
    type Change = fn(&Path);
    let cases: [(&str, Change, &str); 13] = [
        (
            "no folder",
            |f| fs::remove_dir_all(f).unwrap(),
            "is missing",
        ),
        ("an empty folder", |f| empty(f), "log.redb is missing"),
        (
            "no log",
            |f| fs::remove_file(f.join("log.redb")).unwrap(),
            "log.redb is missing",
        ),
        (
            "an empty log",
            |f| fs::write(f.join("log.redb"), b"").unwrap(),
            "log.redb is damaged",
        ),
        ("half a log", halve, "log.redb is damaged"),
        (
            "a foreign log",
            |f| fs::write(f.join("log.redb"), b"#!/bin/sh").unwrap(),
            "log.redb is damaged",
        ),
        (
            "no journal",
            |f| fs::remove_file(f.join("log.redb-journal")).unwrap(),
            "was acknowledged",
        ),
        (
            "a newer journal",
            |f| fs::write(f.join("log.redb-journal"), b"\x02").unwrap(),
            "log.redb is damaged: its journal",
        ),
        (
            "no format",
            |f| fs::remove_file(f.join("format")).unwrap(),
            "was not written by swarmrs",
        ),
        (
            "a newer format",
            |f| fs::write(f.join("format"), b"\xffredb").unwrap(),
            "has format 255, this release reads up to",
        ),
        (
            "another engine",
            |f| fs::write(f.join("format"), b"\x01sled").unwrap(),
            "log engine \"sled\", not \"redb\"",
        ),
        (
            "no number",
            |f| fs::remove_file(f.join("acknowledged")).unwrap(),
            "acknowledged is missing",
        ),
        (
            "a newer number",
            |f| fs::write(f.join("acknowledged"), b"\x02").unwrap(),
            "acknowledged has format 2",
        ),
    ];
    for (case, change, expected) in cases {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("raft");
        written(small(&folder)).await;
        change(&folder);
        let found = folder.exists().then(|| content(&folder));
        let mut config = small(&folder);
        config.was_initialized = true;
        let refused = Store::open(config).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{case}: {refused}");
        assert!(
            refused.contains(folder.to_str().unwrap()),
            "{case}: {refused}"
        );
        assert_eq!(folder.exists().then(|| content(&folder)), found, "{case}");
    }
}

fn empty(folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::create_dir(folder).unwrap();
}

fn halve(folder: &Path) {
    let log = folder.join("log.redb");
    let bytes = fs::read(&log).unwrap();
    fs::write(log, &bytes[..bytes.len() / 2]).unwrap();
}

#[tokio::test]
async fn another_key_opens_nothing() {
    let root = tempfile::tempdir().unwrap();
    drop(fresh(config(root.path())).await);
    let mut other = config(root.path());
    other.sealer = Sealer::new(&DataKey::from_bytes([8; DataKey::LEN]));
    let refused = Store::open(other).await.unwrap_err();
    assert!(
        refused.to_string().contains("wrong key or damaged"),
        "{refused}"
    );
}

#[tokio::test]
async fn nothing_that_was_proposed_stands_readable_on_the_disk() {
    let root = tempfile::tempdir().unwrap();
    let canary = "canary-5d1f0c";
    let mut config = config(root.path());
    config.snapshot.entries = 20;
    let snapshots = root.path().join("snapshots");
    let store = fresh(config).await;
    for number in 0..60 {
        let command = support::create_named(number, format!("{canary}-{number}"));
        store.propose(command).await.unwrap();
    }
    eventually("a snapshot is there", || !names(&snapshots).is_empty()).await;
    store.shutdown().await.unwrap();
    for folder in [root.path(), snapshots.as_path()] {
        for name in names(folder).iter().filter(|name| *name != "snapshots") {
            let bytes = fs::read(folder.join(name)).unwrap();
            let found = bytes
                .windows(canary.len())
                .any(|part| part == canary.as_bytes());
            assert!(!found, "{name}");
        }
    }
}
