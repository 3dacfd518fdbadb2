//! What the leader has to look at: kept by events, so that cost follows what happened.
//!
//! Everything is looked at per service. A service is on the agenda when it, one of its tasks or a
//! node of its tasks changed, or when a time it waits for has come.

use crate::change::{Delta, Event};
use crate::liveness::{Liveness, Note};
use crate::scheduler::failure::Failures;
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use swarmrs_types::object::{Network, Node, NodeState, Service, Task};
use swarmrs_types::{ClusterTime, NodeId, ServiceId, TaskId, TaskState};

/// Services and tasks that need a look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agenda {
    services: BTreeSet<ServiceId>,
    /// When a service wants to be looked at again.
    timers: BTreeMap<ServiceId, ClusterTime>,
    /// Nodes that changed: not all their tasks may fit any more.
    nodes: BTreeSet<NodeId>,
    /// Tasks no node was found for.
    unplaced: BTreeSet<TaskId>,
    /// Room may have appeared for them.
    retry: bool,
    /// Services with tasks that wait for an address.
    hungry: BTreeSet<ServiceId>,
    failures: Failures,
    liveness: Liveness,
}

impl Agenda {
    /// The agenda of a leader that has seen nothing yet: everything.
    pub fn all(state: &State) -> Self {
        let services = state.services().iter().map(|service| service.id);
        let of_tasks = state.tasks().iter().map(|task| task.service);
        let of_specs = state.specs().map(|spec| spec.service);
        let hungry = state.tasks().iter().filter(|task| lacks_address(task));
        let mut failures = Failures::default();
        let mut ended: Vec<_> = state.tasks().iter().collect();
        ended.sort_by_key(|task| (task.ended, task.id));
        ended.into_iter().for_each(|task| failures.note(task));
        Agenda {
            services: services.chain(of_tasks).chain(of_specs).collect(),
            unplaced: unplaced(state.tasks().iter().map(|task| &**task)).collect(),
            nodes: state.nodes().iter().map(|node| node.id).collect(),
            timers: BTreeMap::new(),
            retry: true,
            hungry: hungry.map(|task| task.service).collect(),
            failures,
            liveness: Liveness::default(),
        }
    }

    /// Watches the nodes too, as the leader whose own node `me` is: each has a full period from now to be
    /// heard of.
    pub fn watching(mut self, state: &State, me: NodeId, now: ClusterTime) -> Self {
        self.liveness = Liveness::begin(state, me, now);
        self
    }

    /// Takes in what a manager says of the nodes it serves.
    pub fn presence(&mut self, note: Note, now: ClusterTime) {
        self.liveness.note(note, now);
    }

    pub(crate) fn liveness_mut(&mut self) -> &mut Liveness {
        &mut self.liveness
    }

    /// Notes what an applied entry did. `state` is the state after it.
    pub fn note(&mut self, state: &State, event: &Event) {
        match event {
            Event::Service(delta) => self.note_service(delta),
            Event::Task(delta) => self.note_task(delta),
            Event::Node(delta) => self.note_node(state, delta),
            Event::Cluster(_) => {
                self.services.extend(state.services().iter().map(|s| s.id));
            }
            Event::Network(delta) => self.note_network(state, delta),
            Event::Attachment(_) | Event::Secret(_) | Event::Config(_) => {}
        }
        if may_free_addresses(event) {
            self.feed(state);
        }
    }

    /// Those that wait for an address ask again.
    fn feed(&mut self, state: &State) {
        let waits = |service: &ServiceId| {
            let mut tasks = state.tasks_of_service(*service);
            tasks.any(|task| lacks_address(task))
        };
        self.hungry.retain(waits);
        self.services.extend(&self.hungry);
    }

    /// Every node has an address on the network that carries published ports.
    fn note_network(&mut self, state: &State, delta: &Delta<Network>) {
        if delta.last().is_some_and(|network| network.spec.ingress) {
            self.nodes.extend(state.nodes().iter().map(|node| node.id));
        }
    }

    fn note_service(&mut self, delta: &Delta<Service>) {
        let Some(service) = delta.last() else { return };
        self.services.insert(service.id);
        if delta.new.is_none() {
            self.failures.forget(service.id);
        }
    }

    fn note_task(&mut self, delta: &Delta<Task>) {
        let Some(task) = delta.last() else { return };
        self.services.insert(task.service);
        let ended = |task: &Task| task.status.state.is_terminal();
        if delta.new.is_some() && !delta.old.as_deref().is_some_and(ended) {
            self.failures.note(task);
        }
        if delta.new.as_deref().is_some_and(lacks_address) {
            self.hungry.insert(task.service);
        }
        match &delta.new {
            Some(task) if is_unplaced(task) => {
                self.unplaced.insert(task.id);
            }
            _ => {
                self.unplaced.remove(&task.id);
            }
        }
        let held = |task: &Task| task.node.is_some() && !task.status.state.is_terminal();
        let counted = |task: &Task| held(task) && task.desired.is_runnable();
        let ends = |rule: &dyn Fn(&Task) -> bool| {
            delta.old.as_deref().is_some_and(rule) && !delta.new.as_deref().is_some_and(rule)
        };
        self.retry |= ends(&held) || ends(&counted);
    }

    /// A node matters to the services with tasks on it and to all that have one for each node.
    fn note_node(&mut self, state: &State, delta: &Delta<Node>) {
        let Some(node) = delta.last() else { return };
        self.retry = true;
        self.nodes.insert(node.id);
        if let (None, Some(node)) = (&delta.old, &delta.new) {
            self.liveness.joined(node, state.time());
        }
        let ready = |node: &Node| node.status.state == NodeState::Ready;
        if delta.new.as_deref().is_some_and(ready) && !delta.old.as_deref().is_some_and(ready) {
            self.liveness.registered(node.id, state.time());
        }
        self.services
            .extend(state.tasks_of_node(node.id).map(|task| task.service));
        let global = state.services().iter().filter(|service| {
            let spec = state.current_spec(service);
            spec.is_some_and(|spec| spec.spec.mode.is_global())
        });
        self.services.extend(global.map(|service| service.id));
    }

    /// Takes the services that need a look now, at most `most`; the rest stays.
    pub(crate) fn take_services(&mut self, now: ClusterTime, most: usize) -> Vec<ServiceId> {
        let due = self.timers.iter().filter(|(_, at)| **at <= now);
        self.services.extend(due.map(|(service, _)| *service));
        self.timers.retain(|_, at| *at > now);
        let taken: Vec<_> = self.services.iter().copied().take(most).collect();
        for service in &taken {
            self.services.remove(service);
            self.timers.remove(service);
        }
        taken
    }

    /// Takes the nodes that changed.
    pub(crate) fn take_nodes(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.nodes)
    }

    /// Not all tasks of the node were looked at.
    pub(crate) fn node_again(&mut self, node: NodeId) {
        self.nodes.insert(node);
    }

    /// Where tasks failed lately.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Tasks no node was found for, if it is worth trying them again.
    pub(crate) fn take_unplaced(&mut self) -> BTreeSet<TaskId> {
        if std::mem::take(&mut self.retry) {
            self.unplaced.clone()
        } else {
            BTreeSet::new()
        }
    }

    /// Not all waiting tasks were tried.
    pub(crate) fn place_again(&mut self) {
        self.retry = true;
    }

    /// The service is not done: look again at once.
    pub(crate) fn again(&mut self, service: ServiceId) {
        self.services.insert(service);
    }

    /// The service wants to be looked at again at `time`, or earlier.
    pub(crate) fn wake(&mut self, service: ServiceId, time: ClusterTime) {
        let set = self.timers.entry(service).or_insert(time);
        *set = (*set).min(time);
    }

    /// When the next look is due; none: when something happens.
    pub fn next_wake(&self) -> Option<ClusterTime> {
        let timers = self.timers.values().min().copied();
        timers.into_iter().chain(self.liveness.next_wake()).min()
    }

    /// Whether a look is due at once.
    pub fn is_due(&self, now: ClusterTime) -> bool {
        !self.services.is_empty()
            || !self.nodes.is_empty()
            || (self.retry && !self.unplaced.is_empty())
            || self.next_wake().is_some_and(|at| at <= now)
    }

    /// Puts back what was taken for a plan that was rejected.
    pub fn put_back(&mut self, before: Agenda) {
        self.services.extend(before.services);
        self.nodes.extend(before.nodes);
        self.unplaced.extend(before.unplaced);
        self.hungry.extend(before.hungry);
        self.retry |= before.retry;
        for (service, time) in before.timers {
            self.wake(service, time);
        }
    }
}

fn lacks_address(task: &Task) -> bool {
    task.status.state == TaskState::New && task.desired.is_runnable()
}

/// Whether somebody may have given an address back, or a network become larger.
fn may_free_addresses(event: &Event) -> bool {
    match event {
        Event::Task(delta) => {
            let holds = |task: &Task| !task.networks.is_empty() && !task.status.state.is_terminal();
            delta.old.as_deref().is_some_and(holds) && !delta.new.as_deref().is_some_and(holds)
        }
        Event::Service(_) | Event::Network(_) => true,
        Event::Attachment(delta) => delta.old.is_some(),
        Event::Node(delta) => delta.new.is_none(),
        Event::Cluster(_) | Event::Secret(_) | Event::Config(_) => false,
    }
}

fn is_unplaced(task: &Task) -> bool {
    task.status.state < TaskState::Assigned && task.desired.is_runnable()
}

fn unplaced<'a>(tasks: impl Iterator<Item = &'a Task>) -> impl Iterator<Item = TaskId> {
    tasks.filter(|task| is_unplaced(task)).map(|task| task.id)
}

#[cfg(test)]
mod tests;
