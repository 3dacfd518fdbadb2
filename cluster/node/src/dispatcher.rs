//! The dispatcher: one node's session, from the manager's side.
//!
//! Any manager serves any node, from the state it has. A node that was told more already is served once
//! that much is known here; one that was told nothing less is told everything first.
//!
//! Assignments go out as the log moves. Reports come in, the latest of each task is kept, and what
//! decides is proposed: while one proposal is under way the next gathers, so a burst costs few
//! entries.

use crate::ca_server::managers;
use crate::clock::ClusterClock;
use crate::desk::Desk;
use crate::live::LiveStatuses;
use crate::manager;
use crate::presence::{Presence, Present};
use crate::trouble::Trouble;
use crate::trust;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarmrs_core::control::swarm::authority::must_change;
use swarmrs_core::dispatcher::payloads::Told;
use swarmrs_core::dispatcher::{assignment, endpoints, status};
use swarmrs_core::roles::must_renew;
use swarmrs_core::{Draft, Event, State};
use swarmrs_rpc::message::control::SessionEnd;
use swarmrs_rpc::message::join::ManagerAddress;
use swarmrs_rpc::{
    AssignmentSet, AssignmentsMessage, FromNode, Hello, Line, ManagerEnd, Notice, Position, Roots,
    ToNode,
};
use swarmrs_store::{Batch, Differing, Leadership, ProposeError, Store, Watch};
use swarmrs_types::assignment::{AssignmentDiff, PayloadDiff, StatusReport};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::object::{CertIssuer, Node, NodeState};
use swarmrs_types::report::Flight;
use swarmrs_types::spec::Role;
use swarmrs_types::{NodeId, TaskId, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

const RETRY: Duration = Duration::from_millis(200);
/// A session whose node does not say who it is by then is of no use.
const GREETING: Duration = Duration::from_secs(10);
/// How long a node waits for a manager to learn what it was told by another.
const CATCH_UP: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Without a leader for so long a session ends. An election takes less.
const LEADERLESS: Duration = Duration::from_secs(1);
/// Reports written in one entry.
const MOST_REPORTS: usize = 400;

/// What sessions are served with.
#[derive(Clone)]
pub struct House {
    pub desk: Arc<Desk>,
    pub live: Arc<LiveStatuses>,
    pub presence: Arc<Presence>,
    pub told: manager::Told,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    pub node: NodeId,
    /// The address it was seen at; none: it is this node itself.
    pub addr: Option<IpAddr>,
    /// By its certificate; none: it is this node itself, which looks after its own.
    pub certified: Option<Role>,
}

/// Holds one session until the node or the store ends it. Meanwhile the node counts as heard; `line` is what it
/// speaks over, if it is another machine.
///
/// Only from its hello on: a node that dials several managers speaks to one, and what it lets go of is no end of a session.
pub async fn hold(house: &House, peer: Peer, mut session: ManagerEnd, line: Option<&Line>) {
    let node = peer.node;
    let Some(hello) = greeted(&mut session).await else {
        return debug!(%node, "a session without a hello");
    };
    let told = &house.told;
    told.measures.sessions_opened.add(1);
    told.recorder.note(&Flight::Session { state: "opened" });
    let mut present = house.presence.enter(node);
    serve(house, peer, session, hello, &mut present).await;
    if let Some(how) = line.and_then(Line::ended) {
        present.ending = how;
    }
    debug!(%node, how = ?present.ending, "session over");
    drop(present);
    told.measures.sessions_closed.add(1);
    told.recorder.note(&Flight::Session { state: "closed" });
}

/// `present` tells what else the node is to be told.
async fn serve(
    house: &House,
    peer: Peer,
    session: ManagerEnd,
    hello: Hello,
    present: &mut Present,
) {
    let (store, clock) = (house.desk.store.clone(), house.desk.clock.clone());
    let live = house.live.clone();
    if store.differing().borrow().is_some() {
        return debug!(node = %peer.node, "this manager has nothing to tell: its state is not the leader's");
    }
    let seen = hello.seen.index;
    if !reaches(&store, seen).await {
        return warn!(node = %peer.node, seen, "this manager is behind what the node was told");
    }
    let registered = register(&store, &clock, &peer, hello);
    if !registered.await {
        return;
    }
    let watch = store.watch_for(Event::moves_tasks);
    let dispatcher = Dispatcher {
        store,
        clock,
        peer,
        live,
        session,
        state: watch.view().clone(),
        watch,
        told: Told::default(),
        managers: Vec::new(),
        roots: None,
        asked: None,
        reports: BTreeMap::new(),
        writing: None,
        leaderless: false,
    };
    dispatcher.serve(present).await;
}

/// The first thing a node says.
async fn greeted(session: &mut ManagerEnd) -> Option<Hello> {
    match tokio::time::timeout(GREETING, session.receive()).await {
        Ok(Some(FromNode::Hello(hello))) => Some(*hello),
        _ => None,
    }
}

/// Waits until as much is applied here.
async fn reaches(store: &Store, index: u64) -> bool {
    let reach = async {
        while store.view().applied() < index {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(CATCH_UP, reach).await.is_ok()
}

struct Dispatcher {
    store: Arc<Store>,
    clock: ClusterClock,
    peer: Peer,
    live: Arc<LiveStatuses>,
    session: ManagerEnd,
    watch: Watch,
    /// Secrets and configs that the node has from this session.
    told: Told,
    /// What the node was told of networks follows from this state.
    state: Arc<State>,
    /// The managers that the node was told of.
    managers: Vec<ManagerAddress>,
    /// The roots that it was told of or has.
    roots: Option<Roots>,
    /// For which role and of which authority it was told to have a certificate.
    asked: Option<(Role, CertIssuer)>,
    /// Reports not written yet, the latest of each task.
    reports: BTreeMap<TaskId, StatusReport>,
    writing: Option<JoinHandle<Vec<TaskId>>>,
    /// Whether this manager heard no leader when it told the node last what to do.
    leaderless: bool,
}

impl Dispatcher {
    async fn serve(mut self, present: &mut Present) {
        let state = self.state.clone();
        let node = self.peer.node;
        let all = assignment::complete(&state, node).into_values();
        let (told, payloads) = Told::complete(&state, node);
        self.told = told;
        let facts = endpoints::complete(&state, node);
        let all = AssignmentSet::Complete(all.collect());
        if !self.notify(&state).await || !self.assign(&state, all, payloads, facts).await {
            return;
        }
        let mut leadership = self.store.leadership();
        while self.turn(&mut leadership, &mut present.notices).await {}
        // One that is ended here finds another manager.
        present.ending = self.session.ending().unwrap_or(SessionEnd::Goodbye);
    }

    /// One thing at a time: an entry, a message, or the end of a write. A manager that hears of no leader has
    /// nothing new to say, and others may: the node is let go, be it its own.
    async fn turn(
        &mut self,
        leadership: &mut watch::Receiver<Leadership>,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> bool {
        // Where there is but one node there is nobody else to go to.
        let has_others = self.state.nodes().len() > 1;
        tokio::select! {
            () = leaderless(leadership), if has_others => false,
            () = differs(self.store.differing()) => false,
            () = led(self.store.leadership()), if self.leaderless => self.confirm().await,
            notice = notices.recv() => match notice {
                Some(notice) => self.tell(notice).await,
                // A newer session of the node has taken its place.
                None => false,
            },
            batch = self.watch.next() => match batch {
                Some(batch) => self.follow(batch).await,
                None => false,
            },
            message = self.session.receive() => match message {
                Some(message) => self.hear(message).await,
                None => false,
            },
            written = written(&mut self.writing) => self.acknowledge(written).await,
        }
    }

    async fn follow(&mut self, batch: Batch) -> bool {
        let node = self.peer.node;
        let concerns = |event: &Event| matches!(event, Event::Node(_) | Event::Cluster(_));
        if batch.events.iter().any(concerns) && !self.notify(&batch.state).await {
            return false;
        }
        let diff = assignment::difference(&batch.state, node, &batch.events);
        let payloads = self.told.difference(&batch.state, node, &batch.events);
        let facts = endpoints::difference(&self.state, &batch.state, node, &batch.events);
        self.state = batch.state.clone();
        if diff.is_empty() && payloads.is_empty() && facts.is_empty() {
            return true;
        }
        let set = AssignmentSet::Incremental(diff);
        self.assign(&batch.state, set, payloads, facts).await
    }

    /// What the node was told last holds: there is a leader.
    async fn confirm(&mut self) -> bool {
        let nothing = AssignmentSet::Incremental(AssignmentDiff::default());
        let state = self.state.clone();
        self.assign(&state, nothing, PayloadDiff::default(), FactDiff::default())
            .await
    }

    /// Tells the node what is new of itself and of the managers. False if it is none of the swarm any more.
    async fn notify(&mut self, state: &State) -> bool {
        let Some(node) = state.nodes().get(&self.peer.node) else {
            info!(node = %self.peer.node, "session of a node that was removed is closed");
            return false;
        };
        let managers = managers(state);
        if managers != self.managers {
            self.managers.clone_from(&managers);
            if !self.tell(Notice::Managers(managers)).await {
                return false;
            }
        }
        self.notify_of_trust(state, node).await
    }

    /// Tells a node whose roots or certificate are others than the swarm's by now; once, for it goes on by itself. This
    /// node itself looks after its own.
    async fn notify_of_trust(&mut self, state: &State, node: &Node) -> bool {
        let (Some(certified), Some(cluster)) = (self.peer.certified.clone(), state.cluster())
        else {
            return true;
        };
        let roots = trust::roots_of(cluster);
        let has = || Roots {
            root: node.description.tls_info.trust_root.clone(),
            next: String::new(),
        };
        if self.roots.take().unwrap_or_else(has) != roots
            && !self.tell(Notice::Roots(roots.clone())).await
        {
            return false;
        }
        self.roots = Some(roots);
        let is_due =
            must_renew(node, &certified) || must_change(cluster, &node.description.tls_info);
        let wanted = is_due.then(|| (node.role.clone(), cluster.issuer().clone()));
        let is_news = wanted.is_some() && wanted != self.asked;
        self.asked = wanted;
        !is_news || self.tell(Notice::Renew).await
    }

    async fn tell(&self, notice: Notice) -> bool {
        self.session.send(ToNode::Notice(notice)).await.is_ok()
    }

    async fn assign(
        &mut self,
        state: &State,
        set: AssignmentSet,
        payloads: PayloadDiff,
        facts: FactDiff,
    ) -> bool {
        let leadership = self.store.leadership().borrow().clone();
        self.leaderless = leadership.leader.is_none();
        let position = Position {
            term: leadership.term,
            index: state.applied(),
        };
        let message = ToNode::Assignments(AssignmentsMessage {
            position,
            leaderless: self.leaderless,
            set,
            payloads,
            facts,
        });
        self.session.send(message).await.is_ok()
    }

    async fn hear(&mut self, message: FromNode) -> bool {
        match message {
            FromNode::Hello(hello) => register(&self.store, &self.clock, &self.peer, *hello).await,
            FromNode::Statuses(reports) => {
                self.gather(reports);
                self.write();
                true
            }
        }
    }

    /// Keeps the latest report of each task: states never go back.
    fn gather(&mut self, reports: Vec<StatusReport>) {
        for report in reports {
            let known = self.reports.get(&report.task);
            if known.is_none_or(|known| known.status.state <= report.status.state) {
                self.reports.insert(report.task, report);
            }
        }
    }

    /// Starts writing what was gathered, unless a write is under way.
    fn write(&mut self) {
        if self.writing.is_some() || self.reports.is_empty() {
            return;
        }
        let mut reports = Vec::new();
        while reports.len() < MOST_REPORTS {
            let Some((_, report)) = self.reports.pop_first() else {
                break;
            };
            reports.push(report);
        }
        let (store, clock, node) = (self.store.clone(), self.clock.clone(), self.peer.node);
        let live = self.live.clone();
        self.writing = Some(tokio::spawn(async move {
            record(&store, &clock, node, &live, reports).await
        }));
    }

    async fn acknowledge(&mut self, tasks: Vec<TaskId>) -> bool {
        self.writing = None;
        let sent = self.session.send(ToNode::Acknowledged(tasks)).await.is_ok();
        self.write();
        sent
    }
}

/// Waits for the write under way; for ever if there is none.
async fn written(writing: &mut Option<JoinHandle<Vec<TaskId>>>) -> Vec<TaskId> {
    match writing {
        Some(write) => write.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

/// Writes reports until the log has them. Returns the tasks whose reports are settled.
async fn record(
    store: &Store,
    clock: &ClusterClock,
    node: NodeId,
    live: &LiveStatuses,
    reports: Vec<StatusReport>,
) -> Vec<TaskId> {
    let tasks = reports.iter().map(|report| report.task).collect();
    let mut trouble = Trouble::default();
    loop {
        let accepted = status::accept(&store.view(), node, reports.clone());
        for report in &accepted.refused {
            warn!(task = %report.task, state = %report.status.state, "report of an unknown task");
        }
        live.hear(|| store.view(), accepted.live);
        if accepted.plan.is_empty() {
            return tasks;
        }
        let command = accepted.plan.into_command(clock.now(), Timestamp::now());
        match store.propose(command).await {
            Ok(_) => return tasks,
            Err(ProposeError::Closed) => return Vec::new(),
            Err(error) => {
                if trouble.is_news(&error, Instant::now()) {
                    warn!(%error, "task statuses not written yet");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Comes back once there is a leader.
async fn led(mut leadership: watch::Receiver<Leadership>) {
    let found = leadership.wait_for(|now| now.leader.is_some());
    if found.await.is_err() {
        // The store is closing, and with it the session.
        std::future::pending::<()>().await;
    }
}

/// Comes back once the state of this manager is known not to be the leader's.
async fn differs(mut differing: watch::Receiver<Option<Differing>>) {
    let found = differing.wait_for(Option::is_some);
    if found.await.is_err() {
        // The store is closing, and with it the session.
        std::future::pending::<()>().await;
    }
}

/// Comes back once nobody has led for a while.
pub async fn leaderless(leadership: &mut watch::Receiver<Leadership>) {
    loop {
        if leadership
            .wait_for(|now| now.leader.is_none())
            .await
            .is_err()
        {
            return;
        }
        let led = leadership.wait_for(|now| now.leader.is_some());
        if tokio::time::timeout(LEADERLESS, led).await.is_err() {
            return;
        }
    }
}

/// Notes that the node is here, and what it says of itself. False if it does not belong here.
async fn register(store: &Store, clock: &ClusterClock, peer: &Peer, hello: Hello) -> bool {
    let id = peer.node;
    let mut trouble = Trouble::default();
    loop {
        let state = store.view();
        let Some(old) = state.nodes().get(&id).filter(|node| !node.left) else {
            warn!(node = %id, "session of a node that is not in the swarm");
            return false;
        };
        let mut node = (**old).clone();
        node.description = hello.description.clone();
        node.routes.clone_from(&hello.routes);
        node.status.state = NodeState::Ready;
        node.status.message.clear();
        if let Some(addr) = peer.addr
            && node.manager_addr.is_none()
        {
            node.status.addr = addr.to_string();
        }
        if node == **old {
            return true;
        }
        let mut draft = Draft::new(&state, clock.now());
        draft.put_node(node);
        let command = draft.finish().into_command(clock.now(), Timestamp::now());
        match store.propose(command).await {
            Ok(_) => return true,
            Err(ProposeError::Closed) => return false,
            Err(ProposeError::Rejected(_)) => {}
            Err(error) => {
                if trouble.is_news(&error, Instant::now()) {
                    warn!(%error, "node not registered yet");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
