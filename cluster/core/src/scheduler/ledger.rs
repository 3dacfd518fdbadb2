//! What is taken on each node: resources, ports, numbers of tasks.
//!
//! Made anew for each round of placing, from the tasks themselves, so it cannot leak.

use super::demand::{Demand, host_ports, reservations};
use super::resource::Free;
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use swarmrs_types::object::Node;
use swarmrs_types::spec::{GenericResource, Protocol, Resources};
use swarmrs_types::{NodeId, ServiceId, TaskState};

/// So many recent failures on a node make it the last choice.
/// Source: swarmkit `manager/scheduler/scheduler.go`.
const FAILURES_THAT_COUNT: u64 = 5;

/// What is taken, by node.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<NodeId, Account>);

#[derive(Clone, Debug, Default)]
struct Account {
    nano_cpus: i64,
    memory_bytes: i64,
    generic: Vec<GenericResource>,
    ports: BTreeSet<(Protocol, u32)>,
    tasks: u64,
    by_service: BTreeMap<ServiceId, u64>,
}

/// How good a node is for a task: the lowest is best.
pub type Rank = (u64, u64, u64);

impl Ledger {
    /// Counts all tasks that a node was given. What one was given is taken until it has ended; how
    /// many tasks a node has counts those only that are wanted to run.
    pub fn new(state: &State) -> Self {
        let mut ledger = Ledger::default();
        for task in state.tasks().iter() {
            let given =
                task.status.state >= TaskState::Assigned && !task.status.state.is_terminal();
            let (true, Some(node), Some(spec)) = (given, task.node, state.spec_of(task)) else {
                continue;
            };
            let wanted = reservations(spec);
            ledger.hold(node, &wanted, &task.resources, host_ports(spec));
            if task.desired.is_runnable() {
                ledger.count(node, task.service);
            }
        }
        ledger
    }

    fn account(&mut self, node: NodeId) -> &mut Account {
        self.0.entry(node).or_default()
    }

    fn hold(
        &mut self,
        node: NodeId,
        wanted: &Resources,
        given: &[GenericResource],
        ports: Vec<(Protocol, u32)>,
    ) {
        let account = self.account(node);
        account.nano_cpus = account.nano_cpus.saturating_add(wanted.nano_cpus);
        account.memory_bytes = account.memory_bytes.saturating_add(wanted.memory_bytes);
        account.generic.extend_from_slice(given);
        account.ports.extend(ports);
    }

    fn count(&mut self, node: NodeId, service: ServiceId) {
        let account = self.account(node);
        account.tasks += 1;
        *account.by_service.entry(service).or_default() += 1;
    }

    /// Notes a task just placed, and what it was given.
    pub fn take(&mut self, node: NodeId, demand: &Demand, given: &[GenericResource]) {
        let ports = demand.host_ports.clone();
        self.hold(node, &demand.reservations, given, ports);
        self.count(node, demand.service);
    }

    /// Whether what a task reserves is free.
    pub fn has_room(&self, node: &Node, wanted: &Resources) -> bool {
        let (cpus, memory) = match self.0.get(&node.id) {
            Some(account) => (account.nano_cpus, account.memory_bytes),
            None => (0, 0),
        };
        let total = &node.description.resources;
        let fits = |wanted: i64, total: i64, taken: i64| {
            wanted == 0 || wanted <= total.saturating_sub(taken)
        };
        fits(wanted.nano_cpus, total.nano_cpus, cpus)
            && fits(wanted.memory_bytes, total.memory_bytes, memory)
            && self.claim(node, wanted).is_some()
    }

    /// The generic resources a task would be given; none if there is not enough of them.
    pub fn claim(&self, node: &Node, wanted: &Resources) -> Option<Vec<GenericResource>> {
        if wanted.generic_resources.is_empty() {
            return Some(Vec::new());
        }
        let mut free = Free::of(&node.description.resources.generic_resources);
        let account = self.0.get(&node.id);
        for taken in account.iter().flat_map(|account| &account.generic) {
            free.take(taken);
        }
        free.claim(&wanted.generic_resources)
    }

    /// Whether the host ports a task publishes are free.
    pub fn has_ports(&self, node: NodeId, wanted: &[(Protocol, u32)]) -> bool {
        let taken = self.0.get(&node).map(|account| &account.ports);
        wanted
            .iter()
            .all(|port| taken.is_none_or(|taken| !taken.contains(port)))
    }

    /// Tasks of a service that are wanted on a node.
    pub fn of_service(&self, node: NodeId, service: ServiceId) -> u64 {
        let account = self.0.get(&node);
        let count = account.and_then(|account| account.by_service.get(&service));
        count.copied().unwrap_or(0)
    }

    /// Few failures, then few of the service, then few tasks at all.
    pub fn rank(&self, node: NodeId, service: ServiceId, failures: u64) -> Rank {
        let counted = if failures >= FAILURES_THAT_COUNT {
            failures
        } else {
            0
        };
        let tasks = self.0.get(&node).map_or(0, |account| account.tasks);
        (counted, self.of_service(node, service), tasks)
    }
}
