//! The labels of a task's container, and how one of ours is told from one that merely carries them.

use std::collections::BTreeMap;
use swarmrs_engine::ContainerSummary;
use swarmrs_types::assignment::Order;
use swarmrs_types::spec::Labels;
use swarmrs_types::{NodeId, TaskId};

pub const TASK: &str = "com.docker.swarm.task";
pub const TASK_ID: &str = "com.docker.swarm.task.id";
pub const TASK_NAME: &str = "com.docker.swarm.task.name";
pub const NODE_ID: &str = "com.docker.swarm.node.id";
pub const SERVICE_ID: &str = "com.docker.swarm.service.id";
pub const SERVICE_NAME: &str = "com.docker.swarm.service.name";

/// Puts the system's labels over the user's.
pub fn put_on(labels: &mut Labels, order: &Order) {
    let system = [
        (TASK, String::new()),
        (TASK_ID, order.task.to_string()),
        (TASK_NAME, order.name.clone()),
        (NODE_ID, order.node.to_string()),
        (SERVICE_ID, order.service.to_string()),
        (SERVICE_NAME, order.service_name.clone()),
    ];
    labels.extend(system.map(|(key, value)| (key.to_owned(), value)));
}

/// Whether a container with these labels was made for this task on this node.
pub fn belongs_to(labels: &BTreeMap<String, String>, order: &Order) -> bool {
    labels.get(TASK_ID).map(String::as_str) == Some(order.task.as_str())
        && labels.get(NODE_ID).map(String::as_str) == Some(order.node.as_str())
}

/// The task a listed container was made for. Labels can be given to any container; ours also has the name that they say,
/// unless the journal knows its id.
pub fn task_of(
    container: &ContainerSummary,
    node: NodeId,
    journalled: &[(TaskId, String)],
) -> Option<TaskId> {
    if let Some((task, _)) = journalled.iter().find(|(_, id)| *id == container.id) {
        return Some(*task);
    }
    let label = |key| container.labels.get(key);
    let ours = label(NODE_ID)? == node.as_str() && container.names.contains(label(TASK_NAME)?);
    ours.then(|| label(TASK_ID)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::fake::{node, task};
    use serde_json::Value;
    use swarmrs_engine::ContainerStatus;

    fn listed(name: &str, node: &str) -> ContainerSummary {
        let labels = [
            (TASK_ID, task(1).to_string()),
            (TASK_NAME, "web.1.t1".to_owned()),
            (NODE_ID, node.to_owned()),
        ];
        ContainerSummary {
            id: "c1".into(),
            names: vec![name.into()],
            image: String::new(),
            labels: labels.map(|(key, value)| (key.to_owned(), value)).into(),
            status: ContainerStatus::Running,
            raw: Value::Null,
        }
    }

    #[test]
    fn a_container_is_ours_by_labels_and_name() {
        let container = listed("web.1.t1", node().as_str());
        assert_eq!(task_of(&container, node(), &[]), Some(task(1)));
    }

    #[test]
    fn labels_of_another_node_or_another_name_make_no_task() {
        assert_eq!(task_of(&listed("web.1.t1", "other"), node(), &[]), None);
        assert_eq!(task_of(&listed("mine", node().as_str()), node(), &[]), None);
    }

    #[test]
    fn the_journal_knows_a_container_by_its_id_whatever_its_name() {
        let renamed = listed("renamed", node().as_str());
        let journalled = [(task(2), "c1".to_owned())];
        assert_eq!(task_of(&renamed, node(), &journalled), Some(task(2)));
    }
}
