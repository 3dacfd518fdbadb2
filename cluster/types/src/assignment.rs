//! What a node is told to do, and what it tells back.
//!
//! A node gets its whole set once per session and differences after that. It never sees the
//! cluster's objects: an [`Order`] is all it needs to make one container.

use crate::id::{NodeId, ServiceId, TaskId};
use crate::object::{RegistryAuth, TaskStatus};
use crate::spec::{Labels, PortConfig, TaskSpec};
use crate::task_state::TaskState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One task of a node: what it is and what is wanted of it now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    pub order: Arc<Order>,
    pub desired: TaskState,
    /// The status the managers last accepted; a node that knows better says so.
    pub status: TaskStatus,
}

/// Everything about a task that never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub task: TaskId,
    /// The task's name, which is the container's: `web.1.<task id>`.
    pub name: String,
    pub slot: u64,
    pub node: NodeId,
    pub service: ServiceId,
    pub service_name: String,
    pub service_labels: Labels,
    pub spec: TaskSpec,
    /// Ports published on this node.
    pub ports: Vec<PortConfig>,
    pub registry_auth: Option<RegistryAuth>,
}

/// The tasks of a node by id.
pub type Assignments = BTreeMap<TaskId, Assignment>;

/// What changed for a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssignmentDiff {
    /// New, or wanted differently.
    pub update: Vec<Assignment>,
    /// Forgotten by the cluster: the container goes.
    pub remove: Vec<TaskId>,
}

impl AssignmentDiff {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.update.is_empty() && self.remove.is_empty()
    }
}

/// One task's status as its node reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    pub task: TaskId,
    pub status: TaskStatus,
}
