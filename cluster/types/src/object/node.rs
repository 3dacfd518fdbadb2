//! Nodes.

use super::{Meta, Unknown};
use crate::id::{NetworkId, NodeId};
use crate::spec::{NodeDescription, NodeSpec, Role};
use crate::time::ClusterTime;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One node of the swarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    #[serde(default)]
    pub meta: Meta,
    pub spec: NodeSpec,
    /// The role its certificates are issued for; `spec.role` is the one wanted.
    pub role: Role,
    pub description: NodeDescription,
    pub status: NodeStatus,
    /// Where its manager listens for other nodes, `host:port`; none on a worker, and on a manager that
    /// is no member of the log yet or any more.
    pub manager_addr: Option<String>,
    /// The member of the log that its manager is. None in what a release that knew one manager wrote:
    /// the manager says it when it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raft_id: Option<u64>,
    /// The member that its manager asks to become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    /// It said that it leaves, and will not be back under this id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
    /// Unique among the nodes that are, from 1; 0: not given yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u16,
    /// Its own address on the ingress network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressAddress>,
    /// Where its data traffic comes from and goes to; none: the address the managers see it at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_path: Option<IpAddr>,
    /// Ranges that its host routes by itself, the default route left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<IpNet>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

fn is_zero(index: &u16) -> bool {
    *index == 0
}

/// A manager whose log is empty still, and that waits to be admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Drawn by it, never used before.
    pub raft_id: u64,
    /// Where it listens for other nodes, `host:port`.
    pub address: String,
}

/// A node's own address on a network, with the subnet's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressAddress {
    pub network: NetworkId,
    pub address: IpNet,
}

impl Node {
    /// A node that nothing was heard of yet, in the role that is wanted of it.
    pub fn new(id: NodeId, spec: NodeSpec) -> Self {
        Node {
            id,
            meta: Meta::default(),
            role: spec.role.clone(),
            spec,
            description: NodeDescription::default(),
            status: NodeStatus::default(),
            manager_addr: None,
            raft_id: None,
            candidate: None,
            left: false,
            index: 0,
            ingress: None,
            data_path: None,
            routes: Vec::new(),
            unknown: Unknown::new(),
        }
    }

    /// Where VXLAN frames of the node come from and go to, if its address is known as one.
    pub fn data_path(&self) -> Option<IpAddr> {
        self.data_path.or_else(|| self.status.addr.parse().ok())
    }
}

/// How the managers see a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    pub state: NodeState,
    pub message: String,
    /// The address the managers see it at, without a port.
    pub addr: String,
    /// Since when it is down; says nothing in another state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<ClusterTime>,
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
