//! The manager's side of a session, as much of it as a test needs: it says what is wanted and keeps what is told.

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swarmrs_agent::Transport;
use swarmrs_rpc::session::local;
use swarmrs_rpc::{
    AssignmentSet, AssignmentsMessage, FromNode, ManagerEnd, NodeEnd, Position, ToNode,
};
use swarmrs_types::assignment::{Assignment, Order};
use swarmrs_types::object::TaskStatus;
use swarmrs_types::{TaskId, TaskState};
use tokio::sync::watch;

/// The tasks of the node and what is wanted of each.
type Wanted = Vec<(Arc<Order>, TaskState)>;

/// Outlives agents, as a manager does.
#[derive(Clone, Default)]
pub struct Manager {
    wanted: Arc<watch::Sender<Wanted>>,
    told: Arc<watch::Sender<BTreeMap<TaskId, TaskStatus>>>,
    index: Arc<Mutex<u64>>,
    /// Every state told of each task, in order.
    history: Arc<Mutex<BTreeMap<TaskId, Vec<TaskState>>>>,
}

#[async_trait]
impl Transport for Manager {
    async fn open(&self) -> NodeEnd {
        let (node, manager) = local();
        tokio::spawn(self.clone().serve(manager));
        node
    }
}

impl Manager {
    /// Wants this of a task from now on.
    pub fn want(&self, order: &Order, desired: TaskState) {
        self.wanted.send_modify(|wanted| {
            wanted.retain(|(one, _)| one.task != order.task);
            wanted.push((Arc::new(order.clone()), desired));
        });
    }

    /// Has never heard of it.
    pub fn forget(&self, task: TaskId) {
        self.wanted
            .send_modify(|wanted| wanted.retain(|(one, _)| one.task != task));
        self.told.send_modify(|told| {
            told.remove(&task);
        });
    }

    /// Has lost what nodes told of this task, as a new leader has of what is not in the log.
    pub fn lose_status(&self, task: TaskId) {
        self.told.send_modify(|told| {
            told.remove(&task);
        });
    }

    pub fn history(&self, task: TaskId) -> Vec<TaskState> {
        let history = self.history.lock().unwrap();
        history.get(&task).cloned().unwrap_or_default()
    }

    /// The status of a task once it is in this state.
    pub async fn told(&self, task: TaskId, state: TaskState) -> TaskStatus {
        let mut told = self.told.subscribe();
        let reached = told.wait_for(|told| told.get(&task).is_some_and(|one| one.state == state));
        match tokio::time::timeout(Duration::from_secs(60), reached).await {
            Ok(told) => told.unwrap()[&task].clone(),
            Err(_) => panic!("{task} not {state}: {:?}", self.told.borrow().get(&task)),
        }
    }

    async fn serve(self, mut end: ManagerEnd) {
        let mut wanted = self.wanted.subscribe();
        loop {
            let set = self.assignments();
            if end.send(set).await.is_err() {
                return;
            }
            loop {
                tokio::select! {
                    message = end.receive() => match message {
                        Some(message) => self.hear(message, &end).await,
                        None => return,
                    },
                    _ = wanted.changed() => break,
                }
            }
        }
    }

    fn assignments(&self) -> ToNode {
        let told = self.told.borrow().clone();
        let unknown = TaskStatus {
            state: TaskState::Assigned,
            ..TaskStatus::default()
        };
        let wanted = self.wanted.borrow().clone();
        let assignment = |(order, desired): (Arc<Order>, TaskState)| Assignment {
            status: told.get(&order.task).unwrap_or(&unknown).clone(),
            order,
            desired,
        };
        let set = AssignmentSet::Complete(wanted.into_iter().map(assignment).collect());
        let mut index = self.index.lock().unwrap();
        *index += 1;
        let position = Position {
            term: 1,
            index: *index,
        };
        ToNode::Assignments(AssignmentsMessage {
            position,
            leaderless: false,
            set,
            payloads: Default::default(),
            facts: Default::default(),
        })
    }

    async fn hear(&self, message: FromNode, end: &ManagerEnd) {
        let FromNode::Statuses(reports) = message else {
            return;
        };
        let tasks = reports.iter().map(|report| report.task).collect();
        for report in reports {
            let mut history = self.history.lock().unwrap();
            history
                .entry(report.task)
                .or_default()
                .push(report.status.state);
            self.told.send_modify(|told| {
                told.insert(report.task, report.status);
            });
        }
        // A node that is gone needs no acknowledgement.
        let _ = end.send(ToNode::Acknowledged(tasks)).await;
    }
}
