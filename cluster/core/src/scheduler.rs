//! From tasks to nodes.
//!
//! A task that waits gets the node that passes every [`filter`] and has least of its service, then
//! least of anything. Where none passes, the task says why, node for node counted. Tasks made for
//! one node come first, then the others, the oldest first.

pub mod constraint;
pub mod explain;
pub mod filter;
pub mod ledger;

use crate::agenda::Agenda;
use crate::change::Key;
use crate::orchestrator::restart;
use crate::plan::Draft;
use crate::state::State;
use explain::Refusals;
use filter::{Demand, Reason};
use ledger::{Ledger, Rank};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use swarmrs_types::object::{SpecNumber, Task};
use swarmrs_types::{NodeId, ServiceId, TaskId, TaskState};

/// Places the waiting tasks of these services, and of all others if room may have appeared.
pub fn place(draft: &mut Draft<'_>, agenda: &mut Agenda, services: &[ServiceId]) {
    let mut ids: BTreeSet<TaskId> = agenda.take_unplaced();
    for service in services {
        ids.extend(draft.tasks_of_service(*service).map(|task| task.id));
    }
    let waiting = in_turn(draft, &ids);
    if waiting.is_empty() {
        return;
    }
    let mut round = Round {
        ledger: Ledger::new(draft),
        groups: BTreeMap::new(),
    };
    for task in waiting {
        if draft.is_full() && !draft.writes(Key::Task(task.id)) {
            agenda.place_again();
        } else {
            round.place(draft, &task);
        }
    }
}

/// Those of the tasks that wait, in the order they get their turn.
fn in_turn(state: &State, ids: &BTreeSet<TaskId>) -> Vec<Arc<Task>> {
    let tasks = ids.iter().filter_map(|id| state.tasks().get(id));
    let mut waiting: Vec<_> = tasks.filter(|task| waits(task)).cloned().collect();
    waiting.sort_by_key(|task| (task.node.is_none(), task.created, task.slot, task.id));
    waiting
}

fn waits(task: &Task) -> bool {
    task.status.state == TaskState::Pending && task.desired.is_runnable()
}

/// One round of placing: what is taken, and what is known of each kind of task.
struct Round {
    ledger: Ledger,
    groups: BTreeMap<(ServiceId, SpecNumber), Group>,
}

/// Tasks of one spec: they ask for the same.
struct Group {
    demand: Demand,
    failures: BTreeMap<NodeId, u64>,
    /// Why no node was found. Nothing is given back within a round, so this stays true in it.
    refusal: Option<String>,
}

impl Group {
    fn new(draft: &Draft<'_>, task: &Task) -> Option<Self> {
        let spec = draft.spec_of(task)?;
        Some(Group {
            demand: Demand::new(spec),
            failures: ledger::recent_failures(draft, task, draft.now),
            refusal: None,
        })
    }
}

impl Round {
    fn place(&mut self, draft: &mut Draft<'_>, task: &Task) {
        let key = (task.service, task.spec);
        if let (false, Some(group)) = (self.groups.contains_key(&key), Group::new(draft, task)) {
            self.groups.insert(key, group);
        }
        let Some(group) = self.groups.get_mut(&key) else {
            return;
        };
        let found = match task.node {
            Some(node) => confirm(draft, &self.ledger, group, node),
            None => choose(draft, &self.ledger, group),
        };
        match found {
            Ok(node) => {
                assign(draft, task, node);
                self.ledger.take(node, &group.demand);
            }
            Err(why) => say_why(draft, task.id, why),
        }
    }
}

/// A task made for one node only asks whether that node can run it.
fn confirm(state: &State, ledger: &Ledger, group: &Group, node: NodeId) -> Result<NodeId, String> {
    let mut refusals = Refusals::default();
    match state.nodes().get(&node) {
        Some(object) => match filter::first_refusal(ledger, &group.demand, object) {
            None => return Ok(node),
            Some(reason) => refusals.add(reason),
        },
        None => refusals.add(Reason::NotReady),
    }
    Err(refusals.reasons())
}

fn choose(state: &State, ledger: &Ledger, group: &mut Group) -> Result<NodeId, String> {
    if let Some(why) = &group.refusal {
        return Err(why.clone());
    }
    let mut refusals = Refusals::default();
    let mut best: Option<(Rank, NodeId)> = None;
    for node in state.nodes().iter() {
        match filter::first_refusal(ledger, &group.demand, node) {
            Some(reason) => refusals.add(reason),
            None => {
                let failures = group.failures.get(&node.id).copied().unwrap_or(0);
                let rank = ledger.rank(node.id, group.demand.service, failures);
                let found = (rank, node.id);
                best = Some(best.map_or(found, |known| found.min(known)));
            }
        }
    }
    best.map(|(_, node)| node).ok_or_else(|| {
        let why = refusals.no_suitable_node();
        group.refusal = Some(why.clone());
        why
    })
}

/// Binds the task. The plan holds only if the node stays as it was seen.
fn assign(draft: &mut Draft<'_>, task: &Task, node: NodeId) {
    let message = if task.node.is_some() {
        "scheduler confirmed task can run on preassigned node"
    } else {
        "scheduler assigned task to node"
    };
    let now = draft.now.shown();
    draft.guard(Key::Node(node));
    draft.update_task(task.id, |task| {
        task.node = Some(node);
        task.status.state = TaskState::Assigned;
        task.status.message = restart::explained(message, task);
        task.status.err = String::new();
        task.status.at = now;
    });
}

fn say_why(draft: &mut Draft<'_>, id: TaskId, why: String) {
    let now = draft.now.shown();
    draft.update_task(id, |task| {
        if task.status.err != why {
            task.status.err = why;
            task.status.at = now;
        }
    });
}

#[cfg(test)]
mod tests;
