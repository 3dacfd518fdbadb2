//! Making a task.

use crate::allocator;
use crate::allocator::address::Exhausted;
use crate::allocator::task::PENDING;
use crate::plan::{Draft, Ids};
use swarmrs_types::object::{Gate, RestartHistory, Service, Task, TaskOrigin, TaskStatus};
use swarmrs_types::{NodeId, TaskId, TaskState};

/// Where a new task goes: its slot, or for a global service its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub slot: u64,
    pub node: Option<NodeId>,
}

/// Makes a task of the service's current spec. With a gate it is prepared and held; without one it
/// starts as soon as it can. It is born PENDING with its addresses, or NEW while there are none for it.
pub fn create(
    draft: &mut Draft<'_>,
    service: &Service,
    place: Place,
    origin: TaskOrigin,
    gate: Option<Gate>,
    ids: &mut dyn Ids,
) -> TaskId {
    let id = TaskId(ids.next());
    let spec = draft.current_spec(service).cloned();
    let found = spec.map(|spec| allocator::task::networks(draft, &spec.spec));
    let (networks, lacks) = match found {
        Some(Ok(networks)) => (networks, None),
        Some(Err(lacks)) => (Vec::new(), Some(lacks)),
        None => (Vec::new(), None),
    };
    let mut task = Task {
        id,
        meta: Default::default(),
        service: service.id,
        spec: service.spec,
        slot: place.slot,
        iteration: service.job.map(|job| job.iteration),
        node: place.node,
        desired: TaskState::Ready,
        status: first_status(draft, lacks),
        created: draft.now,
        origin,
        gate,
        running_since: None,
        ended: None,
        history: RestartHistory::default(),
        resources: Vec::new(),
        networks,
        unknown: Default::default(),
    };
    if gate.is_none() {
        task.desired = task.goal();
    }
    draft.put_task(task);
    id
}

fn first_status(draft: &mut Draft<'_>, lacks: Option<Exhausted>) -> TaskStatus {
    if let Some(next) = lacks.as_ref().and_then(|lacks| lacks.next) {
        draft.wake_at(next);
    }
    let (state, message) = match lacks {
        Some(_) => (TaskState::New, "created"),
        None => (TaskState::Pending, PENDING),
    };
    TaskStatus {
        at: draft.now.shown(),
        state,
        message: message.to_owned(),
        err: lacks.map_or_else(String::new, |lacks| lacks.to_string()),
        ..TaskStatus::default()
    }
}

/// Wants a task at a later state of life; never an earlier one. A task that no node has heard of
/// is stopped by saying so.
pub fn want(draft: &mut Draft<'_>, id: TaskId, desired: TaskState) {
    let now = draft.now;
    draft.update_task(id, |task| {
        task.desired = task.desired.max(desired);
        if task.desired == TaskState::Shutdown && task.status.state < TaskState::Assigned {
            task.status.state = TaskState::Shutdown;
            task.status.message = "shutdown".to_owned();
            // Why no node would have it is no reason for this end.
            task.status.err.clear();
            task.status.at = now.shown();
            task.ended = Some(now);
        }
    });
}
