//! Which secrets and configs a node has: those that its tasks ask for, each told once, until no task needs it.

use crate::change::Event;
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use swarmrs_types::assignment::{Payload, PayloadDiff, PayloadId};
use swarmrs_types::object::Task;
use swarmrs_types::{NodeId, TaskId, TaskState};

/// What one session has told its node, and for which tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told(BTreeMap<PayloadId, BTreeSet<TaskId>>);

impl Told {
    /// The beginning of a session: all that the node's tasks may need.
    pub fn complete(state: &State, node: NodeId) -> (Told, PayloadDiff) {
        let mut told = Told::default();
        let mut diff = PayloadDiff::default();
        for task in state.tasks_of_node(node) {
            told.follow(state, task, needs(task), &mut diff);
        }
        (told, diff)
    }

    /// What an applied entry changes. `state` is the state after it.
    pub fn difference(&mut self, state: &State, node: NodeId, events: &[Event]) -> PayloadDiff {
        let mut diff = PayloadDiff::default();
        for event in events {
            let Event::Task(delta) = event else { continue };
            let Some(task) = delta.last().filter(|task| task.node == Some(node)) else {
                continue;
            };
            let needed = delta.new.as_deref().is_some_and(needs);
            self.follow(state, task, needed, &mut diff);
        }
        diff
    }

    fn follow(&mut self, state: &State, task: &Task, needed: bool, diff: &mut PayloadDiff) {
        let spec = state.spec_of(task);
        let container = spec.and_then(|spec| spec.spec.task_template.container_spec.as_ref());
        match container {
            Some(container) if needed => {
                for id in PayloadId::of(container) {
                    self.tell(state, id, task.id, diff);
                }
            }
            _ => self.release(task.id, diff),
        }
    }

    /// One that the cluster has forgotten cannot be told: the task will say what it lacks.
    fn tell(&mut self, state: &State, id: PayloadId, task: TaskId, diff: &mut PayloadDiff) {
        let is_news = !self.0.contains_key(&id);
        self.0.entry(id).or_default().insert(task);
        if is_news {
            diff.add.extend(content(state, id));
        }
    }

    fn release(&mut self, task: TaskId, diff: &mut PayloadDiff) {
        self.0.retain(|id, users| {
            users.remove(&task);
            if users.is_empty() {
                diff.add.retain(|payload| payload.id != *id);
                diff.forget.push(*id);
            }
            !users.is_empty()
        });
    }
}

/// A task that has ended needs nothing: it is never started again.
fn needs(task: &Task) -> bool {
    (TaskState::Assigned..=TaskState::Running).contains(&task.status.state)
}

fn content(state: &State, id: PayloadId) -> Option<Payload> {
    let (data, templating) = match id {
        PayloadId::Secret(id) => {
            let secret = state.secrets().get(&id)?;
            (secret.spec.data.clone(), secret.spec.templating.clone())
        }
        PayloadId::Config(id) => {
            let config = state.configs().get(&id)?;
            (config.spec.data.clone(), config.spec.templating.clone())
        }
    };
    Some(Payload {
        id,
        data,
        templating,
    })
}

#[cfg(test)]
mod tests;
