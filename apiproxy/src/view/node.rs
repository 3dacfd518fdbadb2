//! `Node` of the API.

use serde::Serialize;
use swarmrs_types::object;
use swarmrs_types::spec::{NodeDescription, NodeSpec};

use super::Head;

/// One node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Node<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    spec: &'a NodeSpec,
    description: &'a NodeDescription,
    status: Status<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manager_status: Option<ManagerStatus<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Status<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    addr: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ManagerStatus<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    leader: bool,
    reachability: &'static str,
    addr: &'a str,
}

/// How a manager stands among managers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rank {
    /// It leads.
    pub leader: bool,
    /// It answers the leader.
    pub reachable: bool,
}

/// Shows a node; a worker's rank does not count.
pub fn node(node: &object::Node, rank: Rank) -> Node<'_> {
    Node {
        head: Head::new(node.id.as_str(), node.meta),
        spec: &node.spec,
        description: &node.description,
        status: Status {
            state: node.status.state.as_str(),
            message: &node.status.message,
            addr: &node.status.addr,
        },
        manager_status: node.manager_addr.as_deref().map(|addr| ManagerStatus {
            leader: rank.leader,
            reachability: match rank.reachable {
                true => "reachable",
                false => "unreachable",
            },
            addr,
        }),
    }
}
