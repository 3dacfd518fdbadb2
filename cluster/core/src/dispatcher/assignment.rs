//! What a node is told: its whole set once, differences after that.

use crate::change::{Delta, Event};
use crate::state::State;
use std::sync::Arc;
use swarmrs_types::assignment::{Assignment, AssignmentDiff, Assignments, NodeLocal, Order};
use swarmrs_types::object::{Attached, Task};
use swarmrs_types::spec::{PublishMode, TaskSpec};
use swarmrs_types::{NodeId, TaskState};

/// All tasks of a node, ended ones included: they keep their containers and logs.
pub fn complete(state: &State, node: NodeId) -> Assignments {
    state
        .tasks_of_node(node)
        .filter_map(|task| Some((task.id, assignment(state, task)?)))
        .collect()
}

/// What an applied entry changes for a node. `state` is the state after it.
pub fn difference(state: &State, node: NodeId, events: &[Event]) -> AssignmentDiff {
    let mut diff = AssignmentDiff::default();
    for event in events {
        if let Event::Task(delta) = event {
            note(&mut diff, state, node, delta);
        }
    }
    diff
}

fn note(diff: &mut AssignmentDiff, state: &State, node: NodeId, delta: &Delta<Task>) {
    let here = |task: &Option<Arc<Task>>| {
        task.as_ref()
            .is_some_and(|task| task.node == Some(node) && task.status.state >= TaskState::Assigned)
    };
    match (&delta.old, &delta.new) {
        (_, Some(new)) if here(&delta.new) && is_news(delta.old.as_deref(), new) => {
            diff.update.extend(assignment(state, new));
        }
        (Some(old), None) if here(&delta.old) => diff.remove.push(old.id),
        _ => {}
    }
}

/// A node is not told again what it reported itself.
fn is_news(old: Option<&Task>, new: &Task) -> bool {
    old.is_none_or(|old| {
        old.status.state < TaskState::Assigned || old.desired != new.desired || old.node != new.node
    })
}

/// One task as its node is told of it; none while it is not bound to one.
fn assignment(state: &State, task: &Task) -> Option<Assignment> {
    if task.status.state < TaskState::Assigned {
        return None;
    }
    let spec = state.spec_of(task)?;
    let ports = spec
        .spec
        .endpoint_spec
        .iter()
        .flat_map(|endpoint| &endpoint.ports);
    let order = Order {
        task: task.id,
        name: state.task_name(task),
        slot: task.shown_slot(),
        node: task.node?,
        service: task.service,
        service_name: spec.spec.name.clone(),
        service_labels: spec.spec.labels.clone(),
        spec: with_local_networks(state, spec.spec.task_template.clone()),
        ports: ports
            .filter(|port| port.publish_mode == Some(PublishMode::Host))
            .cloned()
            .collect(),
        resources: task.resources.clone(),
        networks: overlays(state, task),
        node_local: node_local(state, task),
        registry_auth: spec.registry_auth.clone(),
    };
    Some(Assignment {
        order: Arc::new(order),
        desired: task.desired,
        status: task.status.clone(),
    })
}

/// A node knows the networks of its engine by their names, not by the swarm's ids; those of the swarm stand
/// beside the spec.
fn with_local_networks(state: &State, mut spec: TaskSpec) -> TaskSpec {
    spec.networks.retain_mut(|attachment| {
        let id = attachment.target.parse().ok();
        let Some(network) = id.and_then(|id| state.network(id)) else {
            return true;
        };
        network.name().clone_into(&mut attachment.target);
        !network.is_overlay()
    });
    spec
}

/// The networks of the swarm that a task is on.
fn overlays(state: &State, task: &Task) -> Vec<Attached> {
    let is_ours = |attached: &&Attached| {
        let network = state.network(attached.network);
        network.is_some_and(|network| network.is_overlay())
    };
    task.networks.iter().filter(is_ours).cloned().collect()
}

/// The networks that the task's engine is to have for it; those that every engine has are no matter.
fn node_local(state: &State, task: &Task) -> Vec<NodeLocal> {
    let networks = task.networks.iter();
    let known = networks.filter_map(|attached| state.network(attached.network));
    let made = known.filter(|network| !network.is_overlay() && !network.is_predefined());
    let told = made.map(|network| NodeLocal {
        id: network.id,
        spec: network.spec.clone(),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Object;
    use crate::orchestrator::tests::{
        id, node, put_node, put_service, put_spec, state, task, version, web,
    };
    use swarmrs_types::object::{Network, OVERLAY, PREDEFINED_LABEL};
    use swarmrs_types::spec::{NetworkAttachmentConfig, NetworkSpec, ServiceSpec};

    fn network(name: &str, driver: &str, label: Option<&str>) -> Network {
        Network {
            id: id(name),
            meta: Default::default(),
            segments: Vec::new(),
            spec: NetworkSpec {
                name: name.to_owned(),
                driver: driver.to_owned(),
                labels: label
                    .map(|l| (l.to_owned(), String::new()))
                    .into_iter()
                    .collect(),
                ..NetworkSpec::default()
            },
            unknown: Default::default(),
        }
    }

    #[test]
    fn a_node_is_told_what_its_engine_is_to_make_and_the_names_of_what_it_has() {
        let networks = [
            network("app", OVERLAY, None),
            network("lan", "macvlan", None),
            network("host", "host", Some(PREDEFINED_LABEL)),
        ];
        let target = |network: &Network| NetworkAttachmentConfig {
            target: network.id.to_string(),
            ..NetworkAttachmentConfig::default()
        };
        let template = TaskSpec {
            networks: networks.iter().map(target).collect(),
            ..TaskSpec::default()
        };
        let spec = ServiceSpec {
            task_template: template,
            ..ServiceSpec::default()
        };
        let mut one = task("t", 1);
        let on = |network: &Network| Attached {
            network: network.id,
            addresses: Vec::new(),
            aliases: Vec::new(),
        };
        one.networks = networks.iter().map(on).collect();
        let mut objects = vec![
            put_node(node("n1")),
            put_service(web()),
            put_spec(version(1, spec)),
            Object::Task(Arc::new(one)),
        ];
        objects.extend(networks.clone().map(|one| Object::Network(Arc::new(one))));
        let told = complete(&state(objects), id("n1"));
        let order = &told.values().next().unwrap().order;
        let named = order.spec.networks.iter().map(|one| one.target.as_str());
        assert_eq!(named.collect::<Vec<_>>(), ["lan", "host"]);
        let overlays = order.networks.iter().map(|on| on.network);
        assert_eq!(overlays.collect::<Vec<_>>(), [networks[0].id]);
        let [_, lan, _] = &networks;
        let expected = NodeLocal {
            id: lan.id,
            spec: lan.spec.clone(),
        };
        assert_eq!(order.node_local, [expected]);
    }
}
