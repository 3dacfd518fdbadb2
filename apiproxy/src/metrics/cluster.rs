//! The cluster as this manager knows it: what was agreed, how it stands, and the log behind it.

use std::collections::BTreeMap;

use swarmrs_node::{ClusterView, ManagerGlance};
use swarmrs_types::TaskState;
use swarmrs_types::object::NodeState;

use super::page::{Kind, Page};
use crate::view::{Convergence, convergence};

pub(super) fn write(page: &mut Page, manager: &ManagerGlance) {
    raft(page, manager);
    nodes(page, &manager.view);
    tasks(page, &manager.view);
    services(page, &manager.view);
    let help = "Times that a task of this node entered a state.";
    let mut family = page.family("swarmrs_agent_task_transitions_total", Kind::Counter, help);
    let entered = manager.agent.entered();
    family.each(
        "state",
        entered.map(|(state, count)| (state.as_str(), count)),
    );
    let help = "Tasks of this node whose container was there already and was taken over.";
    let mut family = page.family("swarmrs_agent_adopted_tasks_total", Kind::Counter, help);
    family.sample(&[], manager.agent.adopted.get());
}

fn raft(page: &mut Page, manager: &ManagerGlance) {
    let store = &manager.store;
    let gauges = [
        (
            "swarmrs_raft_term",
            "The term of the last vote.",
            store.term,
        ),
        (
            "swarmrs_raft_index",
            "The last entry in the log.",
            store.last_index,
        ),
        (
            "swarmrs_raft_applied_index",
            "The last entry applied.",
            store.applied,
        ),
        (
            "swarmrs_raft_leader",
            "Whether this manager leads.",
            u64::from(store.is_leader),
        ),
        (
            "swarmrs_raft_has_leader",
            "Whether a leader is known.",
            u64::from(store.has_leader),
        ),
        (
            "swarmrs_raft_log_bytes",
            "Size of the log since the last snapshot.",
            store.log_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, Kind::Gauge, help).sample(&[], value);
    }
    let measures = &store.measures;
    let histograms = [
        (
            "swarmrs_raft_proposal_seconds",
            "From a proposal until it was applied or refused.",
            &measures.proposals,
        ),
        (
            "swarmrs_store_sync_seconds",
            "Syncs of the log to disk.",
            &measures.syncs,
        ),
    ];
    for (name, help, histogram) in histograms {
        page.family(name, Kind::Histogram, help)
            .histogram(&[], histogram);
    }
    let help = "Proposals that did not become part of the state.";
    let mut family = page.family("swarmrs_raft_refused_proposals_total", Kind::Counter, help);
    family.sample(&[], measures.refused.get());
    let help = "How often this manager's state was found not to be the leader's: a bug; it starts over from the leader's.";
    let mut family = page.family("swarmrs_store_differing_total", Kind::Counter, help);
    family.sample(&[], measures.differing.get());
    if let Ok(space) = manager.space {
        let help = "Space left where the log is.";
        let mut family = page.family("swarmrs_store_free_bytes", Kind::Gauge, help);
        family.sample(&[], space.free);
    }
}

fn nodes(page: &mut Page, view: &ClusterView) {
    let states = [
        NodeState::Unknown,
        NodeState::Down,
        NodeState::Ready,
        NodeState::Disconnected,
    ];
    let in_state = |state| {
        let nodes = view.state.nodes().iter();
        nodes.filter(|node| node.status.state == state).count()
    };
    let mut family = page.family("swarmrs_nodes", Kind::Gauge, "Nodes, by state.");
    family.each(
        "state",
        states
            .into_iter()
            .map(|state| (state.as_str(), in_state(state))),
    );
}

fn tasks(page: &mut Page, view: &ClusterView) {
    let mut counts: BTreeMap<(TaskState, TaskState), u64> = BTreeMap::new();
    for task in view.state.tasks().iter() {
        *counts
            .entry((task.desired, view.status(task).state))
            .or_default() += 1;
    }
    let help = "Tasks, by desired and observed state.";
    let mut family = page.family("swarmrs_tasks", Kind::Gauge, help);
    for ((desired, state), count) in counts {
        family.sample(
            &[("desired", desired.as_str()), ("state", state.as_str())],
            count,
        );
    }
}

fn services(page: &mut Page, view: &ClusterView) {
    let found: Vec<_> = view
        .state
        .services()
        .iter()
        .map(|service| convergence(view, service))
        .collect();
    let count = |wanted: Convergence| found.iter().filter(|(found, _)| *found == wanted).count();
    let states = [
        ("converged", count(Convergence::Converged)),
        ("rolled_back", count(Convergence::RolledBack)),
        ("not_converged", count(Convergence::Not)),
    ];
    let help = "Services, by whether they are as they were asked for.";
    page.family("swarmrs_services", Kind::Gauge, help)
        .each("state", states.into_iter());
    let numbers = || found.iter().map(|(_, report)| report);
    let help = "Tasks that a service shall have.";
    let mut family = page.family("swarmrs_service_desired_tasks", Kind::Gauge, help);
    family.each(
        "service",
        numbers().map(|report| (&report.name, report.desired)),
    );
    let help = "Tasks of a service that do what is wanted of them.";
    let mut family = page.family("swarmrs_service_running_tasks", Kind::Gauge, help);
    family.each(
        "service",
        numbers().map(|report| (&report.name, report.running)),
    );
}
