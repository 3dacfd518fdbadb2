//! Which role the node plays, and the changes between them.

mod error;
mod resume;
mod standing;

pub use error::NodeError;
pub(crate) use resume::reserve;

use crate::config::Config;
use crate::health::{self, Health};
use crate::join::Joining;
use crate::leases::{self, Taken};
use crate::local::State;
use crate::manager::{Manager, Told};
use crate::moved;
use crate::networks;
use crate::record::{self, StartRecord};
use crate::turn;
use crate::unbound::Unbound;
use crate::worker::Worker;
use arc_swap::ArcSwap;
use std::fs;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;
use swarmrs_agent::Networks;
use swarmrs_engine::Engine;
use swarmrs_network::Handle;
use swarmrs_store::Batch;
use swarmrs_types::report::Flight;
use swarmrs_types::spec::GenericResource;
use tokio::sync::{Mutex, broadcast, mpsc};
use tracing::error;

/// Entries a slow listener may lag behind before it misses some.
const EVENT_BACKLOG: usize = 1024;

/// Between two looks at whether the engine can still be used.
const RECHECK: Duration = Duration::from_secs(30);

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

/// Only root looks into the data root.
fn restrict(folder: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}
