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
    /// All of them, each heard of within the last beat.
    pub nodes: Vec<NodeId>,
    /// Those whose session ended since the last report because their process is gone.
    pub gone: Vec<NodeId>,
}

/// The leader's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceTaken {
    /// The term of the leader that took it.
    pub term: u64,
}
