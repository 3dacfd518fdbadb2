//! A disk that is full costs writes and nothing else: reads go on, and so does the store itself as
//! soon as there is space.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::disk::Disk;
use support::{config, create, create_named, networks};
use swarmrs_store::{Config, LogEngine, ProposeError, Store};

const MIB: u64 = 1024 * 1024;
const ENGINES: [LogEngine; 2] = [LogEngine::Redb, LogEngine::Sled];

fn on(disk: &Disk, engine: LogEngine, reserve: u64) -> Config {
    let mut config = config(&disk.path().join("raft"));
    (config.engine, config.reserve) = (engine, reserve);
    config
}

async fn numbers(store: &Store) -> BTreeSet<u64> {
    let read = store.read_index().await.expect("reads go on");
    networks(&read).iter().map(|(number, _)| *number).collect()
}

#[tokio::test]
async fn below_the_reserve_writes_are_refused_until_there_is_space() {
    for engine in ENGINES {
        let disk = Disk::new(64);
        let store = support::fresh(on(&disk, engine, 16 * MIB)).await;
        store.propose(create(1)).await.unwrap();
        disk.fill(15 * MIB);
        let refused = store.propose(create(2)).await.unwrap_err();
        assert!(matches!(refused, ProposeError::NoSpace { .. }), "{refused}");
        let text = refused.to_string();
        assert!(
            text.contains("nearly full") && text.contains("16.0 MiB are kept back"),
            "{text}"
        );
        assert_eq!(numbers(&store).await, BTreeSet::from([1]));
        disk.relieve();
        store.propose(create(2)).await.unwrap();
        assert_eq!(numbers(&store).await, BTreeSet::from([1, 2]));
    }
}

/// Writes until the disk refuses. Returns the number that was not taken.
async fn write_until_refused(store: &Store, acknowledged: &mut BTreeSet<u64>) -> u64 {
    for number in 10..10_000 {
        match store
            .propose(create_named(
                number,
                format!("{number}{}", "x".repeat(60_000)),
            ))
            .await
        {
            Ok(_) => acknowledged.insert(number),
            Err(ProposeError::Disk(_)) => return number,
            Err(error) => panic!("{error}"),
        };
    }
    panic!("the disk is never full");
}

#[tokio::test]
async fn a_write_that_fails_ends_the_instance_and_space_brings_it_back() {
    for engine in ENGINES {
        let disk = Disk::new(64);
        let store = support::fresh(on(&disk, engine, 0)).await;
        let mut watch = store.watch();
        store.propose(create(1)).await.unwrap();
        let mut acknowledged = BTreeSet::from([1]);
        disk.fill(0);
        let refused = write_until_refused(&store, &mut acknowledged).await;
        // The one that failed may be there or not; nothing else is.
        let before = numbers(&store).await;
        assert!(before.is_superset(&acknowledged), "{engine}");
        let again = store.propose(create(2)).await.unwrap_err();
        assert!(matches!(again, ProposeError::Disk(_)), "{again}");

        disk.relieve();
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = store.propose(create(3)).await {
            assert!(Instant::now() < deadline, "{engine}: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        acknowledged.insert(3);
        let mut found = numbers(&store).await;
        let all = found.clone();
        found.remove(&refused);
        found.remove(&2);
        assert_eq!(found, acknowledged, "{engine}");
        assert_eq!(seen(&mut watch), all, "{engine}: the watch has a gap");
        assert!(store.leadership().borrow().is_leader);
        store.shutdown().await.unwrap();
        let store = Store::open(on(&disk, engine, 0)).await.unwrap();
        assert_eq!(numbers(&store).await, all, "{engine}");
    }
}

/// All that a watch was told, each once, never going back.
fn seen(watch: &mut swarmrs_store::Watch) -> BTreeSet<u64> {
    let mut seen = BTreeSet::new();
    let mut last = 0;
    while let Some(batch) = watch.try_next() {
        assert!(batch.index > last);
        last = batch.index;
        for event in batch.events.iter() {
            let swarmrs_core::Event::Network(delta) = event else {
                panic!("{event:?}");
            };
            let network = delta.new.as_ref().expect("was created");
            assert!(seen.insert(network.id.as_str().parse().expect("is a number")));
        }
    }
    seen
}
