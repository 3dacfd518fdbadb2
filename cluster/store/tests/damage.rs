//! What was changed on disk behind our back is refused, never half believed.

mod support;

use std::fs;
use std::path::Path;
use support::{config, create, eventually, fresh, names, networks};
use swarmrs_security::{DataKey, Sealer};
use swarmrs_store::{Config, Error, SnapshotPolicy, Store};

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

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("can be read");
    bytes[at] ^= 0x04;
    fs::write(file, bytes).expect("can be written");
}

#[tokio::test]
async fn a_flipped_byte_in_a_snapshot_is_refused_by_the_files_name() {
    let root = tempfile::tempdir().unwrap();
    written(small(root.path())).await;
    let folder = root.path().join("snapshots");
    let file = folder.join(&names(&folder)[0]);
    let length = fs::read(&file).unwrap().len();
    for at in [1, 30, length / 2, length - 1] {
        flip(&file, at);
        let refused = Store::open(small(root.path())).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Damaged { path, .. } if *path == file),
            "{refused}"
        );
        flip(&file, at);
    }
    Store::open(small(root.path())).await.unwrap();
}

#[tokio::test]
async fn a_flipped_byte_in_the_log_is_refused_or_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let before = written(small(root.path())).await;
    let original = fs::read(root.path().join("log.redb")).unwrap();
    let interesting: Vec<usize> = (0..original.len())
        .filter(|at| original[*at] != 0)
        .collect();
    let mut refused = 0;
    for at in interesting.iter().step_by(interesting.len() / 60) {
        let mut bytes = original.clone();
        bytes[*at] ^= 0x04;
        fs::write(root.path().join("log.redb"), bytes).unwrap();
        match Store::open(small(root.path())).await {
            Ok(store) => assert_eq!(networks(&store.view()), before, "byte {at}"),
            Err(Error::Damaged { snapshot, .. }) => {
                refused += 1;
                assert!(snapshot.is_some());
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(refused > 0);
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
