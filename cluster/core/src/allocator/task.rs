//! The networks of a task: its addresses are given when it is made, or it waits for them as NEW.

use super::address::{self, Exhausted};
use crate::plan::Draft;
use std::collections::BTreeSet;
use swarmrs_types::object::Attached;
use swarmrs_types::spec::ServiceSpec;
use swarmrs_types::{ServiceId, TaskState};

/// What a task's message says once nothing is to be given to it any more.
pub const PENDING: &str = "pending task scheduling";

/// The networks of a task with this spec, an address on each that is the swarm's to give.
pub fn networks(draft: &Draft<'_>, spec: &ServiceSpec) -> Result<Vec<Attached>, Exhausted> {
    let aliases = |id: &str| {
        let mut own = spec.task_template.networks.iter();
        own.find(|config| config.target == id)
            .map_or_else(Vec::new, |config| config.aliases.clone())
    };
    let mut seen = BTreeSet::new();
    let mut attached = Vec::new();
    for network in draft
        .networks_of(spec)
        .filter(|network| seen.insert(network.id))
    {
        let addresses = match network.is_overlay() {
            true => address::member(draft, network, draft.now)?,
            false => Vec::new(),
        };
        attached.push(Attached {
            network: network.id,
            addresses,
            aliases: aliases(network.id.as_str()),
        });
    }
    Ok(attached)
}

/// Gives waiting tasks of a service their addresses, the oldest first, and lets the others say what they
/// wait for.
pub fn admit(draft: &mut Draft<'_>, service: ServiceId) {
    let waiting = draft
        .tasks_of_service(service)
        .filter(|task| task.status.state == TaskState::New && task.desired.is_runnable());
    let mut waiting: Vec<_> = waiting.cloned().collect();
    waiting.sort_by_key(|task| (task.created, task.id));
    let mut none_left: Option<Exhausted> = None;
    for task in waiting {
        if draft.is_full() {
            return;
        }
        let Some(spec) = draft.spec_of(&task).cloned() else {
            continue;
        };
        let found = match &none_left {
            Some(exhausted) => Err(exhausted.clone()),
            None => networks(draft, &spec.spec),
        };
        let now = draft.now.shown();
        match found {
            Ok(networks) => draft.update_task(task.id, |task| {
                task.networks = networks;
                task.status.state = TaskState::Pending;
                task.status.message = PENDING.to_owned();
                task.status.err.clear();
                task.status.at = now;
            }),
            Err(exhausted) => {
                if let Some(next) = exhausted.next {
                    draft.wake_at(next);
                }
                let why = exhausted.to_string();
                draft.update_task(task.id, |task| {
                    if task.status.err != why {
                        task.status.err = why;
                        task.status.at = now;
                    }
                });
                none_left = Some(exhausted);
            }
        }
    }
}
