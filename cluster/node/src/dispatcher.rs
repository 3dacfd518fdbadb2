//! The dispatcher: one node's session, from the manager's side.
//!
//! Assignments go out as the log moves. Reports come in, the latest of each task is kept, and what
//! decides is proposed: while one proposal is under way the next gathers, so a burst costs few
//! entries.

use crate::clock::ClusterClock;
use crate::local::LiveStatuses;
use crate::trouble::Trouble;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarmrs_core::dispatcher::payloads::Told;
use swarmrs_core::dispatcher::{assignment, endpoints, status};
use swarmrs_core::{Draft, Event, State};
use swarmrs_rpc::{
    AssignmentSet, AssignmentsMessage, FromNode, Hello, ManagerEnd, Position, ToNode,
};
use swarmrs_store::{Batch, ProposeError, Store, Watch};
use swarmrs_types::assignment::{PayloadDiff, StatusReport};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::object::NodeState;
use swarmrs_types::{NodeId, TaskId, Timestamp};
use tokio::task::JoinHandle;
use tracing::{info, warn};

const RETRY: Duration = Duration::from_millis(200);
/// Reports written in one entry.
const MOST_REPORTS: usize = 400;

/// Serves one session until the node or the store ends it.
pub async fn serve(
    store: Arc<Store>,
    clock: ClusterClock,
    node: NodeId,
    live: Arc<LiveStatuses>,
    session: ManagerEnd,
) {
    let watch = store.watch_for(Event::moves_tasks);
    let state = watch.view().clone();
    let dispatcher = Dispatcher {
        store,
        clock,
        node,
        live,
        session,
        watch,
        told: Told::default(),
        state: state.clone(),
        reports: BTreeMap::new(),
        writing: None,
    };
    dispatcher.serve().await;
}

struct Dispatcher {
    store: Arc<Store>,
    clock: ClusterClock,
    node: NodeId,
    live: Arc<LiveStatuses>,
    session: ManagerEnd,
    watch: Watch,
    /// Secrets and configs that the node has from this session.
    told: Told,
    /// What the node was told of networks follows from this state.
    state: Arc<State>,
    /// Reports not written yet, the latest of each task.
    reports: BTreeMap<TaskId, StatusReport>,
    writing: Option<JoinHandle<Vec<TaskId>>>,
}

impl Dispatcher {
    async fn serve(mut self) {
        let state = self.state.clone();
        let all = assignment::complete(&state, self.node).into_values();
        let (told, payloads) = Told::complete(&state, self.node);
        self.told = told;
        let facts = endpoints::complete(&state, self.node);
        let all = AssignmentSet::Complete(all.collect());
        if !self.assign(&state, all, payloads, facts).await {
            return;
        }
        while self.turn().await {}
    }

    /// One thing at a time: an entry, a message, or the end of a write.
    async fn turn(&mut self) -> bool {
        tokio::select! {
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
        self.live.follow(&batch.events);
        let diff = assignment::difference(&batch.state, self.node, &batch.events);
        let payloads = self.told.difference(&batch.state, self.node, &batch.events);
        let facts = endpoints::difference(&self.state, &batch.state, self.node, &batch.events);
        self.state = batch.state.clone();
        if diff.is_empty() && payloads.is_empty() && facts.is_empty() {
            return true;
        }
        let set = AssignmentSet::Incremental(diff);
        self.assign(&batch.state, set, payloads, facts).await
    }

    async fn assign(
        &mut self,
        state: &State,
        set: AssignmentSet,
        payloads: PayloadDiff,
        facts: FactDiff,
    ) -> bool {
        let position = Position {
            term: self.store.leadership().borrow().term,
            index: state.applied(),
        };
        let message = ToNode::Assignments(AssignmentsMessage {
            position,
            set,
            payloads,
            facts,
        });
        self.session.send(message).await.is_ok()
    }

    async fn hear(&mut self, message: FromNode) -> bool {
        match message {
            FromNode::Hello(hello) => {
                register(&self.store, self.clock, self.node, *hello).await;
                true
            }
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
        let (store, clock, node) = (self.store.clone(), self.clock, self.node);
        let live = self.live.clone();
        self.writing = Some(tokio::spawn(async move {
            record(&store, clock, node, &live, reports).await
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
    clock: ClusterClock,
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
        live.keep(accepted.live);
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

/// Notes that the node is here, and what it says of itself.
async fn register(store: &Store, clock: ClusterClock, id: NodeId, hello: Hello) {
    let mut trouble = Trouble::default();
    loop {
        let state = store.view();
        let Some(old) = state.nodes().get(&id) else {
            warn!(node = %id, "session of a node that is not in the swarm");
            return;
        };
        let mut node = (**old).clone();
        node.description = hello.description.clone();
        node.routes.clone_from(&hello.routes);
        node.status.state = NodeState::Ready;
        node.status.message.clear();
        if node == **old {
            return;
        }
        if old.status.state != NodeState::Ready {
            info!(node = %id, from = old.status.state.as_str(), to = "ready", "node state");
        }
        let mut draft = Draft::new(&state, clock.now());
        draft.put_node(node);
        let command = draft.finish().into_command(clock.now(), Timestamp::now());
        match store.propose(command).await {
            Ok(_) | Err(ProposeError::Closed) => return,
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
