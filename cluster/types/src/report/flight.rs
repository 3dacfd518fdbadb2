//! What the flight recorder keeps: ids, names, kinds, states and counts.
//!
//! Nothing of a spec, a payload or an engine's text has a field here, so none can get in; the one text
//! there is, a planned task's reason, is the planner's own. That is the whole of the redaction; whoever
//! adds a field keeps it true.

use crate::id::{NodeId, ServiceId, TaskId};
use crate::task_state::TaskState;
use serde::Serialize;
use std::borrow::Cow;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "Kind", rename_all_fields = "PascalCase")]
pub enum Flight {
    /// An applied entry of the log did this to an object.
    Event {
        index: u64,
        done: Done,
        #[serde(flatten)]
        subject: Subject,
    },
    /// The leader planned, and this came of it.
    Plan {
        changes: usize,
        guards: usize,
        outcome: Outcome,
        /// The first tasks of the plan, with why they are where they are.
        tasks: Vec<PlannedTask>,
    },
    /// The node became something else.
    Role {
        from: &'static str,
        to: &'static str,
    },
    /// The engine was found, or lost.
    Engine { state: &'static str },
    /// A session of this node's agent with its manager began or ended.
    Session { state: &'static str },
    /// A client changed something, or tried to.
    Write {
        /// The call's name, such as `ServiceUpdate`.
        call: &'static str,
        /// Id or name in the call's path.
        #[serde(skip_serializing_if = "String::is_empty")]
        object: String,
        status: u16,
        millis: u64,
    },
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Done {
    Created,
    Updated,
    Removed,
}

/// Which object, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    tag = "Object",
    rename_all = "lowercase",
    rename_all_fields = "PascalCase"
)]
pub enum Subject {
    Cluster {
        #[serde(rename = "ID")]
        id: String,
    },
    Node {
        #[serde(rename = "ID")]
        id: NodeId,
        hostname: String,
        state: &'static str,
    },
    Service {
        #[serde(rename = "ID")]
        id: ServiceId,
        name: String,
        /// The number of its spec.
        spec: u64,
        /// State of its update; empty if there was none.
        update: &'static str,
    },
    Task {
        #[serde(rename = "ID")]
        id: TaskId,
        service: ServiceId,
        slot: u64,
        node: Option<NodeId>,
        desired: TaskState,
        from: Option<TaskState>,
        state: TaskState,
    },
    /// Any other kind: an id and a name.
    Named {
        of: &'static str,
        #[serde(rename = "ID")]
        id: String,
        name: String,
    },
}

/// What came of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is this entry of the log.
    Committed(u64),
    /// Something had moved meanwhile.
    Rejected,
    /// The store did not take it.
    Failed,
}

/// A task in a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PlannedTask {
    #[serde(rename = "ID")]
    pub id: TaskId,
    pub service: ServiceId,
    pub node: Option<NodeId>,
    pub desired: TaskState,
    pub state: TaskState,
    /// The planner's own words, never those of an agent or an engine.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'static, str>,
}
