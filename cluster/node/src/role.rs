//! Which role the node plays, and the changes between them.

use crate::clock::ClusterClock;
use crate::config::Config;
use crate::control::LOCKED;
use crate::health::{self, Health};
use crate::ids::raft_id;
use crate::join::Joining;
use crate::lane::Lane;
use crate::leases::{self, Taken};
use crate::local::{Standing, State};
use crate::lock::{self, SharedKeys};
use crate::manager::{self, Ground, Manager, Told};
use crate::managers::KnownManagers;
use crate::moved;
use crate::networks;
use crate::peers::Peers;
use crate::record::{self, RecordError, StartRecord};
use crate::renew;
use crate::trust;
use crate::turn;
use crate::unbound::Unbound;
use crate::way::Way;
use crate::worker::{Footing, Worker};
use arc_swap::ArcSwap;
use std::fs;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use swarmrs_agent::Networks;
use swarmrs_core::State as ClusterState;
use swarmrs_core::control::swarm::{self, host};
use swarmrs_engine::Engine;
use swarmrs_network::Handle;
use swarmrs_security::{Keys, Keystore, UnlockKey};
use swarmrs_store::{Batch, ProposeError, Store};
use swarmrs_types::Timestamp;
use swarmrs_types::report::Flight;
use swarmrs_types::spec::GenericResource;
use tokio::sync::{Mutex, broadcast, mpsc};
use tracing::{error, info, warn};

/// Entries a slow listener may lag behind before it misses some.
const EVENT_BACKLOG: usize = 1024;

/// Between two looks at whether the engine can still be used.
const RECHECK: Duration = Duration::from_secs(30);

/// How long a manager that starts among others waits until it hears of a leader.
const FIRST_LEADER: Duration = Duration::from_secs(3);

/// What becomes of a node that was off for longer than its certificate lasts. A manager renews its own when it starts, so
/// it is told this only if somebody else issues certificates.
const EXPIRED: &str = "the certificate of this node has expired, so the swarm does not know it any more; its \
     containers run on. To use it again: docker swarm leave --force, then docker swarm join";

/// The node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("cannot use {path}: {source}")]
    Folder { path: String, source: io::Error },
    #[error("cannot read the node's certificates: {0}")]
    Certificates(#[from] swarmrs_security::Error),
    #[error(transparent)]
    Store(#[from] swarmrs_store::Error),
    #[error(transparent)]
    Propose(#[from] swarmrs_store::ProposeError),
    #[error(transparent)]
    Agent(#[from] swarmrs_agent::Error),
    #[error("cannot listen on {addr}: {source}")]
    Listen { addr: String, source: io::Error },
    #[error(transparent)]
    Credentials(#[from] trust::CredentialsError),
    #[error("cannot start the quorum's thread: {0}")]
    Lane(io::Error),
}

/// One node. Cheap to clone.
#[derive(Clone)]
pub struct Node(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub config: Config,
    pub engine: Engine,
    /// The swarm's networks on this node, over changes of role.
    pub networks: Arc<Networks>,
    /// The way to whoever carries them, if the node carries any.
    pub holder: Option<Arc<Handle>>,
    /// What this daemon took of networks for containers lately.
    pub taken: Taken,
    /// What runs now; replaced as a whole.
    pub role: ArcSwap<Role>,
    /// One change of role at a time.
    pub turn: Mutex<()>,
    pub told: Told,
    /// Where what runs now says that the node is to be something else.
    pub turns: mpsc::UnboundedSender<Turn>,
}

/// What the swarm has decided about the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A worker holds a manager's certificate.
    Promoted,
    /// A manager is no member of the quorum any more.
    Dismissed,
}

impl Inner {
    /// Takes up a role; the former one is given back.
    pub fn take_up(&self, role: Role) -> Arc<Role> {
        let to = role.state().as_str();
        let former = self.role.swap(Arc::new(role));
        let from = former.state().as_str();
        if from != to {
            self.told.recorder.note(&Flight::Role { from, to });
        }
        former
    }
}

/// What the node is.
pub(crate) enum Role {
    Alone,
    /// On its way into a swarm; may be called back.
    Joining(Joining),
    Worker(Box<Worker>),
    Manager(Box<Manager>),
    /// A manager that nobody has told the unlock key since it started.
    Locked(StartRecord),
    /// A manager whose address to listen on is not to be had.
    Unbound(Box<Unbound>),
    /// A manager between its end and its next beginning.
    Starting(StartRecord),
    /// The engine cannot be used; the text says why.
    Error(String),
}

impl Role {
    /// Docker's state of a node in this role.
    fn state(&self) -> State {
        match self {
            Role::Alone => State::Inactive,
            Role::Manager(_) | Role::Worker(_) => State::Active,
            Role::Locked(_) => State::Locked,
            Role::Starting(_) | Role::Joining(_) => State::Pending,
            Role::Unbound(_) | Role::Error(_) => State::Error,
        }
    }
}

impl Node {
    /// Starts the node in the role its start record says.
    pub async fn start(config: Config, engine: Engine) -> Result<Node, NodeError> {
        let root = config.swarm_root();
        let folder = |source| NodeError::Folder {
            path: root.display().to_string(),
            source,
        };
        fs::create_dir_all(&root).map_err(folder)?;
        restrict(&config.data_root).map_err(folder)?;
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let (networks, holder) = networks::of(&config, &engine);
        let (turns, taken) = mpsc::unbounded_channel();
        let node = Node(Arc::new(Inner {
            networks,
            holder,
            taken: Taken::default(),
            config,
            engine,
            role: ArcSwap::from_pointee(Role::Alone),
            turn: Mutex::new(()),
            told: Told {
                events,
                recorder: Arc::default(),
                measures: Arc::default(),
            },
            turns,
        }));
        node.resume().await?;
        tokio::spawn(guard(Arc::downgrade(&node.0)));
        tokio::spawn(leases::follow(Arc::downgrade(&node.0)));
        tokio::spawn(follow_engine(Arc::downgrade(&node.0)));
        tokio::spawn(turn::follow(Arc::downgrade(&node.0), taken));
        tokio::spawn(moved::follow(Arc::downgrade(&node.0)));
        Ok(node)
    }

    /// Looks at the engine again. One that went into swarm mode ends our part, and nothing of it is
    /// touched; one that left it lets us go on.
    async fn recheck(&self) {
        // One that was removed stays so whatever its engine does.
        let failed = matches!(&**self.0.role.load(), Role::Error(why) if why != turn::REMOVED);
        match (health::check_engine(&self.0.engine).await, failed) {
            (Health::Unfit(reason), false) => self.give_way(reason).await,
            (Health::Fit, true) => {
                if let Err(error) = self.resume().await {
                    error!(%error, "cannot resume");
                }
            }
            _ => {}
        }
    }

    async fn give_way(&self, reason: String) {
        let _turn = self.0.turn.lock().await;
        error!(%reason, "the engine cannot be used any more");
        if let Some(running) = self.take_running(Role::Error(reason)).await {
            running.stop().await;
        }
    }

    async fn resume(&self) -> Result<(), NodeError> {
        let _turn = self.0.turn.lock().await;
        if let Health::Unfit(reason) = health::check_engine(&self.0.engine).await {
            error!(%reason, "the engine cannot be used");
            self.0.take_up(Role::Error(reason));
            return Ok(());
        }
        match StartRecord::load(&self.0.config)? {
            Some(found) => {
                record::unmark(&self.0.config)?;
                self.resume_member(found, None).await
            }
            None => {
                record::clear_rubble(&self.0.config)?;
                self.0.take_up(Role::Alone);
                Ok(())
            }
        }
    }

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

    /// Ends the node and leaves its containers alone.
    pub async fn stop(&self) {
        let _turn = self.0.turn.lock().await;
        if let Some(running) = self.take_running(Role::Alone).await {
            running.stop().await;
        }
    }

    /// Takes what runs out of its role, once nobody uses it any more; the node is `next` meanwhile.
    pub(crate) async fn take_running(&self, next: Role) -> Option<Running> {
        let mut role = self.0.take_up(next);
        loop {
            match Arc::try_unwrap(role) {
                Ok(Role::Manager(manager)) => return Some(Running::Manager(manager)),
                Ok(Role::Worker(worker)) => return Some(Running::Worker(worker)),
                Ok(Role::Joining(joining)) => {
                    joining.call_back();
                    return None;
                }
                Ok(_) => return None,
                Err(shared) => {
                    role = shared;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    /// Where the node stands.
    pub fn standing(&self) -> Standing {
        match &**self.0.role.load() {
            Role::Alone => Standing::alone(),
            Role::Error(reason) => Standing {
                state: State::Error,
                error: reason.clone(),
                ..Standing::alone()
            },
            Role::Locked(record) => Standing {
                state: State::Locked,
                addr: host(&record.advertise_addr).to_owned(),
                error: LOCKED.to_owned(),
                ..Standing::alone()
            },
            Role::Unbound(unbound) => Standing {
                state: State::Error,
                addr: host(&unbound.record.advertise_addr).to_owned(),
                error: unbound.why.clone(),
                ..Standing::alone()
            },
            Role::Joining(joining) => Standing {
                state: State::Pending,
                addr: joining.addr.clone(),
                ..Standing::alone()
            },
            Role::Worker(worker) => Standing {
                node: Some(worker.record.node),
                addr: host(&worker.record.advertise_addr).to_owned(),
                manager: false,
                managers: worker.way.managers.all(),
                ..expired(&worker.way)
            },
            Role::Starting(record) => Standing {
                state: State::Pending,
                addr: host(&record.advertise_addr).to_owned(),
                ..Standing::alone()
            },
            Role::Manager(manager) => Standing {
                node: Some(manager.record.node),
                addr: host(&manager.record.advertise_addr).to_owned(),
                manager: true,
                ..differing(&manager.desk.store).unwrap_or_else(|| expired(&manager.way))
            },
        }
    }

    /// What the cluster does from now on, over changes of role.
    pub fn events(&self) -> broadcast::Receiver<Batch> {
        self.0.told.events.subscribe()
    }

    /// What this node was told it has beside CPUs and memory.
    pub fn generic_resources(&self) -> &[GenericResource] {
        &self.0.config.generic_resources
    }

    /// The swarm's networks as this node has them.
    pub fn networks(&self) -> &Arc<Networks> {
        &self.0.networks
    }

    /// The engine behind this node.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }
}

/// A manager's standing while its state is not the leader's.
fn differing(store: &Store) -> Option<Standing> {
    let differing = (*store.differing().borrow())?;
    Some(Standing {
        state: State::Error,
        error: ProposeError::Differs(differing).to_string(),
        ..Standing::alone()
    })
}

/// A running node's standing, which is no good one if its certificate has run out.
fn expired(way: &Way) -> Standing {
    match way.expired() {
        None => Standing {
            state: State::Active,
            ..Standing::alone()
        },
        Some(end) => Standing {
            state: State::Error,
            error: format!("{EXPIRED} (it ended {})", expiry(end)),
            ..Standing::alone()
        },
    }
}

/// When a certificate ended, as users read times.
fn expiry(end: SystemTime) -> Timestamp {
    let since = end
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_nanos(i128::try_from(since.as_nanos()).unwrap_or_default())
}

/// A manager or a worker, taken out of its role.
pub(crate) enum Running {
    Manager(Box<Manager>),
    Worker(Box<Worker>),
}

impl Running {
    pub fn is_manager(&self) -> bool {
        matches!(self, Running::Manager(_))
    }

    /// Ends it; containers are left alone.
    pub async fn stop(self) {
        match self {
            Running::Manager(manager) => manager.stop().await,
            Running::Worker(worker) => worker.stop().await,
        }
    }

    /// Ends it, and its containers.
    pub async fn leave(self) {
        match self {
            Running::Manager(manager) => manager.leave().await,
            Running::Worker(worker) => worker.leave().await,
        }
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

/// Keeps an eye on the engine for as long as the node is there.
async fn guard(node: Weak<Inner>) {
    loop {
        tokio::time::sleep(RECHECK).await;
        let Some(inner) = node.upgrade() else { return };
        Node(inner).recheck().await;
    }
}

/// Tells the flight recorder when the engine comes and goes.
async fn follow_engine(node: Weak<Inner>) {
    let Some(mut presence) = node.upgrade().map(|inner| inner.engine.presence()) else {
        return;
    };
    while presence.changed().await.is_ok() {
        let Some(inner) = node.upgrade() else { return };
        let state = presence.borrow_and_update().as_str();
        inner.told.recorder.note(&Flight::Engine { state });
    }
}

/// Waits until this member leads: alone, it needs nobody's vote but its own.
async fn lead(store: &Store) -> Result<(), NodeError> {
    let mut leadership = store.leadership();
    let lost = |_| swarmrs_store::Error::Consensus("the core stopped".to_owned());
    let led = leadership.wait_for(|now| now.is_leader).await;
    led.map(|_| ()).map_err(lost).map_err(NodeError::from)
}

/// Only root looks into the data root.
fn restrict(folder: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}
