//! The core that runs now, if one does.
//!
//! A core ends when its disk fails, and a new one takes its place once the disk works again. What
//! the store's users hold — view, watches, leadership — outlives it.

use crate::error::ProposeError;
use crate::figures::Measures;
use crate::leadership::Leadership;
use crate::log::{Growth, Pace};
use crate::raft::Raft;
use crate::reception::Reception;
use crate::roster::Roster;
use crate::start_over::StartingOver;
use crate::sums::Sums;
use crate::watch::Feed;
use arc_swap::ArcSwapOption;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use swarmrs_core::State;
use swarmrs_types::ClusterTime;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// What the store's handle and the thread of its core share.
pub(crate) struct Shared {
    pub(crate) feed: Arc<Feed>,
    pub(crate) measures: Arc<Measures>,
    /// How far the log of the newest core has grown.
    pub(crate) growth: ArcSwapOption<Growth>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) sums: Arc<Sums>,
    pub(crate) starting_over: StartingOver,
    /// When a leader was heard last.
    pub(crate) heard: Heard,
    /// Cluster time by this member's own clock.
    pub(crate) clock: OnceLock<Clock>,
    /// The snapshot that is being received.
    pub(crate) reception: tokio::sync::Mutex<Option<Reception>>,
    /// Held while the membership changes: one change at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
    pub(crate) leadership: watch::Sender<Leadership>,
    /// Whether the member ever belonged to a cluster.
    pub(crate) initialized: AtomicBool,
    /// Whether it is the only voter, and so nobody else can have agreed on anything.
    pub(crate) alone: AtomicBool,
    current: Mutex<Current>,
}

/// Tells cluster time.
pub(crate) type Clock = Box<dyn Fn() -> ClusterTime + Send + Sync>;

enum Current {
    Running(Raft),
    /// There is none; the text says what the disk said.
    Failed(String),
    Closed,
}

impl Shared {
    pub(crate) fn new(raft_id: u64) -> Self {
        let measures: Arc<Measures> = Arc::default();
        Shared {
            feed: Arc::new(Feed::new(State::default())),
            sums: Arc::new(Sums::new(measures.clone())),
            measures,
            starting_over: StartingOver::default(),
            growth: ArcSwapOption::empty(),
            pace: Arc::default(),
            roster: Arc::new(Roster::new(raft_id)),
            heard: Heard::default(),
            clock: OnceLock::new(),
            reception: tokio::sync::Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            leadership: watch::Sender::default(),
            initialized: AtomicBool::new(false),
            alone: AtomicBool::new(false),
            current: Mutex::new(Current::Failed("it is being opened".to_owned())),
        }
    }

    /// The core to speak to.
    pub(crate) fn raft(&self) -> Result<Raft, ProposeError> {
        match &*self.current.lock().expect("no holder panics") {
            Current::Running(raft) => Ok(raft.clone()),
            Current::Failed(reason) => Err(ProposeError::Disk(reason.clone())),
            Current::Closed => Err(ProposeError::Closed),
        }
    }

    /// Refuses while the state here is not the leader's.
    pub(crate) fn check_state(&self) -> Result<(), ProposeError> {
        match *self.sums.differing().borrow() {
            Some(differing) => Err(ProposeError::Differs(differing)),
            None => Ok(()),
        }
    }

    pub(crate) fn run(&self, raft: Raft) {
        *self.current.lock().expect("no holder panics") = Current::Running(raft);
    }

    /// There is no core for now. Says whether the reason is news.
    pub(crate) fn fail(&self, reason: String) -> bool {
        self.leadership.send_replace(Leadership::default());
        let mut current = self.current.lock().expect("no holder panics");
        let known = matches!(&*current, Current::Failed(known) if *known == reason);
        *current = Current::Failed(reason);
        !known
    }

    /// There will be none any more. Watches end; the view stays.
    pub(crate) fn close(&self) {
        *self.current.lock().expect("no holder panics") = Current::Closed;
        self.feed.close();
    }

    /// Bytes written to the log since its last snapshot.
    pub(crate) fn log_bytes(&self) -> u64 {
        let growth = self.growth.load();
        growth.as_ref().map_or(0, |growth| growth.bytes())
    }

    /// Whether the view can be trusted while no core runs.
    pub(crate) fn view_suffices(&self) -> bool {
        self.alone.load(Ordering::Acquire)
    }
}

/// When a leader gave a sign of life last.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    last: Mutex<Option<Instant>>,
    again: Notify,
}

impl Heard {
    /// A leader was heard. Whoever waits learns it if there was silence for longer than `lease`.
    pub(crate) fn note(&self, lease: Duration) {
        let before = self
            .last
            .lock()
            .expect("no holder panics")
            .replace(Instant::now());
        if before.is_none_or(|before| before.elapsed() >= lease) {
            self.again.notify_one();
        }
    }

    /// How long ago that was.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let last = *self.last.lock().expect("no holder panics");
        last.map(|last| last.elapsed())
    }

    /// Returns when a leader is heard after a silence.
    pub(crate) async fn again(&self) {
        self.again.notified().await;
    }
}
