//! What nodes say about themselves and each other outside of sessions.

use serde::{Deserialize, Serialize};
use swarmrs_types::NodeId;

/// A node leaves of its own will ([`Leave`](crate::Method::Leave)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaveRequest {
    /// Even if the quorum is lost by it.
    pub force: bool,
}

/// The answer to a node that leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Left {}

/// A manager tells the leader which nodes it has sessions with ([`Presence`](crate::Method::Presence)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceReport {
    /// All of them.
    pub nodes: Vec<Heard>,
    /// The sessions that ended since the last report.
    pub ended: Vec<SessionEnded>,
}

/// A node that has a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    pub node: NodeId,
    /// How long ago it gave its last sign of life.
    #[serde(default)]
    pub millis_ago: u64,
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
    /// The term of the leader that took it.
    pub term: u64,
    /// The members of the quorum that answer the leader.
    pub reachable: Vec<u64>,
}
