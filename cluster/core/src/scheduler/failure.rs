//! Where tasks failed lately: a node on which a spec fails again and again is the last choice.
//!
//! Kept by the leader from what it sees, beside the tasks themselves, which history soon forgets. A
//! new leader knows of the tasks that are still there.

use std::collections::BTreeMap;
use std::time::Duration;
use swarmrs_types::object::{SpecNumber, Task};
use swarmrs_types::{ClusterTime, NodeId, ServiceId, TaskState};

/// For how long a failure counts. Source: swarmkit `manager/scheduler/nodeinfo.go`.
const MEMORY: Duration = Duration::from_secs(300);

/// Failures of each spec, with node and time, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failures(BTreeMap<(ServiceId, SpecNumber), Vec<(ClusterTime, NodeId)>>);

impl Failures {
    /// Notes a task that has failed. One made for its node says nothing: there is no other choice.
    pub fn note(&mut self, task: &Task) {
        let failed = matches!(task.status.state, TaskState::Failed | TaskState::Rejected);
        let (true, Some(node), Some(at)) = (failed && task.slot != 0, task.node, task.ended) else {
            return;
        };
        let failures = self.0.entry((task.service, task.spec)).or_default();
        failures.retain(|(before, _)| at.since(*before) < MEMORY);
        failures.push((at, node));
    }

    /// The service is gone.
    pub fn forget(&mut self, service: ServiceId) {
        self.0.retain(|(other, _), _| *other != service);
    }

    /// How often tasks of a spec failed lately, by node.
    pub fn recent(
        &self,
        service: ServiceId,
        spec: SpecNumber,
        now: ClusterTime,
    ) -> BTreeMap<NodeId, u64> {
        let failures = self.0.get(&(service, spec)).into_iter().flatten();
        let mut counts = BTreeMap::new();
        for (_, node) in failures.filter(|(at, _)| now.since(*at) < MEMORY) {
            *counts.entry(*node).or_default() += 1;
        }
        counts
    }
}
