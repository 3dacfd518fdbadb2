//! What nodes say about themselves and each other outside of sessions.

use serde::{Deserialize, Serialize};
use swarmrs_types::NodeId;
use swarmrs_types::assignment::StatusReport;

/// A node leaves of its own will ([`Leave`](crate::Method::Leave)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaveRequest {}

/// The answer to a node that leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Left {}

/// A manager tells the leader which nodes it has sessions with ([`Presence`](crate::Method::Presence)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceReport {
    /// All of them, each heard just now: a session is open as long as its connection answers pings.
    pub nodes: Vec<NodeId>,
    /// The sessions that ended since the last report.
    pub ended: Vec<SessionEnded>,
    /// Whether the manager's disk is so full that it takes no commands.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_full: bool,
    /// The feature level that the manager's release knows.
    pub level: u32,
}

/// A session that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    pub node: NodeId,
    pub how: SessionEnd,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// The node ended it and means to be back.
    Goodbye,
    /// The connection broke.
    Reset,
    /// Nothing was heard for long.
    Silence,
    /// In a way of a newer release.
    #[serde(other)]
    Other,
}

/// The leader's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceTaken {
    /// The members of the quorum that answer the leader.
    pub reachable: Vec<u64>,
}

/// A manager tells another how far tasks are, where that is in no log ([`Statuses`](crate::Method::Statuses)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusesTold {
    /// The entry at which all these tasks are known.
    pub at: u64,
    pub reports: Vec<StatusReport>,
}

/// The answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusesKnown {
    /// Another one each time the manager starts: then it knows nothing of what it was told before.
    pub life: u64,
}
