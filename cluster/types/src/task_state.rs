//! The states of a task: the only place that orders them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a task is, or is wanted to be. The order is the life of a task; an observed and a desired
/// state only ever grow. Numbers follow swarmkit `api/types.proto`, so that they stay comparable.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Created.
    #[default]
    New = 0,
    /// Allocated; waits for a node.
    Pending = 64,
    /// Bound to a node.
    Assigned = 192,
    /// The node has taken it.
    Accepted = 256,
    /// Image and container are being made.
    Preparing = 320,
    /// Prepared; waits for leave to start.
    Ready = 384,
    /// Started; waits for its health check, if it has one.
    Starting = 448,
    /// Running (and healthy).
    Running = 512,
    /// Ended by itself with exit code 0.
    Complete = 576,
    /// Stopped on request.
    Shutdown = 640,
    /// Failed after it was started.
    Failed = 704,
    /// Failed before it was started, or refused by an enforcer.
    Rejected = 768,
    /// Only ever desired: stop, then forget.
    Remove = 800,
    /// Its node is gone for good.
    Orphaned = 832,
}

impl TaskState {
    /// All states, in order.
    pub const ALL: [TaskState; 14] = [
        TaskState::New,
        TaskState::Pending,
        TaskState::Assigned,
        TaskState::Accepted,
        TaskState::Preparing,
        TaskState::Ready,
        TaskState::Starting,
        TaskState::Running,
        TaskState::Complete,
        TaskState::Shutdown,
        TaskState::Failed,
        TaskState::Rejected,
        TaskState::Remove,
        TaskState::Orphaned,
    ];

    /// As an observed state: nothing will happen to this task any more.
    pub fn is_terminal(self) -> bool {
        self > TaskState::Running
    }

    /// As a desired state: the task is wanted to run now or later, or to run to its end.
    pub fn is_runnable(self) -> bool {
        self <= TaskState::Complete
    }

    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::New => "new",
            TaskState::Pending => "pending",
            TaskState::Assigned => "assigned",
            TaskState::Accepted => "accepted",
            TaskState::Preparing => "preparing",
            TaskState::Ready => "ready",
            TaskState::Starting => "starting",
            TaskState::Running => "running",
            TaskState::Complete => "complete",
            TaskState::Shutdown => "shutdown",
            TaskState::Failed => "failed",
            TaskState::Rejected => "rejected",
            TaskState::Remove => "remove",
            TaskState::Orphaned => "orphaned",
        }
    }

    /// The state of that name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_declaration_is_the_order_of_life() {
        let numbers: Vec<u16> = TaskState::ALL.iter().map(|s| *s as u16).collect();
        assert!(numbers.is_sorted());
        assert!(TaskState::ALL.is_sorted());
    }

    #[test]
    fn every_name_parses_back() {
        for state in TaskState::ALL {
            assert_eq!(
                TaskState::parse(&state.as_str().to_uppercase()),
                Some(state)
            );
        }
        assert_eq!(TaskState::parse("allocated"), None);
    }
}
