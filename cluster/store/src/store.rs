//! The store's handle: one member of the agreement, without its generics.

mod open;
mod propose;

use crate::config::Config;
use crate::error::{Error, ProposeError};
use crate::figures::{Figures, Measures};
use crate::leadership::Leadership;
use crate::log::Growth;
use crate::raft::{Raft, Types};
use crate::raft_thread::RaftThread;
use crate::watch::{Feed, Watch};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use swarmrs_core::{Command, State};
use tokio::sync::watch;

/// How long a lone voter may take to take the lead: two syncs, on a disk that others use too.
const LEAD_WITHIN: Duration = Duration::from_secs(30);

/// One member of the agreement, open.
///
/// All methods may be called at once and from any runtime. Dropping the store ends it as
/// [`Store::shutdown`] does, waiting in place.
pub struct Store {
    raft: Raft,
    feed: Arc<Feed>,
    growth: Arc<Growth>,
    measures: Arc<Measures>,
    leadership: watch::Receiver<Leadership>,
    initialized: AtomicBool,
    running: Mutex<Option<RaftThread>>,
    folder: PathBuf,
    reserve: u64,
    raft_id: u64,
    address: String,
}

impl Store {
    /// Opens the store in `config.folder`, or creates an empty one there.
    ///
    /// A lone voter leads, and everything it ever acknowledged is in the view, when this returns.
    /// One of several is as far as its own disk knows.
    ///
    /// Errors: the folder is in use, not ours, of a newer release, another engine or another
    /// member, or something in it is missing or damaged. Nothing is repaired and nothing started
    /// over.
    pub async fn open(config: Config) -> Result<Store, Error> {
        let opened = open::open(&config)?;
        let growth = opened.parts.growth.clone();
        let (thread, raft, leadership) = RaftThread::start(&config, opened.parts).await?;
        let store = Store {
            raft,
            feed: opened.feed,
            growth,
            measures: opened.measures,
            leadership,
            initialized: AtomicBool::new(opened.is_initialized),
            running: Mutex::new(Some(thread)),
            folder: config.folder,
            reserve: config.reserve,
            raft_id: config.raft_id,
            address: config.address,
        };
        if store.is_lone_voter().await? {
            // Its clock stands still, so it does not stand for election by itself.
            let elected = store.raft.trigger().elect(false).await;
            elected.map_err(consensus)?;
            store.leads().await?;
            store.readdress().await?;
        }
        Ok(store)
    }

    /// Whether this member ever belonged to a cluster.
    pub fn is_initialized(&self) -> bool {
        self.initialized.load(Ordering::Acquire)
    }

    /// Makes a new cluster of this member alone; returns when it leads.
    pub async fn initialize(&self) -> Result<(), Error> {
        use openraft::error::{InitializeError, RaftError};
        let members = BTreeMap::from([(self.raft_id, self.address.clone())]);
        match self.raft.initialize(members).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                return Err(Error::Initialized);
            }
            Err(error) => return Err(consensus(error)),
        }
        self.initialized.store(true, Ordering::Release);
        // The core stands for election by itself here.
        self.leads().await
    }

    /// The newest state applied here. Free; it never waits.
    pub fn view(&self) -> Arc<State> {
        self.feed.view()
    }

    /// The view, and everything that is applied after it, without a gap.
    pub fn watch(&self) -> Watch {
        self.feed.watch()
    }

    /// Who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Has `command` agreed on and applied. Returns its index in the log, which is the version of
    /// all it wrote; the view contains it by then.
    ///
    /// Calls may overlap without limit and share syncs. A call that is dropped while it waits may
    /// still take effect. At most 500 changes and 2 MiB.
    pub async fn propose(&self, command: Command) -> Result<u64, ProposeError> {
        let asked = Instant::now();
        let answer = self.put_through(command).await;
        self.measures.proposals.note(asked.elapsed());
        self.measures.refused.add(u64::from(answer.is_err()));
        answer
    }

    async fn put_through(&self, command: Command) -> Result<u64, ProposeError> {
        propose::check_size(&command)?;
        propose::check_space(&self.folder, self.reserve)?;
        propose::write(&self.raft, command).await
    }

    /// Where this member stands now. Free; it never waits.
    pub fn figures(&self) -> Figures {
        let last = self.raft.metrics().borrow_watched().last_log_index;
        let leadership = self.leadership.borrow();
        Figures {
            term: leadership.term,
            is_leader: leadership.is_leader,
            has_leader: leadership.leader.is_some(),
            last_index: last.unwrap_or_default(),
            applied: self.feed.view().applied(),
            log_bytes: self.growth.bytes(),
            measures: self.measures.clone(),
        }
    }

    /// Bytes free where the log is, and how many of them are kept back: with less, nothing is taken.
    pub fn space(&self) -> std::io::Result<(u64, u64)> {
        Ok((crate::folder::free_bytes(&self.folder)?, self.reserve))
    }

    /// A state that contains everything acknowledged by any member before this call. Only the
    /// leader has it.
    pub async fn read_index(&self) -> Result<Arc<State>, ProposeError> {
        propose::confirm(&self.raft).await?;
        Ok(self.view())
    }

    /// Ends in order: what was acknowledged is on disk, the folder is free for another process.
    /// Watches end; the view stays. Calls after the first do nothing.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let running = self.take_running();
        if let Some(thread) = running {
            thread.shutdown().await;
            self.feed.close();
        }
        Ok(())
    }

    /// Puts this member's present address into the membership, if another stands there: the folder was
    /// moved. Only a lone voter can say so by itself.
    async fn readdress(&self) -> Result<(), Error> {
        let raft_id = self.raft_id;
        let known = self.raft.with_raft_state(move |state| {
            let membership = state.membership_state.effective();
            membership.get_node(&raft_id).cloned()
        });
        if known.await.map_err(consensus)?.as_ref() == Some(&self.address) {
            return Ok(());
        }
        let address = BTreeMap::from([(raft_id, self.address.clone())]);
        let change = openraft::ChangeMembers::SetNodes(address);
        let changed = self.raft.change_membership(change, false).await;
        changed.map_err(consensus)?;
        Ok(())
    }

    fn take_running(&self) -> Option<RaftThread> {
        self.running.lock().expect("no holder panics").take()
    }

    /// Whether no other member's word is needed to lead. Asks the core itself: its metrics may still
    /// be those of a member that knows nothing.
    async fn is_lone_voter(&self) -> Result<bool, Error> {
        let raft_id = self.raft_id;
        let alone = self.raft.with_raft_state(move |state| {
            let membership = state.membership_state.effective();
            membership.voter_ids().eq([raft_id])
        });
        alone.await.map_err(consensus)
    }

    /// Waits until this member leads and has applied everything in the log.
    async fn leads(&self) -> Result<(), Error> {
        // The first entry of its own term comes after all others in the log.
        let leads = |metrics: &openraft::RaftMetrics<Types>| {
            let applied = metrics.last_applied.map(|id| id.leader_id.term);
            metrics.state == ServerState::Leader && applied == Some(metrics.current_term)
        };
        let wait = self.raft.wait(Some(LEAD_WITHIN));
        let led = wait.metrics(leads, "lone voter leads").await;
        led.map_err(consensus)?;
        Ok(())
    }
}

fn consensus(error: impl fmt::Display) -> Error {
    Error::Consensus(error.to_string())
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(thread) = self.take_running() {
            thread.shutdown_blocking();
            self.feed.close();
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("raft_id", &self.raft_id)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
