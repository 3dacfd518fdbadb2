//! Which role the node plays, and the changes between them.

use crate::clock::ClusterClock;
use crate::config::Config;
use crate::control::LOCKED;
use crate::health::{self, Health};
use crate::leases;
use crate::local::{Standing, State};
use crate::lock::{self, SharedKeys};
use crate::manager::{self, Ground, Manager, Told};
use crate::networks;
use crate::record::{self, RecordError, StartRecord};
use crate::renew;
use crate::trust;
use arc_swap::ArcSwap;
use std::fs;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use swarmrs_agent::Networks;
use swarmrs_core::control::swarm::{host, moved};
use swarmrs_engine::Engine;
use swarmrs_network::Handle;
use swarmrs_security::{Keys, Keystore, UnlockKey};
use swarmrs_store::{Batch, Store};
use swarmrs_types::Timestamp;
use swarmrs_types::report::Flight;
use swarmrs_types::spec::GenericResource;
use tokio::sync::{Mutex, broadcast};
use tracing::{error, info, warn};

/// Entries a slow listener may lag behind before it misses some.
const EVENT_BACKLOG: usize = 1024;

/// Between two looks at whether the engine can still be used.
const RECHECK: Duration = Duration::from_secs(30);

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
    /// What runs now; replaced as a whole.
    pub role: ArcSwap<Role>,
    /// One change of role at a time.
    pub turn: Mutex<()>,
    pub told: Told,
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
    Manager(Box<Manager>),
    /// A manager that nobody has told the unlock key since it started.
    Locked(StartRecord),
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
            Role::Manager(_) => State::Active,
            Role::Locked(_) => State::Locked,
            Role::Starting(_) => State::Pending,
            Role::Error(_) => State::Error,
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
        let node = Node(Arc::new(Inner {
            networks,
            holder,
            config,
            engine,
            role: ArcSwap::from_pointee(Role::Alone),
            turn: Mutex::new(()),
            told: Told {
                events,
                recorder: Arc::default(),
                measures: Arc::default(),
            },
        }));
        node.resume().await?;
        tokio::spawn(guard(Arc::downgrade(&node.0)));
        tokio::spawn(leases::follow(Arc::downgrade(&node.0)));
        tokio::spawn(follow_engine(Arc::downgrade(&node.0)));
        Ok(node)
    }

    /// Looks at the engine again. One that went into swarm mode ends our part, and nothing of it is
    /// touched; one that left it lets us go on.
    async fn recheck(&self) {
        let failed = matches!(&**self.0.role.load(), Role::Error(_));
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
        if let Some(manager) = self.take_manager(Role::Error(reason)).await {
            manager.stop().await;
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
                self.resume_manager(found, None).await
            }
            None => {
                record::clear_rubble(&self.0.config)?;
                self.0.take_up(Role::Alone);
                Ok(())
            }
        }
    }

    /// Goes on as the manager of `record`, or waits for the unlock key if it is needed and not given.
    pub(crate) async fn resume_manager(
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
            self.0.take_up(Role::Locked(record));
            return Ok(());
        }
        let keys = SharedKeys::new(keystore.unlock(unlock)?);
        // The folder first: of two daemons on one data root, the second is told so.
        let store = self.open_store(&record, &keys.get(), true).await?;
        let reserved = reserve(&record)?;
        lead(&store).await?;
        self.settle(&record, &keys, &store).await?;
        info!(node = %record.node, "resuming as a manager");
        let tls_info = trust::tls_info(&keys.get())?;
        self.run_manager(Ground {
            record,
            keys,
            store: Arc::new(store),
            reserved,
            tls_info,
        })
    }

    /// Finishes what time or a crash left undone: the lock that was agreed on, the certificate that
    /// ran out, and where this node is.
    async fn settle(
        &self,
        record: &StartRecord,
        keys: &SharedKeys,
        store: &Store,
    ) -> Result<(), NodeError> {
        let state = store.view();
        lock::wrap(keys, &state)?;
        if let Err(error) = renew::renew_if_due(keys, &state, record.node, SystemTime::now()) {
            error!(%error, "the node's certificate cannot be renewed yet");
        }
        let now = ClusterClock::start(state.time()).now();
        let plan = moved(
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
        was_initialized: bool,
    ) -> Result<Store, NodeError> {
        let mut config = swarmrs_store::Config::new(
            self.0.config.raft(),
            record.raft_id,
            &record.advertise_addr,
            keys.sealer(),
        );
        config.was_initialized = was_initialized;
        config.engine = self.0.config.raft_store;
        config.reserve = self.0.config.disk_reserve;
        Ok(Store::open(config).await?)
    }

    pub(crate) fn run_manager(&self, ground: Ground) -> Result<(), NodeError> {
        let inner = &self.0;
        let (engine, networks) = (inner.engine.clone(), inner.networks.clone());
        let told = inner.told.clone();
        if let Some(holder) = &inner.holder {
            networks::attend(holder, &ground.record, &ground.store.view());
        }
        let manager = Manager::start(&inner.config, engine, networks, ground, told)?;
        inner.take_up(Role::Manager(Box::new(manager)));
        Ok(())
    }

    /// Ends the node and leaves its containers alone.
    pub async fn stop(&self) {
        let _turn = self.0.turn.lock().await;
        if let Some(manager) = self.take_manager(Role::Alone).await {
            manager.stop().await;
        }
    }

    /// Takes the manager out of its role, once nobody uses it any more; the node is `next` meanwhile.
    pub(crate) async fn take_manager(&self, next: Role) -> Option<Manager> {
        let mut role = self.0.take_up(next);
        loop {
            match Arc::try_unwrap(role) {
                Ok(Role::Manager(manager)) => return Some(*manager),
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
            Role::Starting(record) => Standing {
                state: State::Pending,
                addr: host(&record.advertise_addr).to_owned(),
                ..Standing::alone()
            },
            Role::Manager(manager) => Standing {
                state: State::Active,
                node: Some(manager.record.node),
                addr: host(&manager.record.advertise_addr).to_owned(),
                manager: true,
                error: String::new(),
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
