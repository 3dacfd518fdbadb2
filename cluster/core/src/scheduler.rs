//! From tasks to nodes.
//!
//! A task that waits gets the node that passes every [`filter`], lies where its [`preference`]s
//! have least of its service, and has itself least of it, then least of anything. Where none passes,
//! the task says why, node for node counted. Tasks made for one node come first, then the others,
//! the oldest first.

pub mod constraint;
pub mod demand;
pub mod explain;
pub mod failure;
pub mod filter;
pub mod ledger;
pub mod preference;
pub mod resource;

use crate::agenda::Agenda;
use crate::change::Key;
use crate::orchestrator::restart;
use crate::plan::Draft;
use crate::state::State;
use demand::Demand;
use explain::Refusals;
use failure::Failures;
use filter::Reason;
use ledger::{Ledger, Rank};
use preference::{Branches, Spread};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use swarmrs_types::object::{Node, SpecNumber, Task};
use swarmrs_types::spec::GenericResource;
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
    let mut left = false;
    for task in waiting {
        if draft.is_full() && !draft.writes(Key::Task(task.id)) {
            left = true;
        } else {
            round.place(draft, agenda.failures(), &task);
        }
    }
    if left {
        agenda.place_again();
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
    spread: Spread,
    failures: BTreeMap<NodeId, u64>,
    /// Why no node was found. Nothing is given back within a round, so this stays true in it.
    refusal: Option<String>,
}

impl Group {
    fn new(draft: &Draft<'_>, ledger: &Ledger, failures: &Failures, task: &Task) -> Option<Self> {
        let demand = Demand::new(draft, draft.spec_of(task)?);
        Some(Group {
            spread: Spread::new(draft, ledger, task.service, &demand.placement),
            demand,
            failures: failures.recent(task.service, task.spec, draft.now),
            refusal: None,
        })
    }
}

impl Round {
    fn place(&mut self, draft: &mut Draft<'_>, failures: &Failures, task: &Task) {
        let key = (task.service, task.spec);
        if !self.groups.contains_key(&key) {
            let group = Group::new(draft, &self.ledger, failures, task);
            self.groups.extend(group.map(|group| (key, group)));
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
                let wanted = &group.demand.reservations;
                let given = self.ledger.claim(&node, wanted).unwrap_or_default();
                self.ledger.take(node.id, &group.demand, &given);
                self.spread(task.service, node.id);
                assign(draft, task, node.id, given);
            }
            Err(why) => say_why(draft, task.id, why),
        }
    }

    /// The service's other specs see where its tasks are.
    fn spread(&mut self, service: ServiceId, node: NodeId) {
        let specs = (service, 0)..=(service, SpecNumber::MAX);
        for (_, group) in self.groups.range_mut(specs) {
            group.spread.add(node);
        }
    }
}

/// A task made for one node only asks whether that node can run it.
fn confirm(
    state: &State,
    ledger: &Ledger,
    group: &Group,
    node: NodeId,
) -> Result<Arc<Node>, String> {
    let mut refusals = Refusals::default();
    match state.nodes().get(&node) {
        Some(object) => match filter::first_refusal(ledger, &group.demand, object) {
            None => return Ok(object.clone()),
            Some(reason) => refusals.add(reason),
        },
        None => refusals.add(Reason::NotReady),
    }
    Err(refusals.reasons())
}

fn choose(state: &State, ledger: &Ledger, group: &mut Group) -> Result<Arc<Node>, String> {
    if let Some(why) = &group.refusal {
        return Err(why.clone());
    }
    let mut refusals = Refusals::default();
    let mut best: Option<(Branches<'_>, Rank, &Arc<Node>)> = None;
    for node in state.nodes().iter() {
        match filter::first_refusal(ledger, &group.demand, node) {
            Some(reason) => refusals.add(reason),
            None => {
                let failures = group.failures.get(&node.id).copied().unwrap_or(0);
                let rank = ledger.rank(node.id, group.demand.service, failures);
                let branches = group.spread.branches(node.id);
                // Of equals the first by id, which is the order of the walk.
                let better = |(known, of_known, _): &(Branches<'_>, Rank, _)| {
                    (&branches, rank) < (known, *of_known)
                };
                if best.as_ref().is_none_or(better) {
                    best = Some((branches, rank, node));
                }
            }
        }
    }
    if let Some((_, _, node)) = best {
        return Ok(node.clone());
    }
    let why = refusals.no_suitable_node();
    group.refusal = Some(why.clone());
    Err(why)
}

/// Binds the task. The plan holds only if the node stays as it was seen.
fn assign(draft: &mut Draft<'_>, task: &Task, node: NodeId, given: Vec<GenericResource>) {
    let message = if task.node.is_some() {
        "scheduler confirmed task can run on preassigned node"
    } else {
        "scheduler assigned task to node"
    };
    let now = draft.now.shown();
    draft.guard(Key::Node(node));
    draft.update_task(task.id, |task| {
        task.node = Some(node);
        task.resources = given;
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
