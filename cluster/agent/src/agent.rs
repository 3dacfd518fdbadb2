//! The handle: what a node starts, asks and ends.

use crate::container::controller::{Controller, Settings};
use crate::container::policy::Policy;
use crate::container::socket::SocketMap;
use crate::error::Error;
use crate::executor::Failure;
use crate::journal::Journal;
use crate::logs;
use crate::measure::Measures;
use crate::network::Networks;
use crate::reporter::Reporter;
use crate::session::{Sessions, Transport};
use crate::task::runner::Shared;
use crate::worker::Worker;
use futures_util::future::join_all;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use swarmrs_engine::{Engine, LogOptions, LogStream};
use swarmrs_rpc::Notice;
use swarmrs_types::spec::{GenericResource, TlsInfo};
use swarmrs_types::{NodeId, TaskId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Times that containers are listed and removed before leaving is given up.
const LEAVE_ROUNDS: usize = 5;

/// What an agent is started with.
#[derive(Clone, Debug)]
pub struct Config {
    pub node_id: NodeId,
    /// The daemon's data root; the agent keeps to `agent/` below it.
    pub data_dir: PathBuf,
    /// The daemon's exec-root; secrets are in `secrets/` below it, in memory.
    pub exec_dir: PathBuf,
    pub engine: Engine,
    /// The swarm's networks on this node.
    pub networks: Arc<Networks>,
    /// Said in the node's description, and said again when it changes.
    pub tls_info: watch::Receiver<TlsInfo>,
    /// Likewise; none: what the engine says.
    pub generic_resources: Vec<GenericResource>,
    /// Never ask a registry (`DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1`).
    pub prefer_offline_image: bool,
    /// What binds of the engine's socket are replaced by.
    pub sockets: Option<SocketMap>,
    /// What of this node tasks may have.
    pub policy: Policy,
    /// Who is told what managers say of the node itself.
    pub notices: Option<mpsc::UnboundedSender<Notice>>,
}

impl Config {
    /// With the defaults; the environment decides about offline images, as in Docker.
    pub fn new(
        node_id: NodeId,
        data_dir: PathBuf,
        exec_dir: PathBuf,
        engine: Engine,
        networks: Arc<Networks>,
    ) -> Self {
        let offline = std::env::var_os("DOCKER_SERVICE_PREFER_OFFLINE_IMAGE");
        Config {
            node_id,
            data_dir,
            exec_dir,
            engine,
            networks,
            tls_info: watch::channel(TlsInfo::default()).1,
            generic_resources: Vec::new(),
            prefer_offline_image: offline.is_some_and(|value| value == "1"),
            sockets: None,
            policy: Policy::default(),
            notices: None,
        }
    }
}

/// The agent of a node.
pub struct Agent;

impl Agent {
    /// Starts it. Fails only if the journal cannot be used; the engine and the managers may come later.
    pub fn start(config: Config, transport: impl Transport) -> Result<Handle, Error> {
        let journal = Journal::open(&config.data_dir)?;
        let settings = Settings {
            node: config.node_id,
            tls_info: config.tls_info.clone(),
            secrets: config.exec_dir.join("secrets"),
            generic_resources: config.generic_resources.clone(),
            prefer_offline_image: config.prefer_offline_image,
            sockets: config.sockets.clone(),
            policy: config.policy.clone(),
        };
        let controller = Arc::new(Controller::new(
            config.engine.clone(),
            config.networks.clone(),
            settings,
        ));
        let shared = Arc::new(Shared {
            executor: controller.clone(),
            reporter: Arc::default(),
            directory: Arc::default(),
            journal: Mutex::new(journal),
            measures: Arc::default(),
        });
        let reporter: Arc<Reporter> = shared.reporter.clone();
        let (orders, ordered) = mpsc::unbounded_channel();
        let transport = Box::new(transport);
        let mut sessions = Sessions::new(
            transport,
            controller.clone(),
            reporter,
            orders,
            config.notices.clone(),
        );
        sessions.tls_info = Some(config.tls_info.clone());
        let worker = Worker::new(shared.clone());

        let mut parts: JoinSet<Result<&str, Error>> = JoinSet::new();
        parts.spawn(async { worker.run(ordered).await.map(|()| "worker") });
        parts.spawn(async {
            sessions.run().await;
            Ok("sessions")
        });
        let networks = config.networks.clone();
        parts.spawn(async {
            networks.serve().await;
            Ok("networks")
        });
        let watching = controller.clone();
        parts.spawn(async move {
            watching.watch().await;
            Ok("engine events")
        });
        let (end, ending) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        Ok(Handle {
            config,
            controller,
            shared,
            running: tokio::spawn(run(parts, stopped, end)),
            stop,
            ending,
        })
    }
}

/// The parts live and end together.
async fn run(
    mut parts: JoinSet<Result<&'static str, Error>>,
    stopped: oneshot::Receiver<Infallible>,
    end: watch::Sender<Option<String>>,
) {
    let reason = tokio::select! {
        _ = stopped => "it was shut down".to_owned(),
        Some(part) = parts.join_next() => match part {
            Ok(Ok(part)) => format!("{part} came to an end"),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        },
    };
    parts.shutdown().await;
    end.send_replace(Some(reason));
}

/// The output of this node's tasks. Cheap to clone.
#[derive(Clone)]
pub struct LogSource {
    engine: Engine,
    shared: Arc<Shared>,
}

impl LogSource {
    /// The output of a task. With `follow`, one that has not been started yet is waited for.
    pub async fn open(&self, task: TaskId, options: &LogOptions) -> Result<LogStream, Error> {
        logs::open(&self.engine, &self.shared.directory, task, options).await
    }
}

/// A running agent. Dropped, it ends as by [`Handle::shutdown`].
pub struct Handle {
    config: Config,
    controller: Arc<Controller>,
    shared: Arc<Shared>,
    running: tokio::task::JoinHandle<()>,
    /// Nothing is ever sent: the agent ends when this is dropped.
    stop: oneshot::Sender<Infallible>,
    ending: watch::Receiver<Option<String>>,
}

impl Handle {
    /// The way to the output of this node's tasks, for whoever outlives the handle.
    pub fn log_source(&self) -> LogSource {
        LogSource {
            engine: self.config.engine.clone(),
            shared: self.shared.clone(),
        }
    }

    /// What the agent counts of its work.
    pub fn measures(&self) -> &Arc<Measures> {
        &self.shared.measures
    }

    /// Comes back if the agent ends by itself, which it does only when something is broken.
    pub async fn ended(&self) -> Error {
        let mut ending = self.ending.clone();
        match ending.wait_for(Option::is_some).await {
            Ok(reason) => Error::Ended(reason.clone().unwrap_or_default()),
            Err(_) => Error::Ended("it was shut down".to_owned()),
        }
    }

    /// Ends the agent and nothing else: all containers stay as they are.
    pub async fn shutdown(self) {
        drop(self.stop);
        let _ = self.running.await;
    }

    /// Ends the agent, removes the containers of all tasks of this node, and forgets them.
    pub async fn leave(self) -> Result<(), Error> {
        let Handle {
            config,
            controller,
            shared,
            ..
        } = self;
        drop(self.stop);
        let _ = self.running.await;
        // Listing waits for the engine's events, and whoever listened to them has just ended.
        tokio::select! {
            removed = remove_containers(&shared) => removed?,
            () = controller.watch() => {
                return Err(Error::Ended("engine events came to an end".to_owned()));
            }
        }
        shared.executor.clear();
        let path = config.data_dir.join("agent");
        std::fs::remove_dir_all(&path).map_err(|source| Error::Io {
            what: "remove",
            path,
            source,
        })
    }
}

/// More than once: a request that was on its way when the agent ended may have made one more.
async fn remove_containers(shared: &Shared) -> Result<(), Error> {
    let journalled = shared.journal(|journal| Ok(journal.containers()));
    let journalled = journalled.unwrap_or_default();
    for _ in 0..LEAVE_ROUNDS {
        let found = shared
            .executor
            .inventory(&journalled)
            .await
            .map_err(leave)?;
        if found.is_empty() {
            return Ok(());
        }
        let removals = found
            .iter()
            .map(|one| shared.executor.remove(&one.container));
        for removed in join_all(removals).await {
            removed.map_err(leave)?;
        }
    }
    Err(Error::Leave("there are ever more of them".to_owned()))
}

fn leave(failure: Failure) -> Error {
    Error::Leave(failure.to_string())
}
