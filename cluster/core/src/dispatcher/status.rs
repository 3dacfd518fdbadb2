//! Which of a node's reports are written to the log.
//!
//! Only what decides is: a task that runs, that ended, or whose error changed. The steps between
//! live in the node's session and are laid over reads.

use crate::change::Change;
use crate::plan::Plan;
use crate::state::State;
use swarmrs_types::assignment::StatusReport;
use swarmrs_types::object::Task;
use swarmrs_types::{NodeId, TaskState};

/// What came of a node's reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accepted {
    /// To be proposed.
    pub plan: Plan,
    /// To be kept in the session until the task goes on.
    pub live: Vec<StatusReport>,
    /// Not of this node, of no task that still exists, or of a state no node can see.
    pub refused: Vec<StatusReport>,
}

/// Sorts a node's reports. A node speaks only of its own tasks; what lies behind the state known
/// is dropped.
pub fn accept(state: &State, node: NodeId, reports: Vec<StatusReport>) -> Accepted {
    let mut accepted = Accepted::default();
    for report in reports {
        match state.tasks().get(&report.task) {
            Some(task) if task.node == Some(node) && is_a_nodes(report.status.state) => {
                sort(&mut accepted, task, report)
            }
            _ => accepted.refused.push(report),
        }
    }
    accepted
}

/// Whether a state is for nodes to report: the others are set or only wanted by managers.
fn is_a_nodes(state: TaskState) -> bool {
    (TaskState::Accepted..=TaskState::Rejected).contains(&state)
}

fn sort(accepted: &mut Accepted, task: &Task, report: StatusReport) {
    if report.status.state < task.status.state || report.status == task.status {
        return;
    }
    if decides(task, &report) {
        accepted.plan.changes.push(Change::Status {
            task: report.task,
            status: report.status,
        });
    } else {
        accepted.live.push(report);
    }
}

fn decides(task: &Task, report: &StatusReport) -> bool {
    report.status.state >= TaskState::Running || report.status.err != task.status.err
}

#[cfg(test)]
mod tests;
