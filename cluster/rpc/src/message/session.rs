//! What a node and its manager say in a session.

use super::join::ManagerAddress;
use super::logs::LogsNotice;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use swarmrs_types::TaskId;
use swarmrs_types::assignment::{Assignment, AssignmentDiff, PayloadDiff, StatusReport};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::spec::NodeDescription;

/// How far a set of assignments has come: the term and index of the entry it reflects. Never goes
/// back for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    pub term: u64,
    pub index: u64,
}

/// From a manager to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToNode {
    Assignments(AssignmentsMessage),
    /// These reports need not be repeated.
    Acknowledged(Vec<TaskId>),
    Notice(Notice),
}

/// What concerns the node itself and none of its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// Where the managers are. First in each session, and again when it changes.
    Managers(Vec<ManagerAddress>),
    /// A new certificate is to be asked for: the node's role has changed, or the authority.
    Renew,
    /// Log lines of a task of this node are wanted.
    Logs(LogsNotice),
    /// Whom to trust. Said only to a node that trusts others; an earlier release does not know the word.
    Roots(Roots),
}

/// The swarm's roots, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Roots {
    pub root: String,
    /// The one that is to take its place and is trusted as well; none: empty.
    pub next: String,
}

/// What the node is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssignmentsMessage {
    pub position: Position,
    /// The manager hears no leader: it speaks for itself, and others may know better. Said otherwise once it hears one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaderless: bool,
    pub set: AssignmentSet,
    /// What these assignments may ask for and the node does not have. With a complete set it is all
    /// that the node is to have.
    #[serde(default)]
    pub payloads: PayloadDiff,
    /// What is new of the networks, to be in force before the assignments are acted on. With a
    /// complete set it is all that the node is to have.
    #[serde(default)]
    pub facts: FactDiff,
}

/// All of it, or what changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AssignmentSet {
    /// First in each session: whatever is not in it goes.
    Complete(Vec<Assignment>),
    Incremental(AssignmentDiff),
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub description: NodeDescription,
    /// Ranges that its host routes by itself, the default route left out.
    #[serde(default)]
    pub routes: Vec<IpNet>,
    /// What it was told last, by whichever manager: it cannot be told less.
    #[serde(default)]
    pub seen: Position,
}

/// From a node to its manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromNode {
    /// First in each session, and again when it changes.
    Hello(Box<Hello>),
    /// The latest status of each of these tasks.
    Statuses(Vec<StatusReport>),
}
