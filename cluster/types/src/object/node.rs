//! Nodes.

use super::{Meta, Unknown};
use crate::id::NodeId;
use crate::spec::{NodeDescription, NodeSpec, Role};
use serde::{Deserialize, Serialize};

/// One node of the swarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    #[serde(default)]
    pub meta: Meta,
    pub spec: NodeSpec,
    /// The role its certificate says; `spec.role` is the one wanted.
    pub role: Role,
    pub description: NodeDescription,
    pub status: NodeStatus,
    /// Where its manager listens for other nodes, `host:port`; none on a worker.
    pub manager_addr: Option<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How the managers see a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    pub state: NodeState,
    pub message: String,
    /// The address the managers see it at, without a port.
    pub addr: String,
}

/// Whether a node answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    #[default]
    Unknown,
    Down,
    Ready,
    Disconnected,
}

impl NodeState {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeState::Unknown => "unknown",
            NodeState::Down => "down",
            NodeState::Ready => "ready",
            NodeState::Disconnected => "disconnected",
        }
    }
}
