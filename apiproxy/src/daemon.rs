//! How `swarmrsd` is put together and taken apart.
//!
//! ```text
//!   log → pidfile → Node::start → sockets → serve … signal → drain → Node::stop → sockets and pidfile removed
//! ```
//!
//! SIGTERM and SIGINT end it: requests under way finish, containers run on, and it is out within ten seconds. SIGHUP switches
//! debug lines on and off. A panic anywhere ends the process, for a supervisor to start it again: half a daemon is worse
//! than none.

mod log;
mod pidfile;
mod socket;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use swarmrs_node::{Node, NodeError};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::Config;
use crate::events::SwarmEvents;
use crate::forward::Engine;
use crate::handler::Handlers;
use crate::server::{Listener, serve};
use pidfile::Pidfile;

/// Enough for a proxy whose work is waiting; consensus has threads of its own.
const WORKERS: usize = 2;
/// How long the node may take to end after the last request.
const NODE_STOP: Duration = Duration::from_secs(4);
/// How long tasks that block may hold the process up at the very end.
const RUNTIME_STOP: Duration = Duration::from_millis(500);

/// Why the daemon does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {path}: {source}")]
    Path { path: String, source: io::Error },
    #[error("swarmrsd runs already, as process {pid} ({path})")]
    Running { pid: u32, path: String },
    #[error("somebody listens on {path} already")]
    InUse { path: String },
    #[error("there is no group {0:?} on this machine")]
    NoGroup(String),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl Error {
    fn path(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        Self::Path { path, source }
    }
}

/// Runs the daemon until it is told to end.
///
/// # Errors
/// If it cannot start; the text says what to look at.
pub fn run(config: Config) -> Result<(), Error> {
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
    let ended = runtime.block_on(live(&config, level));
    runtime.shutdown_timeout(RUNTIME_STOP);
    ended
}

fn abort_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
}

async fn live(config: &Config, level: log::Level) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let engine = Engine::new(&config.engine);
    if let Err(error) = engine.connect().await {
        warn!(%error, "waiting for the engine");
    }
    let node = swarmrs_node::Config {
        data_root: config.data_root.clone(),
    };
    let node = Node::start(node, swarmrs_engine::Engine::connect(&config.engine)).await?;
    let sockets = bind_all(config)?;
    let (stop, stopped) = watch::channel(false);
    let mut parts = JoinSet::new();
    start(&mut parts, sockets, &node, engine, &stopped);
    info!(version = env!("CARGO_PKG_VERSION"), engine = %config.engine.display(), "swarmrsd is ready");
    tokio::select! {
        () = signals.end(&level) => {}
        // No part ends by itself.
        _ = parts.join_next() => warn!("a part of the daemon has ended"),
    }
    stop.send_replace(true);
    while parts.join_next().await.is_some() {}
    if tokio::time::timeout(NODE_STOP, node.stop()).await.is_err() {
        warn!("the node did not end in time");
    }
    remove_all(config);
    info!("swarmrsd has ended");
    Ok(())
}

/// Starts what answers clients: the swarm's events and one server for each socket.
fn start(
    parts: &mut JoinSet<()>,
    sockets: Vec<UnixListener>,
    node: &Node,
    engine: Engine,
    stopped: &watch::Receiver<bool>,
) {
    let events = Arc::new(SwarmEvents::default());
    let handlers = Arc::new(Handlers::new(node.clone(), engine.clone(), events.clone()));
    let (node, mut ending) = (node.clone(), stopped.clone());
    parts.spawn(async move {
        tokio::select! {
            () = events.follow(node) => {}
            _ = ending.wait_for(|stop| *stop) => {}
        }
    });
    for socket in sockets {
        let listener = Listener::Unix(socket);
        parts.spawn(serve(
            listener,
            handlers.clone(),
            engine.clone(),
            stopped.clone(),
        ));
    }
}

fn bind_all(config: &Config) -> Result<Vec<UnixListener>, Error> {
    let group = socket::group(config.group.as_deref())?;
    let hosts = config.hosts.iter();
    hosts
        .map(|host| {
            let listener = socket::bind(&host.0, group)?;
            info!(%host, "listening");
            Ok(listener)
        })
        .collect()
}

fn remove_all(config: &Config) {
    for host in &config.hosts {
        if let Err(error) = std::fs::remove_file(&host.0) {
            warn!(%host, %error, "the socket stays");
        }
    }
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
    async fn end(&mut self, level: &log::Level) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return info!("SIGTERM"),
                _ = self.interrupt.recv() => return info!("SIGINT"),
                _ = self.hang_up.recv() => level.toggle_debug(),
            }
        }
    }
}
