//! A running manager: the store and everything that stands on it, started and ended as one.

use crate::authority::finish;
use crate::ca_server::CaServer;
use crate::clock::ClusterClock;
use crate::config::Config;
use crate::desk::Desk;
use crate::dispatcher::{self, House, Peer};
use crate::fitness;
use crate::glance::Measures;
use crate::home::Home;
use crate::lane::Lane;
use crate::leader;
use crate::live::LiveStatuses;
use crate::local::ClusterView;
use crate::lock::{self, SharedKeys};
use crate::log_relay::{self, Expected, LogRelay};
use crate::presence::Presence;
use crate::quorum;
use crate::record::StartRecord;
use crate::recorder::Recorder;
use crate::renew;
use crate::role::{NodeError, Turn};
use crate::seat::Seat;
use crate::service::Answers;
use crate::status_relay::StatusRelay;
use crate::way::Way;
use async_trait::async_trait;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use swarmrs_agent::{Agent, LogSource, Networks, Transport};
use swarmrs_core::{State, roles};
use swarmrs_engine::Engine;
use swarmrs_rpc::{Keepalive, Limits, NodeEnd, Notice, RoleOf, Served, Server, ServerConfig};
use swarmrs_security::Role;
use swarmrs_store::{Batch, Store};
use swarmrs_types::NodeId;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

/// Between two looks at whether doubts are right.
const DOUBTS: std::time::Duration = std::time::Duration::from_secs(3);
/// How long calls of other nodes may take to their end.
const CALLS_END: std::time::Duration = std::time::Duration::from_millis(500);

/// Who is told what a manager does.
#[derive(Clone)]
pub struct Told {
    pub events: broadcast::Sender<Batch>,
    pub recorder: Arc<Recorder>,
    pub measures: Arc<Measures>,
}

/// Everything a manager runs.
pub struct Manager {
    pub desk: Arc<Desk>,
    pub record: StartRecord,
    pub live: Arc<LiveStatuses>,
    presence: Arc<Presence>,
    pub keys: SharedKeys,
    /// The way to the other managers.
    pub way: Way,
    /// Up to which version of the state the lock agreed on is in force on the disk.
    pub lock_in_force: watch::Receiver<u64>,
    /// Whether this manager is a member of the log.
    pub admitted: watch::Receiver<bool>,
    pub agent: swarmrs_agent::Handle,
    pub logs: Arc<LogRelay>,
    tasks: JoinSet<()>,
    server: Server,
    /// Last: the server's and the store's connections live on it.
    _lane: Lane,
}

/// What a manager stands on.
pub struct Ground {
    pub record: StartRecord,
    pub keys: SharedKeys,
    /// Open; of a lone manager, it leads.
    pub store: Arc<Store>,
    pub reserved: TcpListener,
    pub lane: Lane,
    pub way: Way,
    /// Where it is said that the node is to be something else.
    pub turns: mpsc::UnboundedSender<Turn>,
}

impl Manager {
    /// Starts all that stands on the ground.
    pub fn start(
        config: &Config,
        engine: Engine,
        networks: Arc<Networks>,
        ground: Ground,
        told: Told,
    ) -> Result<Manager, NodeError> {
        let Ground {
            record,
            keys,
            store,
            reserved,
            lane,
            way,
            turns,
        } = ground;
        let me = record.node;
        let (in_force, lock_in_force) = watch::channel(0);
        let clock = ClusterClock::start(store.view().time());
        let stamp = clock.clone();
        store.stamp_with(move || stamp.now());
        let live = Arc::new(LiveStatuses::default());
        let desk = Arc::new(Desk::new(store.clone(), clock.clone()));
        let (presence, notes) = Presence::new(me);
        let house = House {
            desk: desk.clone(),
            live: live.clone(),
            presence: presence.clone(),
            told: told.clone(),
        };
        let (sessions, opened) = mpsc::channel(1);
        let (notices, noticed) = mpsc::unbounded_channel();
        let mut settings = agent_settings(config, me, engine, networks);
        settings.tls_info = way.tls_info.subscribe();
        settings.notices = Some(notices);
        let own = &record.advertise_addr;
        let home = Home::new(sessions, store.clone(), way.clone(), own);
        let agent = Agent::start(settings, home)?;
        let logs = Arc::new(LogRelay {
            me,
            address: record.advertise_addr.clone(),
            own: agent.log_source(),
            presence: presence.clone(),
            credentials: way.credentials.clone(),
            expected: Expected::default(),
        });
        let credentials = way.credentials.clone();
        let statuses = StatusRelay::new(me, desk.clone(), live.clone(), credentials);
        let statuses = Arc::new(statuses);
        let answers = Arc::new(Answers {
            ca: CaServer::new(desk.clone(), way.credentials.clone()),
            house: house.clone(),
            credentials: way.credentials.clone(),
            logs: logs.clone(),
            statuses: statuses.clone(),
        });
        let server = serve(&store, reserved, &way, answers, &lane, me)
            .map_err(|source| listen_error(&record, source))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(narrate(
            store.clone(),
            clock.clone(),
            live.clone(),
            told.clone(),
        ));
        tasks.spawn(leader::run(
            store.clone(),
            clock.clone(),
            me,
            told.clone(),
            notes,
        ));
        tasks.spawn(quorum::run(desk.clone(), presence.clone(), record.raft_id));
        tasks.spawn(fitness::watch(desk.clone(), presence.clone()));
        tasks.spawn(
            presence
                .clone()
                .report(desk.clone(), way.credentials.clone()),
        );
        tasks.spawn(statuses.run());
        tasks.spawn(lock::follow(store.clone(), keys.clone(), in_force));
        tasks.spawn(renew::follow(desk.clone(), keys.clone(), way.clone(), me));
        tasks.spawn(finish::run(desk.clone()));
        let (told_admitted, admitted) = watch::channel(!record.newcomer);
        let seat = Seat {
            config: config.clone(),
            record: record.clone(),
            store: store.clone(),
            way: way.clone(),
            admitted: told_admitted,
        };
        tasks.spawn(seat.keep());
        tasks.spawn(heed(way.clone(), agent.log_source(), noticed));
        tasks.spawn(serve_sessions(house, me, opened));
        tasks.spawn(until_dismissed(store.clone(), way.doubts.clone(), turns));
        info!(node = %me, "manager started");
        Ok(Manager {
            desk,
            record,
            live,
            presence,
            keys,
            way,
            lock_in_force,
            admitted,
            agent,
            logs,
            tasks,
            server,
            _lane: lane,
        })
    }

    /// A state as reads see it.
    pub fn view(&self, state: Arc<State>) -> ClusterView {
        let leader = self.desk.store.leadership().borrow().leader.clone();
        let node = leader.and_then(|leader| state.node_of_member(leader.raft_id));
        let node = node.map(|node| node.id);
        let silent = self.presence.silent(&self.desk.store);
        ClusterView::new(state, self.record.node, node, &self.live, silent)
    }

    /// The members of the log, as this manager knows them.
    pub fn members(&self) -> Vec<roles::Member> {
        quorum::members(&self.desk.store, &self.presence.silent(&self.desk.store))
    }

    /// Ends everything in reverse. Containers are left alone, and another manager leads if one can.
    pub async fn stop(mut self) {
        self.hand_over().await;
        self.agent.shutdown().await;
        self.tasks.shutdown().await;
        self.server.shutdown(CALLS_END).await;
        close(&self.desk.store).await;
    }

    /// Removes this node's containers, then ends everything.
    pub async fn leave(mut self) {
        self.tasks.shutdown().await;
        if let Err(error) = self.agent.leave().await {
            error!(%error, "containers of this node's tasks may be left");
        }
        self.server.shutdown(CALLS_END).await;
        close(&self.desk.store).await;
    }

    async fn hand_over(&self) {
        if !self.desk.store.leadership().borrow().is_leader || self.desk.store.members().len() < 2 {
            return;
        }
        match self.desk.store.hand_over().await {
            Ok(leader) => info!(to = leader.address, "the lead is handed over"),
            Err(error) => warn!(%error, "nobody took the lead over"),
        }
    }
}

async fn close(store: &Store) {
    if let Err(error) = store.shutdown().await {
        error!(%error, "the store did not close cleanly");
    }
}

fn listen_error(record: &StartRecord, source: std::io::Error) -> NodeError {
    NodeError::Listen {
        addr: record.listen_addr.clone(),
        source,
    }
}

/// Hears the other nodes: the quorum on its lane, everything else here.
fn serve(
    store: &Arc<Store>,
    listener: TcpListener,
    way: &Way,
    answers: Arc<Answers>,
    lane: &Lane,
    me: NodeId,
) -> std::io::Result<Server> {
    let config = ServerConfig {
        listener,
        credentials: way.credentials.clone(),
        limits: Limits::default(),
        keepalive: Keepalive::default(),
        role_of: roles_of(store.clone(), me),
    };
    let general = Served {
        service: answers.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    let quorum = Served {
        service: answers,
        runtime: lane.handle(),
    };
    Server::start(config, general, quorum)
}

/// In which role the swarm has the node of a certificate. One whose node is not known is believed only if it
/// is a manager's, and only by a manager that hears no leader, or whose log does not reach to where it was let in itself:
/// what that one does not know it can learn from nobody else.
fn roles_of(store: Arc<Store>, me: NodeId) -> Arc<RoleOf> {
    Arc::new(move |identity| {
        let state = store.view();
        let node = identity.node_id.parse::<NodeId>().ok();
        match node.and_then(|id| state.nodes().get(&id)) {
            Some(node) if node.role == swarmrs_types::spec::Role::Manager => Some(Role::Manager),
            Some(_) => Some(Role::Worker),
            None if !state.nodes().contains(&me)
                || store.leadership().borrow().leader.is_none() =>
            {
                Some(identity.role).filter(|role| *role == Role::Manager)
            }
            None => None,
        }
    })
}

/// What every agent of this node is started with.
pub fn agent_settings(
    config: &Config,
    node: NodeId,
    engine: Engine,
    networks: Arc<Networks>,
) -> swarmrs_agent::Config {
    let (data, exec) = (config.swarm_root(), config.exec_root.clone());
    let mut settings = swarmrs_agent::Config::new(node, data, exec, engine, networks);
    settings.generic_resources = config.generic_resources.clone();
    settings.sockets = config.sockets.clone();
    settings.policy = config.policy.clone();
    settings
}

/// Says so when this manager is none any more, or others do not take it for one.
async fn until_dismissed(
    store: Arc<Store>,
    doubts: Arc<Notify>,
    turns: mpsc::UnboundedSender<Turn>,
) {
    let mut dismissed = store.dismissed();
    loop {
        tokio::select! {
            gone = dismissed.wait_for(|gone| *gone) => {
                if gone.is_ok() {
                    let _ = turns.send(Turn::Dismissed);
                }
                return;
            }
            () = doubts.notified() => {}
        }
        let _ = turns.send(Turn::Dismissed);
        // Whoever is late to hear of a promotion doubts it too.
        tokio::time::sleep(DOUBTS).await;
    }
}

/// Writes down where the managers are: should this one be none any more, it has to ask another. Log lines are asked for
/// where another manager has the session; new certificates and roots come to managers by the state.
async fn heed(way: Way, logs: LogSource, mut notices: mpsc::UnboundedReceiver<Notice>) {
    let mut bringing = JoinSet::new();
    while let Some(notice) = notices.recv().await {
        while bringing.try_join_next().is_some() {}
        match notice {
            Notice::Managers(managers) => way.managers.replace(managers),
            Notice::Logs(notice) => {
                let credentials = way.credentials.clone();
                bringing.spawn(log_relay::bring(logs.clone(), credentials, notice));
            }
            Notice::Renew | Notice::Roots(_) => {}
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
    let settings = agent_settings(config, node, engine, networks);
    let agent = Agent::start(settings, Nobody)?;
    agent.leave().await
}

/// Hands the log's events to whoever listens on this node.
async fn narrate(store: Arc<Store>, clock: ClusterClock, live: Arc<LiveStatuses>, told: Told) {
    let mut watch = store.watch();
    let leadership = store.leadership();
    while let Some(batch) = watch.next().await {
        let is_led = {
            let now = leadership.borrow();
            (!now.is_leader).then_some(now.leader.is_some())
        };
        if let Some(is_led) = is_led {
            clock.follow(batch.state.time(), is_led);
        }
        live.follow(&batch.events);
        told.recorder.note_events(batch.index, &batch.events);
        // Nobody listening is no error.
        let _ = told.events.send(batch);
    }
}

/// Serves the sessions that this node's own agent opens, one after the other.
async fn serve_sessions(
    house: House,
    node: NodeId,
    mut opened: mpsc::Receiver<swarmrs_rpc::ManagerEnd>,
) {
    while let Some(session) = opened.recv().await {
        let peer = Peer {
            node,
            addr: None,
            certified: None,
        };
        dispatcher::hold(&house, peer, session, None).await;
    }
}

/// No manager takes a session: the agent is told nothing and starts nothing.
struct Nobody;

#[async_trait]
impl Transport for Nobody {
    async fn open(&self) -> NodeEnd {
        std::future::pending().await
    }
}

/// Takes the address nodes will be awaited on, so that no other program gets it.
pub fn reserve(listen_addr: &str) -> std::io::Result<TcpListener> {
    let addr: SocketAddr = listen_addr.parse().map_err(std::io::Error::other)?;
    TcpListener::bind(addr)
}
