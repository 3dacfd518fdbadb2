//! How a node goes on as what it was: as a manager or a worker, or locked until somebody tells it the key.

use super::standing::{EXPIRED, expiry};
use super::{Node, NodeError, Role};
use crate::clock::ClusterClock;
use crate::ids::raft_id;
use crate::lane::Lane;
use crate::lock::{self, SharedKeys};
use crate::manager::{self, Ground, Manager};
use crate::managers::KnownManagers;
use crate::moved;
use crate::networks;
use crate::peers::Peers;
use crate::record::{self, StartRecord};
use crate::renew;
use crate::trust;
use crate::way::Way;
use crate::worker::{Footing, Worker};
use std::sync::Arc;
use std::time::Duration;
use swarmrs_agent::journal::Journal;
use swarmrs_core::State as ClusterState;
use swarmrs_core::control::swarm;
use swarmrs_security::{Keys, Keystore, UnlockKey};
use swarmrs_store::Store;
use swarmrs_types::Timestamp;
use tracing::{error, info, warn};

/// How long a manager that starts among others waits until it hears of a leader.
const FIRST_LEADER: Duration = Duration::from_secs(3);
impl Node {
    /// Goes on in the role of its certificate, or waits for the unlock key if it is needed and not given.
    pub(crate) async fn resume_member(
        &self,
        record: StartRecord,
        unlock: Option<&UnlockKey>,
    ) -> Result<(), NodeError> {
        let keystore = Keystore::open(&self.0.config.certificates())?;
        for exposed in keystore.exposed()? {
            let mode = format!("{:o}", exposed.mode);
            warn!(path = %exposed.path.display(), mode, "key file readable by others");
        }
        if unlock.is_none() && keystore.is_locked()? {
            info!(node = %record.node, "locked: waiting for the unlock key");
            if let Some(holder) = &self.0.holder {
                networks::attend_as_before(holder);
            }
            self.0.take_up(Role::Locked(record));
            return Ok(());
        }
        let keys = SharedKeys::new(keystore.unlock(unlock)?);
        // Before the store is opened, which writes: a start that is refused changes nothing.
        Journal::check(&self.0.config.swarm_root())?;
        match certified(&keys.get())? {
            swarmrs_security::Role::Worker => self.run_worker(record, keys),
            swarmrs_security::Role::Manager => self.resume_manager(record, keys, false).await,
        }
    }

    /// Goes on as a manager; `alone`, without all the others there were. Without its address it waits for that.
    pub(crate) async fn resume_manager(
        &self,
        record: StartRecord,
        keys: SharedKeys,
        alone: bool,
    ) -> Result<(), NodeError> {
        let record = match record.raft_id {
            // A worker that holds a manager's certificate since its last moment.
            0 => self.newcomer(record)?,
            _ => record,
        };
        let (way, lane) = (
            self.way(&keys.get())?,
            Lane::start().map_err(NodeError::Lane)?,
        );
        // The folder first: of two daemons on one data root, the second is told so.
        let opened = self
            .open_store(&record, &keys.get(), &way, &lane, alone)
            .await;
        let store = Arc::new(opened?);
        let reserved = match reserve(&record) {
            Ok(reserved) => reserved,
            Err(why) => {
                store.shutdown().await?;
                self.stand_by(record, keys, &why);
                return Ok(());
            }
        };
        let is_lone = store.is_initialized() && store.members().len() == 1;
        if is_lone {
            lead(&store).await?;
        }
        self.settle(&record, &keys, &way, &store, is_lone).await?;
        way.show(&keys.get())?;
        info!(node = %record.node, "resuming as a manager");
        let ground = Ground {
            record,
            keys,
            store: store.clone(),
            reserved,
            lane,
            way,
            turns: self.0.turns.clone(),
        };
        self.run_manager(ground)?;
        // Whoever asks at once is not to be told that there is no leader, only because nobody was heard yet.
        let mut leadership = store.leadership();
        let led = leadership.wait_for(|now| now.leader.is_some());
        let _ = tokio::time::timeout(FIRST_LEADER, led).await;
        Ok(())
    }

    /// The record of a manager that begins with an empty log, under a number that nobody ever had.
    pub(crate) fn newcomer(&self, record: StartRecord) -> Result<StartRecord, NodeError> {
        let record = record.asking(raft_id());
        record.save(&self.0.config)?;
        Ok(record)
    }

    /// What this node shows to managers, and where they are.
    pub(crate) fn way(&self, keys: &Keys) -> Result<Way, NodeError> {
        let mut way = Way::new(KnownManagers::load(&self.0.config)?, keys)?;
        way.keeper = self.0.holder.clone().map(networks::keeper);
        Ok(way)
    }

    /// Finishes what time or a crash left undone: the lock that was agreed on, the certificate that
    /// ran out, and where this node is.
    async fn settle(
        &self,
        record: &StartRecord,
        keys: &SharedKeys,
        way: &Way,
        store: &Store,
        is_lone: bool,
    ) -> Result<(), NodeError> {
        let state = store.view();
        lock::wrap(keys, &state)?;
        if let Err(error) = renew::at_start(keys, &state, record.node, way).await {
            error!(%error, "the node's certificate cannot be renewed yet");
        }
        if !is_lone {
            return Ok(());
        }
        let clock = ClusterClock::start(state.time());
        clock.lead(state.time());
        let now = clock.now();
        let plan = swarm::moved(
            &state,
            record.node,
            record.raft_id,
            &record.advertise_addr,
            now,
        );
        if !plan.is_empty() {
            let command = plan.into_command(now, Timestamp::now());
            store.propose(command).await?;
        }
        Ok(())
    }

    pub(crate) async fn open_store(
        &self,
        record: &StartRecord,
        keys: &Keys,
        way: &Way,
        lane: &Lane,
        alone: bool,
    ) -> Result<Store, NodeError> {
        let mut config = swarmrs_store::Config::new(
            self.0.config.raft(),
            record.raft_id,
            &record.advertise_addr,
            keys.sealer(),
        );
        let general = tokio::runtime::Handle::current();
        let doubts = way.doubts.clone();
        let peers = Peers::new(way.credentials.clone(), lane.handle(), general, doubts);
        config.transport = Arc::new(peers);
        config.goes_on_alone = alone;
        config.was_initialized = !record.newcomer;
        config.engine = self.0.config.raft_store;
        config.reserve = self.0.config.disk_reserve;
        Ok(Store::open(config).await?)
    }

    pub(crate) fn run_manager(&self, ground: Ground) -> Result<(), NodeError> {
        let inner = &self.0;
        let (engine, networks) = (inner.engine.clone(), inner.networks.clone());
        let told = inner.told.clone();
        moved::note(&inner.config, &ground.record);
        if let Some(holder) = &inner.holder {
            networks::attend(holder, &ground.record, &ground.store.view());
        }
        let manager = Manager::start(&inner.config, engine, networks, ground, told)?;
        inner.take_up(Role::Manager(Box::new(manager)));
        Ok(())
    }

    pub(crate) fn run_worker(
        &self,
        record: StartRecord,
        keys: SharedKeys,
    ) -> Result<(), NodeError> {
        let inner = &self.0;
        // What a manager that was demoted left behind.
        record::remove_folder(&inner.config.raft())?;
        let (engine, networks) = (inner.engine.clone(), inner.networks.clone());
        let footing = Footing {
            way: self.way(&keys.get())?,
            turns: inner.turns.clone(),
            record,
            keys,
        };
        moved::note(&inner.config, &footing.record);
        if let Some(holder) = &inner.holder {
            networks::attend(holder, &footing.record, &ClusterState::default());
        }
        if let Some(end) = footing.way.expired() {
            warn!(node = %footing.record.node, expired = %expiry(end), "{EXPIRED}");
        }
        let worker = Worker::start(&inner.config, engine, networks, footing)?;
        inner.take_up(Role::Worker(Box::new(worker)));
        Ok(())
    }
}

/// The role that the node's certificate gives it.
fn certified(keys: &Keys) -> Result<swarmrs_security::Role, NodeError> {
    let held = keys.node()?.ok_or(trust::CredentialsError::Missing)?;
    Ok(held.certificate.identity().role)
}

pub(crate) fn reserve(record: &StartRecord) -> Result<std::net::TcpListener, NodeError> {
    manager::reserve(&record.listen_addr).map_err(|source| NodeError::Listen {
        addr: record.listen_addr.clone(),
        source,
    })
}
/// Waits until this member leads: alone, it needs nobody's vote but its own.
async fn lead(store: &Store) -> Result<(), NodeError> {
    let mut leadership = store.leadership();
    let lost = |_| swarmrs_store::Error::Consensus("the core stopped".to_owned());
    let led = leadership.wait_for(|now| now.is_leader).await;
    led.map(|_| ()).map_err(lost).map_err(NodeError::from)
}
