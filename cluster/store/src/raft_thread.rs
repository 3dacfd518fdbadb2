//! The thread the consensus core lives on: its own, with a runtime of its own, so that no request,
//! no JSON and no plan ever delays a heartbeat or a vote.
//!
//! A core whose disk fails has to end: what it wrote last may be there or not, and only reading it
//! back tells. So the core ends, and as soon as the disk works again the next one is opened from it.

use crate::config::Config;
use crate::current::Shared;
use crate::error::Error;
use crate::folder::{Folder, free_bytes};
use crate::leadership::{follow, lead_if_alone, observe};
use crate::log::{Growth, LogReader, LogStorage, Writer};
use crate::machine::Machine;
use crate::raft::Raft;
use crate::raft_network::Network;
use crate::start_over;
use crate::store::open;
use crate::threads::Threads;
use openraft::async_runtime::watch::WatchReceiver;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Between two looks at a disk that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Opening writes a little; below this it would fail again.
const LEAST_SPACE: u64 = 1024 * 1024;

/// What the core is made from. The folder stays locked as long as the core may write to it.
pub(crate) struct Parts {
    pub(crate) log: LogStorage,
    pub(crate) machine: Machine,
    pub(crate) writer: Writer,
    pub(crate) growth: Arc<Growth>,
    pub(crate) folder: Folder,
}

impl Parts {
    /// What the core itself takes, and what outlives it.
    fn split(self) -> ((LogStorage, Machine), Rest) {
        let rest = Rest {
            reader: self.log.reader(),
            writer: self.writer,
            growth: self.growth,
            folder: self.folder,
        };
        ((self.log, self.machine), rest)
    }
}

/// What is left once a core has ended.
struct Rest {
    reader: LogReader,
    writer: Writer,
    growth: Arc<Growth>,
    folder: Folder,
}

impl Rest {
    /// Everything ordered is on disk, and the folder is free.
    fn close(self) {
        self.writer.finish();
        drop(self.folder);
    }
}

/// A running core, or the wait for the next one.
#[derive(Debug)]
pub(crate) struct RaftThread {
    /// Dropped or sent to: end.
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
    /// None where it lives in turns with all others.
    thread: Option<JoinHandle<()>>,
}

const NAME: &str = "raft";

/// How nice the thread is to others that want the processor: a sign of life that comes late costs an election, and the
/// core has little to do.
const PRIORITY: i32 = -10;

/// Told once: whether the first core came up.
type Started = oneshot::Sender<Result<(), Error>>;

/// How a core ended.
enum Ended {
    /// It was told to.
    Stopped,
    /// Its disk failed; the text says how.
    Failed(String),
}

impl RaftThread {
    /// Starts the core. It can be spoken to when this returns, and a lone voter leads.
    pub(crate) async fn start(
        config: Config,
        shared: Arc<Shared>,
        parts: Parts,
    ) -> Result<Self, Error> {
        let core = core_config(&config)?;
        let (started, start) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let keeper = Keeper {
            config,
            core,
            shared,
            stopped,
        };
        // Nobody listens at the end if the store was dropped rather than shut down.
        let thread = match keeper.config.threads {
            Threads::Own => {
                let live = move || {
                    set_priority(PRIORITY);
                    keeper.run(parts, started);
                    let _unheard = end.send(());
                };
                let thread = std::thread::Builder::new().name(NAME.to_owned());
                Some(thread.spawn(live).map_err(thread_failed)?)
            }
            Threads::Turns(_) => {
                tokio::spawn(async move {
                    keeper.take_turns(parts, started).await;
                    let _unheard = end.send(());
                });
                None
            }
        };
        let ended_early = |_| Error::Consensus("thread ended".to_owned());
        start.await.map_err(ended_early)??;
        Ok(RaftThread {
            stop,
            ended,
            thread,
        })
    }

    /// Ends the core in order: nothing is half written, the folder is free.
    pub(crate) async fn shutdown(self) {
        drop(self.stop);
        // An error means that the thread panicked, which ends it too.
        let _ended = self.ended.await;
        join(self.thread);
    }

    /// As [`RaftThread::shutdown`], waiting in place; where there is no thread to wait for, without waiting.
    pub(crate) fn shutdown_blocking(self) {
        drop(self.stop);
        join(self.thread);
    }
}

fn thread_failed(source: std::io::Error) -> Error {
    Error::Thread { name: NAME, source }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("consensus thread panicked");
    }
}

/// Keeps a core running until it is told to stop.
struct Keeper {
    config: Config,
    core: Arc<openraft::Config>,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
}

impl Keeper {
    /// On a thread of its own, and each core on a runtime of its own: with it go all tasks of the core, and with them the
    /// last ways to the writer.
    fn run(mut self, parts: Parts, started: Started) {
        let between = match new_runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                parts.split().1.close();
                return tell(started, Err(error));
            }
        };
        let mut started = Some(started);
        let mut next = Some(parts);
        while let Some(parts) = next {
            let (core, rest) = parts.split();
            let ended = match new_runtime() {
                Ok(runtime) => runtime.block_on(self.live(core, &rest, &mut started)),
                Err(error) => Ended::Failed(error.to_string()),
            };
            rest.close();
            next = between.block_on(self.follow_up(ended, &mut started));
        }
    }

    /// The same among others.
    async fn take_turns(mut self, parts: Parts, started: Started) {
        let mut started = Some(started);
        let mut next = Some(parts);
        while let Some(parts) = next {
            let (core, rest) = parts.split();
            let ended = self.live(core, &rest, &mut started).await;
            rest.close();
            next = self.follow_up(ended, &mut started).await;
        }
    }

    /// One core, from its start to its end.
    async fn live(
        &mut self,
        (log, machine): (LogStorage, Machine),
        rest: &Rest,
        started: &mut Option<Started>,
    ) -> Ended {
        let (raft_id, core) = (self.config.raft_id, self.core.clone());
        let shared = &self.shared;
        let network = Network::new(&self.config, shared.roster.clone(), shared.sums.clone());
        match Raft::new(raft_id, core, network, log, machine).await {
            Ok(raft) => self.serve(raft, rest, started).await,
            Err(error) => Ended::Failed(error.to_string()),
        }
    }

    /// What the next core is made from, if there is to be one.
    async fn follow_up(&mut self, ended: Ended, started: &mut Option<Started>) -> Option<Parts> {
        match (ended, started.take()) {
            (Ended::Stopped, _) => None,
            (Ended::Failed(reason), None) => self.reopen(reason).await,
            (Ended::Failed(reason), Some(started)) => {
                tell(started, Err(Error::Consensus(reason)));
                None
            }
        }
    }

    async fn serve(&mut self, raft: Raft, rest: &Rest, started: &mut Option<Started>) -> Ended {
        let ended = tokio::select! {
            _ = &mut self.stopped => Ended::Stopped,
            ended = until_failed(&raft, &self.config, &self.shared, rest, started) => ended,
        };
        if let Err(error) = raft.shutdown().await {
            tracing::error!(%error, "consensus core did not end well");
        }
        ended
    }

    /// Waits until the disk works and opens the store again; `None` if it is told to stop first.
    async fn reopen(&mut self, reason: String) -> Option<Parts> {
        tracing::error!(%reason, "the store's disk failed, nothing is written until it works again");
        self.shared.fail(reason);
        loop {
            if self.is_stopped_within(RETRY).await {
                return None;
            }
            match self.try_open() {
                Ok(parts) => {
                    tracing::info!("the store is open again");
                    return Some(parts);
                }
                Err(error) => {
                    let reason = error.to_string();
                    if self.shared.fail(reason.clone()) {
                        tracing::error!(%reason, "the store cannot be opened again yet");
                    }
                }
            }
        }
    }

    fn try_open(&self) -> Result<Parts, Error> {
        let folder = &self.config.folder;
        let free = free_bytes(folder).map_err(Error::file("look at", folder))?;
        let needed = self.config.reserve.max(LEAST_SPACE);
        if free < needed {
            return Err(Error::NoSpace {
                folder: folder.clone(),
                free,
                needed,
            });
        }
        let mut config = self.config.clone();
        config.was_initialized = self.shared.initialized.load(Ordering::Acquire);
        // That was done once; others may have been let in since.
        config.goes_on_alone = false;
        open::open(&config, &self.shared)
    }

    async fn is_stopped_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, &mut self.stopped).await.is_ok()
    }
}

/// Nobody waits if whoever opens the store has given up.
fn tell(started: Started, outcome: Result<(), Error>) {
    let _unheard = started.send(outcome);
}

fn new_runtime() -> Result<Runtime, Error> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        // Snapshots are made on threads of the runtime's, and have time.
        .on_thread_start(|| set_priority(0))
        .build();
    runtime.map_err(thread_failed)
}

/// Sets how nice this thread is. Where that is not allowed it stays as it is.
#[expect(unsafe_code, reason = "no safe crate of ours sets a thread's priority")]
fn set_priority(nice: i32) {
    // SAFETY: the call takes numbers only, and 0 names the calling thread.
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    if set != 0 {
        tracing::debug!(nice, "the thread's priority cannot be set");
    }
}

/// Leads if nobody else can, and then sees to snapshots, and to a state that is not the leader's, for as long as the core
/// lives.
async fn until_failed(
    raft: &Raft,
    config: &Config,
    shared: &Arc<Shared>,
    rest: &Rest,
    started: &mut Option<Started>,
) -> Ended {
    if let Err(error) = lead_if_alone(raft, config.raft_id, shared).await {
        return Ended::Failed(error.to_string());
    }
    observe(raft, shared, config.timing);
    shared.run(raft.clone());
    let transport = config.transport.clone();
    let following = follow(
        raft.clone(),
        shared.clone(),
        config.timing,
        transport.clone(),
    );
    let mut follower = pin!(following);
    let log = rest.reader.clone();
    let heeding = start_over::heed(raft.clone(), shared.clone(), transport, log);
    let mut heeder = pin!(heeding);
    if let Some(started) = started.take() {
        tell(started, Ok(()));
    }
    loop {
        tokio::select! {
            () = &mut follower => return Ended::Failed(reason(raft)),
            () = &mut heeder => return Ended::Failed(reason(raft)),
            () = rest.growth.enough() => {
                // An error means that the core has ended, which the follower sees too.
                let _ended = raft.trigger().snapshot().await;
            }
        }
    }
}

fn reason(raft: &Raft) -> String {
    match &raft.metrics().borrow_watched().running_state {
        Ok(()) => "consensus core has ended".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn core_config(config: &Config) -> Result<Arc<openraft::Config>, Error> {
    let timing = config.timing;
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let lease = millis(timing.lease());
    let core = openraft::Config {
        cluster_name: "swarmrs".to_owned(),
        heartbeat_interval: millis(timing.heartbeat),
        election_timeout_min: millis(timing.election),
        election_timeout_max: lease,
        // A leader that no quorum answers falls silent for so long: whoever still hears it elects another.
        quorum_loss_probe_interval: Some(3 * lease),
        // A member that comes back must not unseat a leader that all others hear.
        enable_pre_vote: Some(true),
        // Restored without an election, a leader would commit no entry of a new term, and so never
        // learn that the last entries in its log are committed: they would be missing in the view.
        enable_leader_restore: Some(false),
        // `follow` lets the clock tick as soon as there is another member.
        enable_tick: false,
        // `until_failed` asks for them.
        snapshot_policy: openraft::SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: config.snapshot.keep,
        // Purging is a write of its own; a few hundred entries more in memory cost less. Where snapshots are to come
        // more often than that, entries go as often.
        purge_batch_size: config.snapshot.entries.clamp(1, 256),
        // A late member gets the log as long as there is one: snapshots would overtake each other.
        replication_lag_threshold: u64::MAX,
        ..openraft::Config::default()
    };
    let core = core
        .validate()
        .map_err(|error| Error::Consensus(error.to_string()))?;
    Ok(Arc::new(core))
}
