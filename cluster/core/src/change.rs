//! The language of the log: objects written, with what their writer had read.
//!
//! A command is atomic: all its guards hold, or nothing of it happens. Guards are compared when the
//! entry is applied, on every manager alike, so a plan made on an older state cannot overwrite what
//! it never saw.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use swarmrs_types::object::{
    Attachment, Cluster, Config, Network, Node, Secret, Service, SpecNumber, SpecVersion, Task,
    TaskStatus,
};
use swarmrs_types::{
    AttachmentId, ClusterTime, ConfigId, NetworkId, NodeId, SecretId, ServiceId, TaskId, Timestamp,
};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Cluster time at which the leader proposed it.
    pub time: ClusterTime,
    /// The proposer's wall clock: objects are stamped with it.
    pub wall: Timestamp,
    /// Versions read but not written.
    pub guards: Vec<Guard>,
    pub changes: Vec<Change>,
}

/// The object must stand at this version still; 0: it must not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    pub key: Key,
    pub version: u64,
}

/// Names an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    Cluster,
    Node(NodeId),
    Service(ServiceId),
    Spec(ServiceId, SpecNumber),
    Task(TaskId),
    /// Before its network: a plan that removes both ends the leases first.
    Attachment(AttachmentId),
    Network(NetworkId),
    Secret(SecretId),
    Config(ConfigId),
}

/// An object of any kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    Cluster(Arc<Cluster>),
    Node(Arc<Node>),
    Service(Arc<Service>),
    Spec(Arc<SpecVersion>),
    Task(Arc<Task>),
    Network(Arc<Network>),
    Attachment(Arc<Attachment>),
    Secret(Arc<Secret>),
    Config(Arc<Config>),
}

impl Object {
    /// Its name in the tables.
    pub fn key(&self) -> Key {
        match self {
            Object::Cluster(_) => Key::Cluster,
            Object::Node(node) => Key::Node(node.id),
            Object::Service(service) => Key::Service(service.id),
            Object::Spec(spec) => Key::Spec(spec.service, spec.number),
            Object::Task(task) => Key::Task(task.id),
            Object::Network(network) => Key::Network(network.id),
            Object::Attachment(attachment) => Key::Attachment(attachment.id),
            Object::Secret(secret) => Key::Secret(secret.id),
            Object::Config(config) => Key::Config(config.id),
        }
    }
}

/// What an update or removal takes for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The object is new.
    Absent,
    /// The object stands at this version.
    Version(u64),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Create or replace.
    Put { object: Object, expect: Expect },
    /// Forget.
    Remove { key: Key, expect: Expect },
    /// What a node reported. Applies if the task is still there and not further on.
    Status { task: TaskId, status: TaskStatus },
}

/// A command whose guards did not hold: look again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejected {
    /// An object is at another version than its writer read.
    #[error("update out of sequence")]
    OutOfSequence(Key),
    /// The name belongs to another object.
    #[error("name conflicts with an existing object: {kind} {name} already exists")]
    NameTaken { kind: String, name: String },
    /// An address, subnet, VXLAN id or port belongs to another object.
    #[error("{what} is taken")]
    Taken { what: String },
    /// Whoever asked for it said before that he does not wait any more.
    #[error("request was given up")]
    Over,
}

/// What an applied command did to one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Cluster(Delta<Cluster>),
    Node(Delta<Node>),
    Service(Delta<Service>),
    Task(Delta<Task>),
    Network(Delta<Network>),
    Attachment(Delta<Attachment>),
    Secret(Delta<Secret>),
    Config(Delta<Config>),
}

impl Event {
    /// Whether it can move a task, a node or a network. Secrets and configs move nothing: they are read when
    /// a task that names them is told to its node.
    pub fn moves_tasks(&self) -> bool {
        !matches!(self, Event::Secret(_) | Event::Config(_))
    }
}

/// Before and after; one of both is always there.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta<T> {
    pub old: Option<Arc<T>>,
    pub new: Option<Arc<T>>,
}

impl<T> Delta<T> {
    /// The object as it is now, or as it was last.
    pub fn last(&self) -> Option<&Arc<T>> {
        self.new.as_ref().or(self.old.as_ref())
    }
}
