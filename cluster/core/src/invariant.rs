//! What must hold in every state, checked after each step in tests and debug builds.

mod network;

use crate::state::State;
use std::collections::BTreeSet;
use swarmrs_types::object::{Cluster, Task};
use swarmrs_types::spec::Protocol;
use swarmrs_types::{NodeId, TaskState};

/// Every rule the state breaks, in words.
pub fn violations(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    for service in state.services().iter() {
        if state.current_spec(service).is_none() {
            found.push(format!("service {} has no spec", service.id));
        }
        let previous = service.previous_spec;
        if previous.is_some_and(|number| state.spec(service.id, number).is_none()) {
            found.push(format!("service {} lost its previous spec", service.id));
        }
    }
    for task in state.tasks().iter() {
        found.extend(task_violation(state, task));
    }
    found.extend(crowded_ports(state));
    found.extend(shared_resources(state));
    found.extend(network::violations(state));
    found.extend(state.cluster().and_then(|cluster| lock_violation(cluster)));
    found
}

/// A lock without a key could never be opened, and a key without a lock is of no use.
fn lock_violation(cluster: &Cluster) -> Option<String> {
    let locks = cluster.spec.encryption_config.auto_lock_managers;
    let broken = locks != cluster.unlock_key.is_some();
    broken.then(|| "the swarm's unlock key does not go with its spec".to_owned())
}

fn task_violation(state: &State, task: &Task) -> Option<String> {
    if state.spec_of(task).is_none() {
        return Some(format!("task {} has no spec", task.id));
    }
    if task.status.state == TaskState::Remove {
        return Some(format!(
            "task {} was observed in a state only desired",
            task.id
        ));
    }
    let bound = task.status.state >= TaskState::Assigned && task.status.state < TaskState::Complete;
    if bound && task.node.is_none() {
        return Some(format!(
            "task {} is {} without a node",
            task.id, task.status.state
        ));
    }
    None
}

/// No two tasks that run publish the same fixed port on one node.
fn crowded_ports(state: &State) -> Vec<String> {
    let mut taken: BTreeSet<(NodeId, Protocol, u32)> = BTreeSet::new();
    let mut found = Vec::new();
    for task in state.tasks().iter() {
        let (TaskState::Running, Some(node)) = (task.status.state, task.node) else {
            continue;
        };
        for port in task
            .status
            .ports
            .iter()
            .filter(|port| port.published_port != 0)
        {
            let protocol = port.protocol.clone().unwrap_or(Protocol::Tcp);
            if !taken.insert((node, protocol, port.published_port)) {
                let number = port.published_port;
                found.push(format!("port {number} is published twice on {node}"));
            }
        }
    }
    found
}

/// No two tasks that have not ended were given the same named resource of one node.
fn shared_resources(state: &State) -> Vec<String> {
    let mut taken: BTreeSet<(NodeId, &str, &str)> = BTreeSet::new();
    let mut found = Vec::new();
    for task in state.tasks().iter() {
        let (false, Some(node)) = (task.status.state.is_terminal(), task.node) else {
            continue;
        };
        for named in task
            .resources
            .iter()
            .filter_map(|one| one.named_resource_spec.as_ref())
        {
            if !taken.insert((node, &named.kind, &named.value)) {
                found.push(format!(
                    "{}={} was given twice on {node}",
                    named.kind, named.value
                ));
            }
        }
    }
    found
}

/// Every rule that going from one state to a later one breaks.
pub fn regressions(before: &State, after: &State) -> Vec<String> {
    let mut found = Vec::new();
    for old in before.tasks().iter() {
        let Some(new) = after.tasks().get(&old.id) else {
            continue;
        };
        if new.status.state < old.status.state {
            found.push(format!("task {} went back in observed state", old.id));
        }
        if new.desired < old.desired {
            found.push(format!("task {} went back in desired state", old.id));
        }
        let moved = old.node.is_some() && new.node != old.node;
        let what = |task: &Task| (task.service, task.slot, task.spec, task.iteration);
        if moved || what(new) != what(old) {
            found.push(format!("task {} changed what it is", old.id));
        }
    }
    found
}
