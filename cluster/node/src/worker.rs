//! A running worker: the agent, and what keeps it in touch with the managers.

use crate::config::Config;
use crate::lock::SharedKeys;
use crate::log_relay;
use crate::manager::agent_settings;
use crate::record::StartRecord;
use crate::renew;
use crate::role::Turn;
use crate::trust;
use crate::way::Way;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_agent::{Agent, LogSource, Networks};
use swarmrs_engine::Engine;
use swarmrs_rpc::{Notice, Roots};
use swarmrs_security::Role;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

/// After a certificate that was not had; then twice as long each time.
const RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Everything a worker runs.
pub struct Worker {
    pub record: StartRecord,
    pub keys: SharedKeys,
    pub way: Way,
    pub agent: swarmrs_agent::Handle,
    /// Whether a manager has taken a session since the worker was started.
    pub heard: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

/// What a worker stands on.
pub struct Footing {
    pub record: StartRecord,
    pub keys: SharedKeys,
    pub way: Way,
    /// Where it is said that the node is to be something else.
    pub turns: mpsc::UnboundedSender<Turn>,
}

impl Worker {
    /// Starts all of it; the managers may come later.
    pub fn start(
        config: &Config,
        engine: Engine,
        networks: Arc<Networks>,
        footing: Footing,
    ) -> Result<Worker, swarmrs_agent::Error> {
        let Footing {
            record,
            keys,
            way,
            turns,
        } = footing;
        let (notices, noticed) = mpsc::unbounded_channel();
        let mut settings = agent_settings(config, record.node, engine, networks);
        settings.tls_info = way.tls_info.subscribe();
        settings.notices = Some(notices);
        let agent = Agent::start(settings, way.clone())?;
        let (told, heard) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let logs = agent.log_source();
        tasks.spawn(heed(way.clone(), keys.clone(), logs, noticed, told, turns));
        info!(node = %record.node, "worker started");
        Ok(Worker {
            record,
            keys,
            way,
            agent,
            heard,
            tasks,
        })
    }

    /// Ends everything. Containers are left alone.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.agent.shutdown().await;
    }

    /// Removes this node's containers, then ends everything.
    pub async fn leave(mut self) {
        self.tasks.shutdown().await;
        if let Err(error) = self.agent.leave().await {
            error!(%error, "containers of this node's tasks may be left");
        }
    }
}

/// Does what managers say of the node itself, and renews its certificate in time.
async fn heed(
    way: Way,
    keys: SharedKeys,
    logs: LogSource,
    mut notices: mpsc::UnboundedReceiver<Notice>,
    told: watch::Sender<bool>,
    turns: mpsc::UnboundedSender<Turn>,
) {
    let mut bringing = JoinSet::new();
    // How long it waits after a certificate that was not had.
    let mut retry = None;
    // A time, or whoever is told something often would never look.
    let mut look = Instant::now();
    loop {
        while bringing.try_join_next().is_some() {}
        let renew = tokio::select! {
            notice = notices.recv() => match notice {
                Some(Notice::Managers(managers)) => {
                    way.managers.replace(managers);
                    told.send_replace(true);
                    false
                }
                Some(Notice::Renew) => true,
                Some(Notice::Roots(roots)) => {
                    trust_again(&way, &keys, &roots);
                    false
                }
                Some(Notice::Logs(notice)) => {
                    let credentials = way.credentials.clone();
                    bringing.spawn(log_relay::bring(logs.clone(), credentials, notice));
                    false
                }
                None => return,
            },
            () = tokio::time::sleep_until(look) => {
                look = Instant::now() + renew::next_look(&keys);
                retry.is_some() || renew::is_due(&keys)
            }
        };
        if !renew {
            continue;
        }
        match renew::ask(&way, &keys).await {
            // What follows ends this task too.
            Ok(Role::Manager) => drop(turns.send(Turn::Promoted)),
            Ok(Role::Worker) => retry = None,
            Err(error) => {
                warn!(%error, "no new certificate yet");
                let longer = |last: Duration| (last * 2).min(LONGEST_RETRY);
                retry = Some(retry.map_or(RETRY, longer));
            }
        }
        look = Instant::now() + retry.unwrap_or_else(|| renew::next_look(&keys));
    }
}

/// Trusts whom the managers say. That may have been read in a state that is behind what the node was told with its last
/// certificate; what does not lead to it is not kept.
fn trust_again(way: &Way, keys: &SharedKeys, roots: &Roots) {
    let kept = trust::keep_roots(keys, roots).and_then(|is_news| match is_news {
        true => way.show(&keys.get()).map(|()| true),
        false => Ok(false),
    });
    match kept {
        Ok(true) => info!("the swarm's roots are others now"),
        Ok(false) => {}
        Err(error) => warn!(%error, "roots that managers told are not kept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RandomIds;
    use crate::managers::KnownManagers;
    use async_trait::async_trait;
    use std::net::TcpListener;
    use std::time::SystemTime;
    use swarmrs_agent::Transport;
    use swarmrs_core::Ids as _;
    use swarmrs_rpc::NodeEnd;
    use swarmrs_rpc::message::join::ManagerAddress;
    use swarmrs_security::{Keystore, Lock, NodeCredentials, PrivateKey, RootCa, Subject};
    use swarmrs_types::NodeId;

    /// The way to no manager.
    struct Nowhere;

    #[async_trait]
    impl Transport for Nowhere {
        async fn open(&self) -> NodeEnd {
            std::future::pending().await
        }
    }

    /// Keys with a worker's certificate that should be renewed by now.
    fn due_keys(config: &Config) -> SharedKeys {
        let now = SystemTime::now();
        let ca = RootCa::create(now).unwrap();
        let key = PrivateKey::generate().unwrap();
        let subject = Subject {
            node_id: "node",
            role: Role::Worker,
            cluster_id: "cluster",
        };
        let hour = Duration::from_secs(3600);
        let certificate = ca.issue(&key.request().unwrap(), &subject, hour, now - hour * 5 / 6);
        let certificate = certificate.unwrap();
        let keystore = Keystore::open(&config.certificates()).unwrap();
        keystore.save_root(ca.cert()).unwrap();
        let keys = keystore.create_keys(Lock::default()).unwrap();
        keys.save_node(&NodeCredentials { certificate, key })
            .unwrap();
        SharedKeys::new(keys)
    }

    async fn logs(config: &Config) -> LogSource {
        let engine = Engine::connect(&config.swarm_root().join("no-engine.sock"));
        let networks = Arc::new(Networks::without_plane(engine.clone()));
        let settings = agent_settings(config, NodeId(RandomIds.next()), engine, networks);
        let agent = Agent::start(settings, Nowhere).unwrap();
        let logs = agent.log_source();
        agent.shutdown().await;
        logs
    }

    #[tokio::test]
    async fn whatever_else_a_worker_is_told_it_renews_its_certificate_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path());
        let keys = due_keys(&config);
        let manager = TcpListener::bind("127.0.0.1:0").unwrap();
        manager.set_nonblocking(true).unwrap();
        let way = Way::new(KnownManagers::load(&config).unwrap(), &keys.get()).unwrap();
        let managers = vec![ManagerAddress {
            address: manager.local_addr().unwrap().to_string(),
            ..ManagerAddress::default()
        }];
        way.managers.replace(managers.clone());
        let (notices, noticed) = mpsc::unbounded_channel();
        let (told, turns) = (watch::channel(false).0, mpsc::unbounded_channel().0);
        let heeding = heed(way, keys, logs(&config).await, noticed, told, turns);
        tokio::time::pause();
        let mut heeding = JoinSet::from_iter([heeding]);
        for _ in 0..10 {
            tokio::time::sleep(RETRY / 2).await;
            notices.send(Notice::Managers(managers.clone())).unwrap();
        }
        // Nobody answers, so it asks again.
        for _ in 0..2 {
            manager.accept().unwrap();
        }
        heeding.shutdown().await;
    }
}
