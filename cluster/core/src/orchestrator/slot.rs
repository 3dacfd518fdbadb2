//! Slots: the tasks that stand in for each other.
//!
//! A replicated service has numbered slots, a global one a slot per node. Correctness is counted
//! in slots, not tasks: during an update or a restart a slot has several.

use super::{dirty, restart};
use crate::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use swarmrs_types::NodeId;
use swarmrs_types::object::{Service, Task};

/// Names a slot within its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlotKey {
    Number(u64),
    Node(NodeId),
}

impl SlotKey {
    /// The slot of a task; none for a task of slot 0 without a node, which no decider makes.
    pub fn of(task: &Task) -> Option<SlotKey> {
        match (task.slot, task.node) {
            (0, node) => node.map(SlotKey::Node),
            (number, _) => Some(SlotKey::Number(number)),
        }
    }
}

/// The tasks of one slot, oldest first; never empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slot(pub Vec<Arc<Task>>);

/// What a slot counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A task of it is wanted to run.
    Runnable,
    /// Its last task ended and its policy wants no other: it counts, and an update may revive it.
    Finished,
    /// Its tasks are history only.
    Dead,
}

impl Slot {
    /// Tasks that are wanted to run, now or later.
    pub fn runnable(&self) -> impl Iterator<Item = &Arc<Task>> {
        let wanted = |task: &&Arc<Task>| task.desired.is_runnable() && !task.is_done();
        self.0.iter().filter(wanted)
    }

    /// The task made last.
    pub fn newest(&self) -> Option<&Arc<Task>> {
        self.0.last()
    }

    /// What the slot counts as.
    pub fn standing(&self, state: &State) -> Standing {
        if self.runnable().next().is_some() {
            return Standing::Runnable;
        }
        match self.newest() {
            Some(task) if restart::is_finished(state, task) => Standing::Finished,
            _ => Standing::Dead,
        }
    }

    /// Whether an update has to do something here: not exactly one runnable task, or an old one.
    pub fn is_dirty(&self, state: &State, service: &Service) -> bool {
        let mut runnable = self.runnable();
        match (runnable.next(), runnable.next()) {
            (Some(task), None) => dirty::is_dirty(state, service, task),
            (Some(_), Some(_)) => true,
            (None, _) => self
                .newest()
                .is_some_and(|task| dirty::is_dirty(state, service, task)),
        }
    }
}

/// The slots of a service.
pub fn slots(state: &State, service: &Service) -> BTreeMap<SlotKey, Slot> {
    let mut slots: BTreeMap<SlotKey, Slot> = BTreeMap::new();
    for task in state.tasks_of_service(service.id) {
        if let Some(key) = SlotKey::of(task) {
            slots.entry(key).or_default().0.push(task.clone());
        }
    }
    for slot in slots.values_mut() {
        slot.0.sort_by_key(|task| (task.created, task.id));
    }
    slots
}
