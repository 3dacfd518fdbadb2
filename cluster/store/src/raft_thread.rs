//! The thread the consensus core lives on: its own, with a runtime of its own, so that no request,
//! no JSON and no plan ever delays a heartbeat or a vote.

use crate::config::Config;
use crate::error::Error;
use crate::folder::Folder;
use crate::leadership::{Leadership, follow};
use crate::log::{Growth, LogStorage, Writer};
use crate::machine::Machine;
use crate::raft::Raft;
use crate::raft_network::Network;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

/// What the core is made from. The folder stays locked as long as the core may write to it.
pub(crate) struct Parts {
    pub(crate) log: LogStorage,
    pub(crate) machine: Machine,
    pub(crate) writer: Writer,
    pub(crate) growth: Arc<Growth>,
    pub(crate) folder: Folder,
}

/// A running core.
#[derive(Debug)]
pub(crate) struct RaftThread {
    /// Dropped or sent to: end.
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

const NAME: &str = "raft";

impl RaftThread {
    /// Starts the core; returns when it can be spoken to.
    pub(crate) async fn start(
        config: &Config,
        parts: Parts,
    ) -> Result<(Self, Raft, watch::Receiver<Leadership>), Error> {
        let core = core_config(config)?;
        let raft_id = config.raft_id;
        let (started, start) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let failed = |source| Error::Thread { name: NAME, source };
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || {
                run(runtime, raft_id, core, parts, started, stopped);
                // Nobody listens if the store was dropped rather than shut down.
                let _unheard = end.send(());
            })
            .map_err(failed)?;
        let ended_early = |_| Error::Consensus("thread ended".to_owned());
        let (raft, leadership) = start.await.map_err(ended_early)??;
        let handle = RaftThread {
            stop,
            ended,
            thread,
        };
        Ok((handle, raft, leadership))
    }

    /// Ends the core in order: nothing is half written, the folder is free.
    pub(crate) async fn shutdown(self) {
        drop(self.stop);
        // An error means that the thread panicked, which ends it too.
        let _ended = self.ended.await;
        join(self.thread);
    }

    /// As [`RaftThread::shutdown`], waiting in place.
    pub(crate) fn shutdown_blocking(self) {
        drop(self.stop);
        join(self.thread);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("consensus thread panicked");
    }
}

type Started = oneshot::Sender<Result<(Raft, watch::Receiver<Leadership>), Error>>;

fn run(
    runtime: Runtime,
    raft_id: u64,
    core: Arc<openraft::Config>,
    parts: Parts,
    started: Started,
    stopped: oneshot::Receiver<()>,
) {
    let Parts {
        log,
        machine,
        writer,
        growth,
        folder,
    } = parts;
    runtime.block_on(async {
        match Raft::new(raft_id, core, Network, log, machine).await {
            Ok(raft) => serve(raft, &growth, started, stopped).await,
            Err(error) => drop(started.send(Err(Error::Consensus(error.to_string())))),
        }
    });
    // With the runtime go all tasks of the core, and with them the last ways to the writer.
    drop(runtime);
    writer.finish();
    drop(folder);
}

async fn serve(raft: Raft, growth: &Growth, started: Started, mut stopped: oneshot::Receiver<()>) {
    let (sender, leadership) = watch::channel(Leadership::default());
    let follower = tokio::spawn(follow(raft.clone(), sender));
    if started.send(Ok((raft.clone(), leadership))).is_ok() {
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                () = growth.enough() => {
                    // An error means that the core has ended, which whoever proposes is told.
                    let _ended = raft.trigger().snapshot().await;
                }
            }
        }
    }
    if let Err(error) = raft.shutdown().await {
        tracing::error!(%error, "consensus core did not end well");
    }
    follower.abort();
}

fn core_config(config: &Config) -> Result<Arc<openraft::Config>, Error> {
    let timing = config.timing;
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let core = openraft::Config {
        cluster_name: "swarmrs".to_owned(),
        heartbeat_interval: millis(timing.heartbeat),
        election_timeout_min: millis(timing.election),
        election_timeout_max: millis(timing.election + timing.election_spread),
        // A member that comes back must not unseat a leader that all others hear.
        enable_pre_vote: Some(true),
        // Restored without an election, a leader would commit no entry of a new term, and so never
        // learn that the last entries in its log are committed: they would be missing in the view.
        enable_leader_restore: Some(false),
        // `follow` lets the clock tick as soon as there is another member.
        enable_tick: false,
        snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(config.snapshot.entries),
        max_in_snapshot_log_to_keep: config.snapshot.keep,
        // Purging is a write of its own; a few hundred entries more in memory cost less.
        purge_batch_size: 256,
        // Above the distance between snapshots, or a late member would get one after the other.
        replication_lag_threshold: config.snapshot.entries.saturating_mul(2),
        ..openraft::Config::default()
    };
    let core = core
        .validate()
        .map_err(|error| Error::Consensus(error.to_string()))?;
    Ok(Arc::new(core))
}
