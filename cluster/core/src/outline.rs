//! What a plan or an event says to a flight recorder: ids, names, states and the planner's own words.
//!
//! The message and error of a task are the planner's until a node has taken the task. From then on
//! they may quote an engine, and an engine may quote a spec: those are left out.

use crate::change::{Change, Delta, Event, Object};
use crate::plan::Plan;
use std::borrow::Cow;
use swarmrs_types::TaskState;
use swarmrs_types::object::{Cluster, Node, Service, Task, UpdateState};
use swarmrs_types::report::{Done, PlannedTask, Subject};

/// Tasks of a plan that are named. A large plan makes many alike.
const MOST_TASKS: usize = 16;

/// The first tasks that a plan writes.
pub fn planned_tasks(plan: &Plan) -> Vec<PlannedTask> {
    let tasks = plan.changes.iter().filter_map(|change| match change {
        Change::Put {
            object: Object::Task(task),
            ..
        } => Some(planned(task)),
        _ => None,
    });
    tasks.take(MOST_TASKS).collect()
}

fn planned(task: &Task) -> PlannedTask {
    PlannedTask {
        id: task.id,
        service: task.service,
        node: task.node,
        desired: task.desired,
        state: task.status.state,
        reason: reason(task),
    }
}

fn reason(task: &Task) -> Cow<'static, str> {
    let status = &task.status;
    match status.state {
        TaskState::New | TaskState::Pending | TaskState::Assigned => {
            let text = [&status.err, &status.message];
            let text = text.into_iter().find(|text| !text.is_empty());
            text.cloned().unwrap_or_default().into()
        }
        _ => Cow::Borrowed(""),
    }
}

/// What an event did, to what.
pub fn happened(event: &Event) -> Option<(Done, Subject)> {
    match event {
        Event::Cluster(delta) => told(delta, cluster),
        Event::Node(delta) => told(delta, node),
        Event::Service(delta) => told(delta, service),
        Event::Task(delta) => {
            let from = delta.old.as_ref().map(|old| old.status.state);
            told(delta, |now| task(now, from))
        }
        Event::Network(delta) => told(delta, |network| {
            named("network", network.id.to_string(), network.name())
        }),
        Event::Attachment(delta) => told(delta, |attachment| {
            named("attachment", attachment.id.to_string(), &attachment.name)
        }),
        Event::Secret(delta) => told(delta, |secret| {
            named("secret", secret.id.to_string(), &secret.spec.name)
        }),
        Event::Config(delta) => told(delta, |config| {
            named("config", config.id.to_string(), &config.spec.name)
        }),
    }
}

fn told<T>(delta: &Delta<T>, subject: impl FnOnce(&T) -> Subject) -> Option<(Done, Subject)> {
    let done = match (&delta.old, &delta.new) {
        (None, Some(_)) => Done::Created,
        (Some(_), Some(_)) => Done::Updated,
        (_, None) => Done::Removed,
    };
    Some((done, subject(delta.last()?)))
}

fn cluster(cluster: &Cluster) -> Subject {
    Subject::Cluster {
        id: cluster.id.to_string(),
    }
}

fn node(node: &Node) -> Subject {
    Subject::Node {
        id: node.id,
        hostname: node.description.hostname.clone(),
        state: node.status.state.as_str(),
    }
}

fn service(service: &Service) -> Subject {
    let update = service.update_status.as_ref();
    Subject::Service {
        id: service.id,
        name: service.name.clone(),
        spec: service.spec,
        update: update.map_or("", |update| UpdateState::as_str(update.state)),
    }
}

fn task(task: &Task, from: Option<TaskState>) -> Subject {
    Subject::Task {
        id: task.id,
        service: task.service,
        slot: task.slot,
        node: task.node,
        desired: task.desired,
        from,
        state: task.status.state,
    }
}

/// Of what holds a payload, no more than its name.
fn named(of: &'static str, id: String, name: &str) -> Subject {
    Subject::Named {
        of,
        id,
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
