//! Tasks: one run of a service's container, never re-run and never moved.

use super::{Attached, Meta, SpecNumber, Unknown};
use crate::id::{NodeId, ServiceId, TaskId};
use crate::spec::{GenericResource, PortConfig};
use crate::task_state::TaskState;
use crate::time::{ClusterTime, Timestamp};
use serde::{Deserialize, Serialize};

/// One task. Small: its spec is found by service and number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    #[serde(default)]
    pub meta: Meta,
    pub service: ServiceId,
    pub spec: SpecNumber,
    /// 1 and up where slots are counted; 0 where the slot is the node.
    pub slot: u64,
    /// The run of a job it belongs to; none: its service is no job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<u64>,
    pub node: Option<NodeId>,
    pub desired: TaskState,
    pub status: TaskStatus,
    /// When it was made; orders the tasks of a slot.
    pub created: ClusterTime,
    /// Why it was made.
    pub origin: TaskOrigin,
    /// What holds a task desired READY back from starting; none: it starts when prepared.
    pub gate: Option<Gate>,
    /// When it was first seen running, and when it ended.
    pub running_since: Option<ClusterTime>,
    pub ended: Option<ClusterTime>,
    pub history: RestartHistory,
    /// What it was given of its node's generic resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<GenericResource>,
    /// The networks it is on, the ingress network first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Attached>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Task {
    /// The state the task is wanted in once nothing holds it back: a job's is to complete.
    pub fn goal(&self) -> TaskState {
        match self.iteration {
            Some(_) => TaskState::Complete,
            None => TaskState::Running,
        }
    }

    /// The task of a job that did its work: it stays as the record of that.
    pub fn is_done(&self) -> bool {
        self.iteration.is_some() && self.status.state == TaskState::Complete
    }

    /// The slot as users see it. Docker counts the slots of jobs from 0.
    pub fn shown_slot(&self) -> u64 {
        match self.iteration {
            Some(_) => self.slot.saturating_sub(1),
            None => self.slot,
        }
    }
}

/// Why a task was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskOrigin {
    /// The service wanted more.
    Scale,
    /// Another task of the slot ended.
    Restart,
    /// The service's spec changed.
    Update,
}

/// When a prepared task may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Not before this.
    pub not_before: ClusterTime,
    /// Not while this task may still run…
    pub after: Option<TaskId>,
    /// …but no longer than until this.
    pub patience: ClusterTime,
}

/// What the restart policy has to remember of a slot; handed from a task to its replacement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartHistory {
    /// When the slot was restarted with this spec; only kept if the policy limits attempts.
    pub restarts: Vec<ClusterTime>,
    /// Failures in a row, each soon after the start.
    pub quick_failures: u32,
}

/// What a node reported of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The reporter's wall clock.
    pub at: Timestamp,
    pub state: TaskState,
    pub message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub err: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerStatus>,
    /// Host-mode ports as the engine bound them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    pub id: String,
    pub pid: i64,
    pub exit_code: i64,
}
