use super::*;
use crate::codec::{Codec, End};
use crate::config::LogEngine;
use crate::config::SnapshotPolicy;
use crate::folder::Folder;
use crate::machine::Machine;
use crate::raft::{Payload, log_id};
use crate::raw_log::{self, Contents, RawLog, Redb};
use crate::roster::Roster;
use crate::snapshot::Snapshots;
use crate::threads::Threads;
use crate::watch::Feed;
use futures_util::FutureExt;
use openraft::StorageError;
use openraft::alias::OneshotReceiverOf;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use swarmrs_core::State;
use swarmrs_security::{DataKey, Sealer};
use tempfile::TempDir;

fn codec() -> Codec {
    Codec::new(Sealer::new(&DataKey::from_bytes([7; DataKey::LEN])))
}

fn writer(log: impl RawLog, growth: Arc<Growth>, folder: &Path, pace: Arc<Pace>) -> Writer {
    let path = folder.join("acknowledged");
    Acknowledged::create(&path).unwrap();
    let (acknowledged, _) = Acknowledged::open(&path).unwrap();
    let (end, measures) = (End::default(), Arc::default());
    let disk = Disk::new(log, codec(), growth, end, acknowledged, measures);
    Writer::start(disk, pace, &Threads::Own).unwrap()
}

fn entry(index: u64) -> Entry {
    Entry {
        log_id: log_id(1, index),
        payload: Payload::Blank,
    }
}

/// Fresh stores on an engine.
struct On(LogEngine);

impl StoreBuilder<Types, LogStorage, Machine, TempDir> for On {
    async fn build(&self) -> Result<(TempDir, LogStorage, Machine), StorageError<Types>> {
        let folder = tempfile::tempdir().unwrap();
        let growth = Arc::new(Growth::new(0, 0, SnapshotPolicy::default()));
        let log = raw_log::create(self.0, &folder.path().join("log")).unwrap();
        let writer = writer(log, growth.clone(), folder.path(), Arc::default());
        let path = folder.path().to_owned();
        let snapshots = Snapshots::open(path, codec(), 0, Threads::Own).unwrap();
        let feed = Arc::new(Feed::new(State::default()));
        let parts = Folder::take(&folder.path().join("parts")).unwrap();
        parts.write_format(self.0.name()).unwrap();
        let machine = Machine::new(
            None,
            feed,
            Arc::new(snapshots),
            growth,
            Arc::new(Roster::new(1)),
            Arc::default(),
            parts.mark(self.0.name()).unwrap(),
        )
        .unwrap();
        let log = LogStorage::new(Cache::default(), &writer);
        Ok((folder, log, machine))
    }
}

#[tokio::test]
async fn log_and_machine_keep_the_consensus_librarys_contract() {
    Suite::test_all(On(LogEngine::Redb)).await.unwrap();
}

#[tokio::test]
async fn log_and_machine_keep_it_on_the_other_engine_too() {
    Suite::test_all(On(LogEngine::Sled)).await.unwrap();
}

/// An engine that stops at each sync until it is let go, and can be told to fail.
struct Slow {
    syncing: Sender<()>,
    go: Receiver<bool>,
    syncs: Arc<Mutex<Vec<usize>>>,
    written: usize,
}

impl RawLog for Slow {
    fn write(&mut self, puts: &[(u64, Vec<u8>)]) -> io::Result<()> {
        self.written += puts.len();
        Ok(())
    }

    fn del(&mut self, _from: u64, _to: u64) -> io::Result<()> {
        Ok(())
    }

    fn meta(&mut self, _name: &str, _value: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.lock().unwrap().push(self.written);
        self.syncing.send(()).unwrap();
        match self.go.recv() {
            Ok(false) => Err(io::Error::other("disk on fire")),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    fn load(&mut self) -> io::Result<Contents> {
        Ok(Contents::default())
    }
}

struct Bench {
    storage: LogStorage,
    syncing: Receiver<()>,
    go: Sender<bool>,
    syncs: Arc<Mutex<Vec<usize>>>,
}

fn bench() -> Bench {
    let (syncing_tx, syncing) = channel();
    let (go, go_rx) = channel();
    let syncs = Arc::new(Mutex::new(Vec::new()));
    let log = Slow {
        syncing: syncing_tx,
        go: go_rx,
        syncs: syncs.clone(),
        written: 0,
    };
    let growth = Arc::new(Growth::new(0, 0, SnapshotPolicy::default()));
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(log, growth, folder.path(), Arc::default());
    Bench {
        storage: LogStorage::new(Cache::default(), &writer),
        syncing,
        go,
        syncs,
    }
}

type Durable = OneshotReceiverOf<Types, io::Result<()>>;

async fn append(storage: &mut LogStorage, index: u64) -> Durable {
    let (done, durable) = Types::oneshot();
    let callback = IOFlushed::signal(done);
    storage.append([entry(index)], callback).await.unwrap();
    durable
}

#[tokio::test]
async fn appends_that_wait_together_share_a_sync() {
    let mut bench = bench();
    let first = append(&mut bench.storage, 1).await;
    bench.syncing.recv().unwrap();
    let mut rest = Vec::new();
    for index in 2..=9 {
        rest.push(append(&mut bench.storage, index).await);
    }
    bench.go.send(true).unwrap();
    first.await.unwrap().unwrap();
    bench.go.send(true).unwrap();
    for durable in rest {
        durable.await.unwrap().unwrap();
    }
    assert_eq!(*bench.syncs.lock().unwrap(), [1, 9]);
}

#[tokio::test]
async fn an_append_is_readable_at_once_and_answered_only_when_durable() {
    let mut bench = bench();
    let mut durable = append(&mut bench.storage, 1).await;
    bench.syncing.recv().unwrap();
    let mut reader = bench.storage.get_log_reader().await;
    assert_eq!(reader.try_get_log_entries(0..9).await.unwrap().len(), 1);
    assert!((&mut durable).now_or_never().is_none());
    bench.go.send(true).unwrap();
    durable.await.unwrap().unwrap();
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let mut bench = bench();
    bench.go.send(false).unwrap();
    let first = append(&mut bench.storage, 1).await;
    assert_eq!(
        first.await.unwrap().unwrap_err().to_string(),
        "disk on fire"
    );
    bench.go.send(true).unwrap();
    let second = append(&mut bench.storage, 2).await;
    assert_eq!(
        second.await.unwrap().unwrap_err().to_string(),
        "disk on fire"
    );
    assert_eq!(bench.syncs.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn where_nobody_else_waits_an_append_is_durable_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let log = raw_log::create(LogEngine::Redb, &folder.path().join("log")).unwrap();
    let growth = Arc::new(Growth::new(0, 0, SnapshotPolicy::default()));
    let pace = Arc::new(Pace::default());
    let writer = writer(log, growth, folder.path(), pace.clone());
    let mut storage = LogStorage::new(Cache::default(), &writer);
    pace.set_alone(true);
    let first = pace.enter();
    for index in 1..=3 {
        let durable = append(&mut storage, index).await;
        durable.now_or_never().unwrap().unwrap().unwrap();
    }
    // With a second one the writer's thread takes over, and nothing is lost in between.
    let _second = pace.enter();
    for index in 4..=6 {
        append(&mut storage, index).await.await.unwrap().unwrap();
    }
    drop(first);
    append(&mut storage, 7)
        .await
        .now_or_never()
        .unwrap()
        .unwrap()
        .unwrap();
    writer.finish();
    let late = storage
        .append([entry(8)], IOFlushed::signal(Types::oneshot().0))
        .await;
    assert_eq!(late.unwrap_err().to_string(), "disk writer has ended");
    let (records, _) = Redb::open(&folder.path().join("log"))
        .unwrap()
        .load()
        .unwrap();
    assert_eq!(records.len(), 7);
}
