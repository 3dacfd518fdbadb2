//! A running manager: the store and everything that stands on it, started and ended as one.

use crate::clock::ClusterClock;
use crate::config::Config;
use crate::dispatcher;
use crate::glance::Measures;
use crate::leader;
use crate::local::{ClusterView, LiveStatuses};
use crate::lock::{self, SharedKeys};
use crate::record::StartRecord;
use crate::recorder::Recorder;
use crate::renew;
use async_trait::async_trait;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use swarmrs_agent::{Agent, Networks, Transport};
use swarmrs_core::State;
use swarmrs_engine::Engine;
use swarmrs_rpc::{NodeEnd, session};
use swarmrs_store::{Batch, Store};
use swarmrs_types::NodeId;
use swarmrs_types::report::Flight;
use swarmrs_types::spec::TlsInfo;
use tokio::sync::{Mutex, broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info};

/// Who is told what a manager does.
#[derive(Clone)]
pub struct Told {
    pub events: broadcast::Sender<Batch>,
    pub recorder: Arc<Recorder>,
    pub measures: Arc<Measures>,
}

/// Everything a manager runs.
pub struct Manager {
    pub store: Arc<Store>,
    pub clock: ClusterClock,
    pub record: StartRecord,
    pub live: Arc<LiveStatuses>,
    pub keys: SharedKeys,
    /// Up to which version of the state the lock agreed on is in force on the disk.
    pub lock_in_force: watch::Receiver<u64>,
    pub agent: swarmrs_agent::Handle,
    /// Held by a request that is decided anew after another was faster.
    pub turn: Mutex<()>,
    tasks: JoinSet<()>,
    /// Held so that the address is ours; nodes are not awaited on it yet.
    _reserved: TcpListener,
}

/// What a manager stands on.
pub struct Ground {
    pub record: StartRecord,
    pub keys: SharedKeys,
    /// Open, and it leads.
    pub store: Arc<Store>,
    pub reserved: TcpListener,
    pub tls_info: TlsInfo,
}

impl Manager {
    /// Starts all that stands on the ground.
    pub fn start(
        config: &Config,
        engine: Engine,
        networks: Arc<Networks>,
        ground: Ground,
        told: Told,
    ) -> Result<Manager, swarmrs_agent::Error> {
        let Ground {
            record,
            keys,
            store,
            reserved,
            tls_info,
        } = ground;
        let (in_force, lock_in_force) = watch::channel(0);
        let clock = ClusterClock::start(store.view().time());
        let live = Arc::new(LiveStatuses::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(narrate(store.clone(), told.clone()));
        tasks.spawn(leader::run(store.clone(), clock, told.clone()));
        tasks.spawn(lock::follow(store.clone(), keys.clone(), in_force));
        tasks.spawn(renew::follow(store.clone(), keys.clone(), record.node));
        let (sessions, opened) = mpsc::channel(1);
        tasks.spawn(serve_sessions(
            store.clone(),
            clock,
            record.clone(),
            live.clone(),
            told,
            opened,
        ));
        let (data, exec) = (config.swarm_root(), config.exec_root.clone());
        let mut settings = swarmrs_agent::Config::new(record.node, data, exec, engine, networks);
        settings.tls_info = tls_info;
        settings.generic_resources = config.generic_resources.clone();
        settings.sockets = config.sockets.clone();
        settings.policy = config.policy.clone();
        let agent = Agent::start(settings, LocalTransport(sessions))?;
        info!(node = %record.node, "manager started");
        Ok(Manager {
            store,
            clock,
            record,
            live,
            keys,
            lock_in_force,
            agent,
            turn: Mutex::new(()),
            tasks,
            _reserved: reserved,
        })
    }

    /// A state as reads see it.
    pub fn view(&self, state: Arc<State>) -> ClusterView {
        let leads = self.store.leadership().borrow().is_leader;
        let node = self.record.node;
        ClusterView::new(state, node, leads.then_some(node), &self.live)
    }

    /// Ends everything in reverse. Containers are left alone.
    pub async fn stop(mut self) {
        self.agent.shutdown().await;
        self.tasks.shutdown().await;
        if let Err(error) = self.store.shutdown().await {
            error!(%error, "the store did not close cleanly");
        }
    }

    /// Removes this node's containers, then ends everything.
    pub async fn leave(mut self) {
        self.tasks.shutdown().await;
        if let Err(error) = self.agent.leave().await {
            error!(%error, "containers of this node's tasks may be left");
        }
        if let Err(error) = self.store.shutdown().await {
            error!(%error, "the store did not close cleanly");
        }
    }
}

/// Removes the containers of a node on which no manager runs, so that leaving leaves none behind.
pub async fn remove_containers(
    config: &Config,
    engine: Engine,
    networks: Arc<Networks>,
    node: NodeId,
) -> Result<(), swarmrs_agent::Error> {
    let (data, exec) = (config.swarm_root(), config.exec_root.clone());
    let settings = swarmrs_agent::Config::new(node, data, exec, engine, networks);
    // Nobody takes its session, so this agent is told nothing and starts nothing.
    let (sessions, _) = mpsc::channel(1);
    let agent = Agent::start(settings, LocalTransport(sessions))?;
    agent.leave().await
}

/// Hands the log's events to whoever listens on this node.
async fn narrate(store: Arc<Store>, told: Told) {
    let mut watch = store.watch();
    while let Some(batch) = watch.next().await {
        told.recorder.note_events(batch.index, &batch.events);
        // Nobody listening is no error.
        let _ = told.events.send(batch);
    }
}

/// Serves the sessions that this node's own agent opens, one after the other.
async fn serve_sessions(
    store: Arc<Store>,
    clock: ClusterClock,
    record: StartRecord,
    live: Arc<LiveStatuses>,
    told: Told,
    mut opened: mpsc::Receiver<swarmrs_rpc::ManagerEnd>,
) {
    while let Some(session) = opened.recv().await {
        told.measures.sessions_opened.add(1);
        told.recorder.note(&Flight::Session { state: "opened" });
        dispatcher::serve(store.clone(), clock, record.node, live.clone(), session).await;
        told.measures.sessions_closed.add(1);
        told.recorder.note(&Flight::Session { state: "closed" });
    }
}

/// The way from this node's agent to its own manager.
struct LocalTransport(mpsc::Sender<swarmrs_rpc::ManagerEnd>);

#[async_trait]
impl Transport for LocalTransport {
    /// If the manager is ending, so is the agent: there will be no other session.
    async fn open(&self) -> NodeEnd {
        let (node, manager) = session::local();
        if self.0.send(manager).await.is_err() {
            std::future::pending::<()>().await;
        }
        node
    }
}

/// Takes the address nodes will be awaited on, so that no other program gets it.
pub fn reserve(listen_addr: &str) -> std::io::Result<TcpListener> {
    let addr: SocketAddr = listen_addr.parse().map_err(std::io::Error::other)?;
    TcpListener::bind(addr)
}
