//! One member on a machine of its own: a runtime with its own clock, a disk, and the store.

use crate::calls;
use crate::disk::{Death, Trouble};
use crate::history::History;
use crate::network::{Network, Way, address};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use swarmrs_security::{DataKey, Sealer};
use swarmrs_store::{Config, Error, SnapshotPolicy, Store, Threads};
use swarmrs_types::ClusterTime;
use tokio::runtime::{Builder, Runtime};

/// The world goes on in steps of so long.
pub const TICK: Duration = Duration::from_millis(5);

pub struct Member {
    pub raft_id: u64,
    pub running: Option<Running>,
    /// Whether it was told once that it belongs to the others.
    pub was_admitted: bool,
    /// It belongs to nobody any more.
    pub is_dismissed: bool,
    /// When it is started again; only if it does not run.
    pub starts_at: u64,
    /// It stands still until then.
    pub stalled_until: u64,
    pub stalled_for: u32,
    pub trouble: Trouble,
    /// How long its disk takes at most, in milliseconds.
    disk_time: Arc<AtomicU64>,
    /// What it takes the time for, beside what it is, in nanoseconds.
    pub clock: Arc<AtomicU64>,
}

/// A process.
pub struct Running {
    runtime: Runtime,
    pub store: Arc<Store>,
}

/// What members are set up with.
#[derive(Clone)]
pub struct Setting {
    pub network: Network,
    pub history: History,
    pub snapshot: SnapshotPolicy,
}

/// How quick disks are in milliseconds, at most.
const QUICK: u64 = 6;
const SLOW: u64 = 400;

impl Member {
    pub fn new(raft_id: u64) -> Self {
        Member {
            raft_id,
            running: None,
            was_admitted: false,
            is_dismissed: false,
            starts_at: 0,
            stalled_until: 0,
            stalled_for: 0,
            trouble: Trouble::None,
            disk_time: Arc::new(AtomicU64::new(QUICK)),
            clock: Arc::new(AtomicU64::new(0)),
        }
    }

    pub fn set_slow(&self, slow: bool) {
        let most = if slow { SLOW } else { QUICK };
        self.disk_time.store(most, Ordering::Relaxed);
    }

    pub fn set_trouble(&mut self, trouble: Trouble) {
        self.trouble = trouble;
        calls::set_trouble(self.raft_id, trouble);
    }

    fn config(&self, setting: &Setting) -> Config {
        let sealer = Sealer::new(&DataKey::from_bytes([7; DataKey::LEN]));
        let folder = calls::folder(self.raft_id).join("raft");
        let mut config = Config::new(folder, self.raft_id, address(self.raft_id), sealer);
        let (most, count) = (self.disk_time.clone(), AtomicU64::new(self.raft_id));
        config.was_initialized = self.was_admitted;
        config.reserve = 0;
        config.snapshot = setting.snapshot;
        config.transport = Arc::new(Way {
            network: setting.network.clone(),
            from: self.raft_id,
        });
        config.threads = Threads::Turns(Arc::new(move || {
            let drawn = crate::dice::mix(count.fetch_add(1, Ordering::Relaxed));
            Duration::from_millis(drawn % (most.load(Ordering::Relaxed) + 1))
        }));
        config
    }

    /// Starts it from what its disk has.
    pub fn start(&mut self, setting: &Setting) -> Result<(), Error> {
        calls::revive(self.raft_id);
        calls::set_trouble(self.raft_id, self.trouble);
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime needs nothing");
        let opened = runtime.block_on(Store::open(self.config(setting)));
        let store = match opened {
            Ok(store) => Arc::new(store),
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let clock = self.clock.clone();
        store.stamp_with(move || ClusterTime(clock.load(Ordering::Relaxed)));
        runtime.spawn(setting.history.follow(self.raft_id, store.watch()));
        self.running = Some(Running { runtime, store });
        Ok(())
    }

    /// It dies, and leaves what its disk has.
    pub fn die(&mut self, death: Death) {
        calls::doom(self.raft_id, 0, death);
        self.bury();
    }

    /// What is left of a process is removed.
    pub fn bury(&mut self) {
        if let Some(Running { runtime, store }) = self.running.take() {
            drop(runtime);
            drop(store);
        }
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        if let Some(Running { runtime, store }) = &self.running {
            let ended = runtime.block_on(async {
                tokio::time::timeout(Duration::from_secs(30), store.shutdown()).await
            });
            ended.expect("a store ends").expect("a store ends well");
        }
        self.die(Death::Killed);
    }

    pub fn is_stalled(&self, now: u64) -> bool {
        self.stalled_until > now
    }

    /// Lives on for a moment. What it slept through it finds gone by.
    pub fn tick(&mut self) {
        let slept = std::mem::take(&mut self.stalled_for);
        if let Some(Running { runtime, .. }) = &self.running {
            runtime.block_on(async {
                if slept > 0 {
                    tokio::time::advance(TICK * slept).await;
                }
                tokio::time::sleep(TICK).await;
            });
        }
    }

    /// Does something on its machine.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(Running { runtime, .. }) = &self.running {
            runtime.spawn(work);
        }
    }

    pub fn store(&self) -> Option<&Arc<Store>> {
        self.running.as_ref().map(|running| &running.store)
    }
}
