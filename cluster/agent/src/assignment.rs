//! What a node knows of its assignments, and what a message changes in it. Pure.
//!
//! A session begins with a complete set and goes on with differences. Positions never go back, across sessions too; a
//! desired state never falls.

use std::collections::BTreeMap;
use swarmrs_rpc::{AssignmentSet, AssignmentsMessage, Position};
use swarmrs_types::assignment::{Assignment, PayloadDiff};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::object::TaskStatus;
use swarmrs_types::{TaskId, TaskState};

/// The tasks assigned to this node and what is wanted of each.
#[derive(Debug, Default)]
pub struct Known {
    position: Position,
    in_session: bool,
    desired: BTreeMap<TaskId, TaskState>,
}

/// What a message asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orders {
    /// Nothing was asked for: there has been no manager for long, and what is not to run without one stops.
    pub alone: bool,
    /// The set was complete: what is not in it, and not started by it, is nobody's.
    pub complete: bool,
    pub start: Vec<Assignment>,
    /// Tasks already known that are wanted differently.
    pub update: Vec<(TaskId, TaskState)>,
    pub remove: Vec<TaskId>,
    /// What the tasks may ask for; if the set was complete, all of it.
    pub payloads: PayloadDiff,
    /// What is new of the networks; if the set was complete, all of it.
    pub facts: FactDiff,
    /// What the managers last accepted of the tasks in the message.
    pub accepted: Vec<(TaskId, TaskStatus)>,
}

/// Why a message is not followed; the session that sent it is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("assignments at {told:?} after {known:?}")]
    Stale { told: Position, known: Position },
    #[error("a difference before a complete set")]
    Unfounded,
}

impl Known {
    /// A session begins: its first message must be complete.
    pub fn begin_session(&mut self) {
        self.in_session = false;
    }

    /// What the newest message reflected.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Takes a message in and says what is to be done.
    pub fn take(&mut self, message: AssignmentsMessage) -> Result<Orders, Refused> {
        if message.position < self.position {
            return Err(Refused::Stale {
                told: message.position,
                known: self.position,
            });
        }
        let mut orders = match message.set {
            AssignmentSet::Complete(assignments) => self.replace(assignments),
            AssignmentSet::Incremental(_) if !self.in_session => return Err(Refused::Unfounded),
            AssignmentSet::Incremental(diff) => self.change(diff.update, diff.remove),
        };
        orders.payloads = message.payloads;
        orders.facts = message.facts;
        self.position = message.position;
        self.in_session = true;
        Ok(orders)
    }

    fn replace(&mut self, assignments: Vec<Assignment>) -> Orders {
        let gone = |task: &TaskId| !assignments.iter().any(|one| one.order.task == *task);
        let remove = self.desired.keys().copied().filter(gone).collect();
        let mut orders = self.change(assignments, remove);
        orders.complete = true;
        orders
    }

    fn change(&mut self, update: Vec<Assignment>, remove: Vec<TaskId>) -> Orders {
        let mut orders = Orders::default();
        for assignment in update {
            self.want(assignment, &mut orders);
        }
        for task in remove {
            if self.desired.remove(&task).is_some() {
                orders.remove.push(task);
            }
        }
        orders
    }

    fn want(&mut self, assignment: Assignment, orders: &mut Orders) {
        let task = assignment.order.task;
        orders.accepted.push((task, assignment.status.clone()));
        match self.desired.get_mut(&task) {
            None => {
                self.desired.insert(task, assignment.desired);
                orders.start.push(assignment);
            }
            Some(desired) if *desired < assignment.desired => {
                *desired = assignment.desired;
                orders.update.push((task, assignment.desired));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::fake::{assignment, task};
    use swarmrs_types::assignment::AssignmentDiff;

    fn at(index: u64, set: AssignmentSet) -> AssignmentsMessage {
        let position = Position { term: 1, index };
        AssignmentsMessage {
            position,
            leaderless: false,
            set,
            payloads: PayloadDiff::default(),
            facts: Default::default(),
        }
    }

    fn complete(index: u64, tasks: &[(u8, TaskState)]) -> AssignmentsMessage {
        let assignments = tasks.iter().map(|(n, desired)| assignment(*n, *desired));
        at(index, AssignmentSet::Complete(assignments.collect()))
    }

    fn difference(index: u64, update: &[(u8, TaskState)], remove: &[u8]) -> AssignmentsMessage {
        let diff = AssignmentDiff {
            update: update
                .iter()
                .map(|(n, desired)| assignment(*n, *desired))
                .collect(),
            remove: remove.iter().map(|n| task(*n)).collect(),
        };
        at(index, AssignmentSet::Incremental(diff))
    }

    fn started(orders: &Orders) -> Vec<TaskId> {
        orders.start.iter().map(|one| one.order.task).collect()
    }

    #[test]
    fn a_complete_set_starts_the_new_and_removes_the_absent() {
        let mut known = Known::default();
        let first = known.take(complete(
            1,
            &[(1, TaskState::Running), (2, TaskState::Running)],
        ));
        assert_eq!(started(&first.unwrap()), [task(1), task(2)]);
        known.begin_session();
        let second = known
            .take(complete(
                2,
                &[(2, TaskState::Shutdown), (3, TaskState::Ready)],
            ))
            .unwrap();
        assert!(second.complete);
        assert_eq!(started(&second), [task(3)]);
        assert_eq!(second.update, [(task(2), TaskState::Shutdown)]);
        assert_eq!(second.remove, [task(1)]);
    }

    #[test]
    fn a_desired_state_never_falls() {
        let mut known = Known::default();
        known
            .take(complete(1, &[(1, TaskState::Shutdown)]))
            .unwrap();
        let orders = known
            .take(difference(2, &[(1, TaskState::Running)], &[]))
            .unwrap();
        assert!(orders.update.is_empty() && orders.start.is_empty());
    }

    #[test]
    fn a_position_never_goes_back_even_in_a_new_session() {
        let mut known = Known::default();
        known.take(complete(5, &[(1, TaskState::Running)])).unwrap();
        known.begin_session();
        let refused = known.take(complete(4, &[])).unwrap_err();
        assert!(matches!(refused, Refused::Stale { .. }));
        let same = known.take(complete(5, &[(1, TaskState::Running)])).unwrap();
        assert!(same.remove.is_empty() && same.start.is_empty());
    }

    #[test]
    fn a_difference_needs_a_complete_set_of_the_same_session() {
        let mut known = Known::default();
        let early = difference(1, &[(1, TaskState::Running)], &[]);
        assert_eq!(known.take(early.clone()), Err(Refused::Unfounded));
        known.take(complete(1, &[])).unwrap();
        known.begin_session();
        assert_eq!(known.take(early), Err(Refused::Unfounded));
    }

    #[test]
    fn only_known_tasks_are_removed() {
        let mut known = Known::default();
        known.take(complete(1, &[(1, TaskState::Running)])).unwrap();
        let orders = known.take(difference(2, &[], &[1, 7])).unwrap();
        assert_eq!(orders.remove, [task(1)]);
    }
}
