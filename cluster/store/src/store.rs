//! The store's handle: one member of the agreement, without its generics.

mod give;
mod hear;
mod lag;
mod members;
pub(crate) mod open;
mod propose;
mod several;

pub use lag::Lag;
pub use members::MemberView;
pub(crate) use propose::{MAX_BYTES, MAX_CHANGES};

use crate::config::{Config, Timing};
use crate::current::Shared;
use crate::error::{Error, ProposeError};
use crate::figures::Figures;
use crate::leadership::{Leadership, consensus, leads};
use crate::raft::Proposal;
use crate::raft_thread::RaftThread;
use crate::requests::Session;
use crate::sums::Differing;
use crate::transport::Transport;
use crate::watch::{Bell, Interest, Watch};
use openraft::async_runtime::watch::WatchReceiver;
use several::Questions;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use swarmrs_core::{Command, State};
use swarmrs_types::ClusterTime;
use tokio::sync::watch;
use tokio::time::Instant;

/// One member of the agreement, open.
///
/// It outlives its disk: when that fails, what was acknowledged can still be read, proposals are
/// refused with the reason, and as soon as the disk works again the store opens itself anew.
///
/// All methods may be called at once and from any runtime. Dropping the store ends it as
/// [`Store::shutdown`] does, waiting in place.
pub struct Store {
    shared: Arc<Shared>,
    running: Mutex<Option<RaftThread>>,
    folder: PathBuf,
    reserve: u64,
    raft_id: u64,
    address: String,
    timing: Timing,
    transport: Arc<dyn Transport>,
    session: Session,
    questions: Questions,
}

impl Store {
    /// Opens the store in `config.folder`, or creates an empty one there.
    ///
    /// A lone voter leads, and everything it ever acknowledged is in the view, when this returns.
    /// One of several is as far as its own disk knows. One that never belonged to a cluster waits: it is made a cluster
    /// of its own by [`Store::initialize`], or let in by a leader ([`Store::admit`]), who sends it the log.
    ///
    /// Errors: the folder is in use, not ours, of a newer release, another engine or another
    /// member, or something in it is missing or damaged. Nothing is repaired and nothing started
    /// over.
    pub async fn open(config: Config) -> Result<Store, Error> {
        let shared = Arc::new(Shared::new(config.raft_id));
        let session = Session::draw().map_err(consensus)?;
        let parts = open::open(&config, &shared)?;
        let thread = RaftThread::start(config.clone(), shared.clone(), parts).await?;
        let store = Store {
            shared,
            running: Mutex::new(Some(thread)),
            folder: config.folder,
            reserve: config.reserve,
            raft_id: config.raft_id,
            address: config.address,
            timing: config.timing,
            transport: config.transport,
            session,
            questions: Questions::default(),
        };
        if store.shared.alone.load(Ordering::Acquire) {
            store.readdress_itself().await?;
        }
        Ok(store)
    }

    /// Whether this member ever belonged to a cluster.
    pub fn is_initialized(&self) -> bool {
        self.shared.initialized.load(Ordering::Acquire)
    }

    /// Makes a new cluster of this member alone; returns when it leads.
    pub async fn initialize(&self) -> Result<(), Error> {
        use openraft::error::{InitializeError, RaftError};
        let members = BTreeMap::from([(self.raft_id, self.address.clone())]);
        let raft = self.shared.raft().map_err(consensus)?;
        match raft.initialize(members).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                return Err(Error::Initialized);
            }
            Err(error) => return Err(consensus(error)),
        }
        self.shared.initialized.store(true, Ordering::Release);
        self.shared.alone.store(true, Ordering::Release);
        // The core stands for election by itself here.
        leads(&raft).await?;
        let mut leadership = self.leadership();
        let told = leadership.wait_for(|now| now.is_leader).await;
        told.map(|_| ()).map_err(consensus)
    }

    /// The newest state applied here. Free; it never waits.
    pub fn view(&self) -> Arc<State> {
        self.shared.feed.view()
    }

    /// The view, and everything that is applied after it, without a gap.
    pub fn watch(&self) -> Watch {
        self.watch_for(|_| true)
    }

    /// As [`Store::watch`], without the batches in which no event is of interest: whoever follows is
    /// woken for nothing else.
    pub fn watch_for(&self, interest: Interest) -> Watch {
        self.shared.feed.watch(interest)
    }

    /// Rings when an event of interest is in the view.
    pub fn bell(&self, interest: Interest) -> Bell {
        self.shared.feed.bell(interest)
    }

    /// Who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// Whether the state here is known not to be the leader's, and what becomes of it. While it is not, there is no leader
    /// for whoever asks this member, proposals and reads are refused, and the view stands still.
    pub fn differing(&self) -> watch::Receiver<Option<Differing>> {
        self.shared.sums.differing()
    }

    /// From now on commands of other members are stamped with this clock while this member leads. Calls after the first
    /// do nothing.
    pub fn stamp_with(&self, clock: impl Fn() -> ClusterTime + Send + Sync + 'static) {
        // A second clock would be the same one.
        let _kept = self.shared.clock.set(Box::new(clock));
    }

    /// Has `command` agreed on and applied. Returns its index in the log, which is the version of
    /// all it wrote; the view contains it by then.
    ///
    /// A member that does not lead asks the one that does, and goes on asking while leaders come and go: for 20 s, or
    /// for 5 s if there is none. However often it asks, the command takes effect once.
    ///
    /// Calls may overlap without limit and share syncs. A call that is dropped while it waits may
    /// still take effect. At most 500 changes and 2 MiB.
    pub async fn propose(&self, command: Command) -> Result<u64, ProposeError> {
        let asked = Instant::now();
        let answer = match self.shared.check_state() {
            Ok(()) => self.put_through(command).await,
            Err(error) => Err(error),
        };
        let measures = &self.shared.measures;
        measures.proposals.note(asked.elapsed());
        measures.refused.add(u64::from(answer.is_err()));
        answer
    }

    async fn put_through(&self, command: Command) -> Result<u64, ProposeError> {
        if !self.leads_alone() {
            // On the heap: whoever waits is not to grow by all that may happen on the way.
            return Box::pin(self.propose_with_others(command)).await;
        }
        let json = propose::json(&command)?;
        propose::check_space(&self.folder, self.reserve)?;
        let _waiting = self.shared.pace.enter();
        let proposal = Proposal::new(command, None, json);
        propose::write(&self.shared.raft()?, proposal).await
    }

    /// Nobody can take the lead away, and nobody else can have agreed on anything.
    fn leads_alone(&self) -> bool {
        self.shared.pace.is_alone() && self.is_initialized()
    }

    /// Where this member stands now. Free; it never waits.
    pub fn figures(&self) -> Figures {
        let raft = self.shared.raft().ok();
        let last = raft.and_then(|raft| raft.metrics().borrow_watched().last_log_index);
        let leadership = self.shared.leadership.borrow();
        Figures {
            term: leadership.term,
            is_leader: leadership.is_leader,
            has_leader: leadership.leader.is_some(),
            last_index: last.unwrap_or_default(),
            applied: self.view().applied(),
            log_bytes: self.shared.log_bytes(),
            measures: self.shared.measures.clone(),
        }
    }

    /// Bytes free where the log is, and how many of them are kept back: with less, nothing is taken.
    pub fn space(&self) -> std::io::Result<(u64, u64)> {
        Ok((crate::folder::free_bytes(&self.folder)?, self.reserve))
    }

    /// A state that contains everything acknowledged by any member before this call. A member that does not lead asks
    /// the one that does, and waits until it has applied as much; a lone voter has it also while its disk fails.
    pub async fn read_index(&self) -> Result<Arc<State>, ProposeError> {
        self.shared.check_state()?;
        if !self.leads_alone() && !self.shared.view_suffices() {
            Box::pin(self.read_with_others()).await?;
            let view = self.view();
            // It may have been found meanwhile.
            return self.shared.check_state().map(|()| view);
        }
        let confirmed = match self.shared.raft() {
            Ok(raft) => propose::confirm(&raft).await,
            Err(error) => Err(error),
        };
        match confirmed {
            // Nobody else can have agreed on anything meanwhile.
            Err(ProposeError::Disk(_)) if self.shared.view_suffices() => Ok(self.view()),
            confirmed => confirmed.map(|()| self.view()),
        }
    }

    /// Ends in order: what was acknowledged is on disk, the folder is free for another process.
    /// Watches end; the view stays. Calls after the first do nothing.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let running = self.take_running();
        if let Some(thread) = running {
            thread.shutdown().await;
            self.shared.close();
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Puts this member's present address into the membership, if another stands there: the folder was
    /// moved. Only a lone voter can say so by itself.
    async fn readdress_itself(&self) -> Result<(), Error> {
        let raft_id = self.raft_id;
        let raft = self.shared.raft().map_err(consensus)?;
        let known = raft.with_raft_state(move |state| {
            let membership = state.membership_state.effective();
            membership.get_node(&raft_id).cloned()
        });
        if known.await.map_err(consensus)?.as_ref() == Some(&self.address) {
            return Ok(());
        }
        let address = BTreeMap::from([(raft_id, self.address.clone())]);
        let change = openraft::ChangeMembers::SetNodes(address);
        let changed = raft.change_membership(change, false).await;
        changed.map_err(consensus)?;
        Ok(())
    }

    fn take_running(&self) -> Option<RaftThread> {
        self.running.lock().expect("no holder panics").take()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(thread) = self.take_running() {
            thread.shutdown_blocking();
            self.shared.close();
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
