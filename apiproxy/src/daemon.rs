//! How `swarmrsd` is put together and taken apart.
//!
//! ```text
//!   log → pidfile → Node::start → sockets → serve … signal → drain → Node::stop → sockets and pidfile removed
//! ```
//!
//! SIGTERM and SIGINT end it: requests under way finish, containers run on, and it is out within ten seconds. SIGHUP is
//! [`reload`]'s. A panic anywhere ends the process, for a supervisor to start it again: half a daemon is worse than none.
//! SIGUSR1 is [`dump`]'s. A service manager may hand the sockets down ([`inherited`]) and is told when we are ready ([`notify`]).

mod dump;
mod error;
pub mod holder;
mod inherited;
mod limits;
mod listen;
mod log;
mod notify;
mod pidfile;
mod reload;
mod socket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use swarmrs_node::{Launch, Node, Policy, SocketMap};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::{Config, HolderConfig, Source};
use crate::events::SwarmEvents;
use crate::forward::Engine;
use crate::handler::Handlers;
use crate::metrics::Metrics;
use crate::server::{Listener, serve};
use dump::Dump;
pub use error::Error;
use listen::Listening;
use pidfile::Pidfile;
use reload::Reload;

/// Enough for a proxy whose work is waiting; consensus has threads of its own. A second thread would be woken with
/// each answer of theirs to look whether there is more, and a write would take a tenth longer.
const WORKERS: usize = 1;
/// How long the node may take to end after the last request.
const NODE_STOP: Duration = Duration::from_secs(4);
/// How long tasks that block may hold the process up at the very end.
const RUNTIME_STOP: Duration = Duration::from_millis(500);

/// Says whether the daemon could run with this configuration, and changes nothing.
///
/// # Errors
/// The first thing that it would fail on.
pub fn check(config: &Config) -> Result<(), Error> {
    socket::group(config.group.as_deref())?;
    listen::tls(config)?;
    policy(config)?;
    // dockerd says it here too, and no more.
    eprintln!("configuration OK");
    Ok(())
}

/// Runs the daemon until it is told to end. `source` is where the configuration is read from again.
///
/// # Errors
/// If it cannot start; the text says what to look at.
pub fn run(config: Config, source: Source) -> Result<(), Error> {
    limits::refuse_core_dumps().map_err(Error::Limits)?;
    limits::allow_open_files().map_err(Error::Limits)?;
    let level = log::start(config.level, config.format);
    abort_on_panic();
    for folder in [&config.data_root, &config.exec_root] {
        std::fs::create_dir_all(folder).map_err(|error| Error::path(folder, error))?;
    }
    let _pidfile = Pidfile::take(&config.pidfile)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("swarmrsd")
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let ended = runtime.block_on(live(config, source, level));
    runtime.shutdown_timeout(RUNTIME_STOP);
    ended
}

/// Panics inside a log engine are the disk's fault, not ours, and are caught there.
fn abort_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !swarmrs_node::panic_is_contained() {
            print(panic);
            std::process::abort();
        }
    }));
}

async fn live(config: Config, source: Source, level: log::Level) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let dump = Dump::listen().map_err(Error::Runtime)?;
    let engine = Engine::new(&config.engine);
    if let Err(error) = engine.connect().await {
        warn!(%error, "waiting for the engine");
    }
    let metrics = metrics(&config).await?;
    // Clients that come from here on wait until the node has started.
    let mut listening = Listening::open(&config).await?;
    let node = node_config(&config, &listening)?;
    let node = Node::start(node, swarmrs_engine::Engine::connect(&config.engine)).await?;
    let (stop, stopped) = watch::channel(false);
    let mut parts = JoinSet::new();
    let listeners = std::mem::take(&mut listening.listeners);
    let handlers = start(&mut parts, listeners, &node, engine, &stopped);
    if let Some(metrics) = metrics {
        parts.spawn(metrics.serve(handlers, stopped.clone()));
    }
    let dumping = dump.serve(node.clone(), config.exec_root.clone());
    parts.spawn(until_stopped(dumping, stopped.clone()));
    info!(version = env!("CARGO_PKG_VERSION"), engine = %config.engine.display(), "swarmrsd is ready");
    notify::ready();
    let tls = listening.tls.clone();
    let mut reload = Reload {
        source,
        config,
        level,
        tls,
    };
    tokio::select! {
        () = signals.end(&mut reload) => {}
        // No part ends by itself.
        _ = parts.join_next() => warn!("a part of the daemon has ended"),
    }
    notify::stopping();
    stop.send_replace(true);
    while parts.join_next().await.is_some() {}
    if tokio::time::timeout(NODE_STOP, node.stop()).await.is_err() {
        warn!("the node did not end in time");
    }
    drop(listening);
    info!("swarmrsd has ended");
    Ok(())
}

/// What the node is told of all this.
fn node_config(config: &Config, listening: &Listening) -> Result<swarmrs_node::Config, Error> {
    let map = |ours: &PathBuf| SocketMap::new(&config.engine, ours);
    let ours = listening
        .socket
        .as_ref()
        .filter(|_| config.map_engine_socket);
    Ok(swarmrs_node::Config {
        data_root: config.data_root.clone(),
        raft_store: config.raft_store,
        disk_reserve: config.disk_reserve,
        exec_root: config.exec_root.clone(),
        generic_resources: config.generic_resources.clone(),
        sockets: ours.map(map),
        policy: policy(config)?,
        holder: Some(launch(config)?),
    })
}

/// This very program holds the node's networks too.
fn launch(config: &Config) -> Result<Launch, Error> {
    Ok(Launch {
        program: std::env::current_exe().map_err(Error::Program)?,
        exec_root: config.exec_root.clone(),
        data_root: config.data_root.clone(),
        arguments: HolderConfig::arguments(config),
        unit: holder::unit(config),
    })
}

fn policy(config: &Config) -> Result<Policy, Error> {
    let Some(path) = &config.node_policy else {
        return Ok(Policy::default());
    };
    let text = std::fs::read_to_string(path).map_err(|error| Error::path(path, error))?;
    Policy::parse(&text).map_err(|error| Error::policy(path, error))
}

/// Starts what answers clients: the swarm's events and one server for each listener.
fn start(
    parts: &mut JoinSet<()>,
    listeners: Vec<Listener>,
    node: &Node,
    engine: Engine,
    stopped: &watch::Receiver<bool>,
) -> Arc<Handlers> {
    let events = Arc::new(SwarmEvents::default());
    let handlers = Arc::new(Handlers::new(node.clone(), engine.clone(), events.clone()));
    parts.spawn(until_stopped(events.follow(node.clone()), stopped.clone()));
    for listener in listeners {
        parts.spawn(serve(
            listener,
            handlers.clone(),
            engine.clone(),
            stopped.clone(),
        ));
    }
    handlers
}

/// Does the work until there is no more of it, or the daemon ends.
async fn until_stopped(work: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = work => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

async fn metrics(config: &Config) -> Result<Option<Metrics>, Error> {
    let Some(addr) = config.metrics_addr else {
        return Ok(None);
    };
    let bound = Metrics::bind(addr).await;
    bound
        .map(Some)
        .map_err(|source| Error::Metrics { addr, source })
}

/// The signals that the daemon heeds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let of = |kind| signal(kind).map_err(Error::Runtime);
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hang_up: of(SignalKind::hangup())?,
        })
    }

    /// Returns when the daemon shall end.
    async fn end(&mut self, reload: &mut Reload) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return info!("SIGTERM"),
                _ = self.interrupt.recv() => return info!("SIGINT"),
                _ = self.hang_up.recv() => reload.hang_up(),
            }
        }
    }
}
