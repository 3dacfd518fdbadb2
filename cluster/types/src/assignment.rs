//! What a node is told to do, and what it tells back.
//!
//! A node gets its whole set once per session and differences after that. It never sees the
//! cluster's objects: an [`Order`] is all it needs to make one container.

use crate::id::{ConfigId, NetworkId, NodeId, SecretId, ServiceId, TaskId};
use crate::object::{Attached, RegistryAuth, TaskStatus};
use crate::spec::{
    ContainerSpec, Data, Driver, GenericResource, Labels, NetworkSpec, PortConfig, TaskSpec,
};
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
    /// As users see it; 0 where the node takes its place.
    pub slot: u64,
    pub node: NodeId,
    pub service: ServiceId,
    pub service_name: String,
    pub service_labels: Labels,
    pub spec: TaskSpec,
    /// Ports published on this node.
    pub ports: Vec<PortConfig>,
    /// What it was given of this node's generic resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<GenericResource>,
    /// The networks of the swarm that the task is on, the ingress network first; those of the engine
    /// alone stand in `spec`, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Attached>,
    /// Of those of the engine, what the swarm knows and this node makes for its tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_local: Vec<NodeLocal>,
    pub registry_auth: Option<RegistryAuth>,
}

/// A network of the swarm that is each engine's own: none but its name is the same everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeLocal {
    pub id: NetworkId,
    pub spec: NetworkSpec,
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

/// Names what a task can be given as a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadId {
    Secret(SecretId),
    Config(ConfigId),
}

impl PayloadId {
    /// What a container refers to, secrets first. What is no id refers to nothing.
    pub fn of(container: &ContainerSpec) -> impl Iterator<Item = PayloadId> {
        let secrets = container.secrets.iter();
        let secrets = secrets.filter_map(|one| one.secret_id.parse().ok().map(PayloadId::Secret));
        let configs = container.configs.iter();
        let configs = configs.filter_map(|one| one.config_id.parse().ok().map(PayloadId::Config));
        secrets.chain(configs)
    }
}

/// The content of a secret or config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    pub id: PayloadId,
    pub data: Data,
    /// The language that the content is written in, if it is to be expanded.
    pub templating: Option<Driver>,
}

/// What changed of the payloads that a node's tasks may ask for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PayloadDiff {
    /// New to the node.
    pub add: Vec<Payload>,
    /// No task of the node needs them any more.
    pub forget: Vec<PayloadId>,
}

impl PayloadDiff {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.forget.is_empty()
    }
}

/// One task's status as its node reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    pub task: TaskId,
    pub status: TaskStatus,
}
