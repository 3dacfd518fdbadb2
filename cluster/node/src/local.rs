//! What this node knows: its standing in the swarm, and the cluster as reads see it.

use crate::live::LiveStatuses;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use swarmrs_core::State as ClusterState;
use swarmrs_core::orchestrator::restart::explained;
use swarmrs_rpc::message::join::ManagerAddress;
use swarmrs_types::object::{Node, Task, TaskStatus};
use swarmrs_types::{NodeId, TaskId};

/// `LocalNodeState` of the Engine API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Inactive,
    Pending,
    Active,
    Error,
    Locked,
}

impl State {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Inactive => "inactive",
            State::Pending => "pending",
            State::Active => "active",
            State::Error => "error",
            State::Locked => "locked",
        }
    }
}

/// Where this node stands, for `/info` and `/_ping`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: State,
    pub node: Option<NodeId>,
    /// Address without port; empty outside a swarm.
    pub addr: String,
    /// Whether a manager runs here.
    pub manager: bool,
    /// Where the managers are, on a worker.
    pub managers: Vec<ManagerAddress>,
    /// Why the state is `error` or `locked`.
    pub error: String,
}

impl Standing {
    /// Outside any swarm.
    pub fn alone() -> Self {
        Standing {
            state: State::Inactive,
            node: None,
            addr: String::new(),
            manager: false,
            managers: Vec::new(),
            error: String::new(),
        }
    }
}

/// The agreed state with what only sessions know laid over it.
#[derive(Clone, Debug)]
pub struct ClusterView {
    pub state: Arc<ClusterState>,
    /// This node, and whether it leads.
    pub local: NodeId,
    pub leader: Option<NodeId>,
    live: Arc<BTreeMap<TaskId, TaskStatus>>,
    /// The members of the quorum that do not answer the leader.
    silent: Arc<BTreeSet<u64>>,
}

impl ClusterView {
    pub(crate) fn new(
        state: Arc<ClusterState>,
        local: NodeId,
        leader: Option<NodeId>,
        live: &LiveStatuses,
        silent: Arc<BTreeSet<u64>>,
    ) -> Self {
        ClusterView {
            state,
            local,
            leader,
            live: live.snapshot(),
            silent,
        }
    }

    /// A state as its log alone tells it, seen by no leader.
    pub fn of_log(state: Arc<ClusterState>, local: NodeId) -> Self {
        ClusterView::new(state, local, None, &LiveStatuses::default(), Arc::default())
    }

    /// Whether a manager answers the leader, as far as this one knows.
    pub fn is_reachable(&self, node: &Node) -> bool {
        let answers = |id: u64| !self.silent.contains(&id);
        node.id == self.local || self.leader == Some(node.id) || node.raft_id.is_some_and(answers)
    }

    /// A task's status as far as anybody knows it. Why a task is held its node does not know: that is added.
    pub fn status<'a>(&'a self, task: &'a Task) -> Cow<'a, TaskStatus> {
        match self.live.get(&task.id) {
            Some(live) if live.state <= task.status.state => Cow::Borrowed(&task.status),
            Some(live) if task.gate.is_some() => Cow::Owned(TaskStatus {
                message: explained(&live.message, task),
                ..live.clone()
            }),
            Some(live) => Cow::Borrowed(live),
            None => Cow::Borrowed(&task.status),
        }
    }
}
