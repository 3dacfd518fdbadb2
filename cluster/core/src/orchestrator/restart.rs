//! Replacing tasks that ended, by the policy they were made with, and letting replacements start.
//!
//! A task is never run twice: its replacement is a new task in the same slot. The replacement is
//! prepared at once but held by a gate until its delay is over and the old task has stopped.
//! Delays and attempts are data in the tasks, so a new leader goes on where the old one was.
//!
//! ```text
//!   ends by itself ─────▶ policy allows? ──▶ new task, gate: delay, old one stopped
//!   loses its node ─────▶ policy allows? ──▶ likewise, without delay: nothing of it failed
//!   fails while held ───▶ its own gate first: one attempt per delay, whatever is broken
//!   held, loses node ───▶ new task, same gate: nothing was started, so nothing is counted
//! ```

use super::dirty;
use super::lost::{is_given_up, stops_within};
use super::slot::{Slot, SlotKey, slots};
use super::task::{self, Place};
use crate::allocator::task::PENDING;
use crate::plan::{Draft, Ids};
use crate::state::State;
use std::time::Duration;
use swarmrs_types::default::{OLD_TASK_PATIENCE, RESTART_DELAY};
use swarmrs_types::object::{
    Gate, Node, NodeState, RestartHistory, Service, SpecVersion, Task, TaskOrigin,
};
use swarmrs_types::spec::{Availability, RestartCondition, RestartPolicy};
use swarmrs_types::{ClusterTime, ServiceId, TaskState};

/// A run shorter than this counts as a crash.
const QUICK: Duration = Duration::from_secs(10);
/// Running this long forgives earlier crashes.
const STEADY: Duration = Duration::from_secs(60);
/// Crashes in a row before the delay grows.
const PATIENT: u32 = 5;
/// Crashes never make the delay longer than this.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// The least wait after a task that never ran, and what a policy without a delay grows from: what
/// is broken may not keep the log busy. A task that ran and ended is replaced as fast as asked for.
const LEAST_DELAY: Duration = Duration::from_secs(1);

/// Replaces each task that is wanted but has ended or lost its node.
pub fn replace_ended(draft: &mut Draft<'_>, service: ServiceId, ids: &mut dyn Ids) {
    let Some(service) = draft.services().get(&service).cloned() else {
        return;
    };
    let Some(spec) = draft.current_spec(&service).cloned() else {
        return;
    };
    let lost: Vec<_> = draft
        .tasks_of_service(service.id)
        .filter(|task| task.desired.is_runnable() && !task.is_done())
        .filter(|task| task.status.state.is_terminal() || is_given_up(draft, &service, &spec, task))
        .cloned()
        .collect();
    if lost.is_empty() {
        return;
    }
    let slots = slots(draft, &service);
    for old in lost {
        if draft.is_full() {
            break;
        }
        if let Some(at) = failed_while_held(draft, &old) {
            draft.wake_at(at);
            continue;
        }
        task::want(draft, old.id, TaskState::Shutdown);
        let slot = SlotKey::of(&old).and_then(|key| slots.get(&key));
        let succeeded = slot.is_some_and(|slot| has_successor(draft, &service, slot, &old));
        if !succeeded && may_stay(draft, &spec, &old) {
            replace(draft, &service, &old, ids);
        }
    }
}

/// Whether another task of the slot is wanted in this one's place already, as in an update that
/// starts the new one first.
fn has_successor(state: &State, service: &Service, slot: &Slot, old: &Task) -> bool {
    let mut others = slot.runnable().filter(|task| task.id != old.id);
    others.any(|other| {
        (other.created, other.id) > (old.created, old.id) || !dirty::is_dirty(state, service, other)
    })
}

/// Whether a node keeps the tasks it has.
pub fn usable(node: &Node) -> bool {
    node.status.state != NodeState::Down && node.spec.availability != Availability::Drain
}

/// Until when a task that failed before its gate opened stands in for its replacement.
fn failed_while_held(draft: &Draft<'_>, task: &Task) -> Option<ClusterTime> {
    let failed = task.desired == TaskState::Ready && task.status.state.is_terminal();
    let opens = opens(draft, task)?;
    (failed && opens > draft.now).then_some(opens)
}

/// A task that is its node's own is replaced on its own node only, and only while the node is for it.
fn may_stay(state: &State, spec: &SpecVersion, task: &Task) -> bool {
    if !spec.spec.mode.is_global() {
        return true;
    }
    let node = task.node.and_then(|id| state.nodes().get(&id));
    node.is_some_and(|node| super::global::takes_new(spec, node))
}

fn replace(draft: &mut Draft<'_>, service: &Service, old: &Task, ids: &mut dyn Ids) {
    let held = old.desired == TaskState::Ready && !old.status.state.is_terminal();
    let successor = match old.gate {
        Some(gate) if held => Some(Successor {
            origin: old.origin,
            history: old.history.clone(),
            gate,
        }),
        _ => restarted(draft, service, old),
    };
    let Some(successor) = successor else { return };
    let place = Place {
        slot: old.slot,
        node: if old.slot == 0 { old.node } else { None },
    };
    let (origin, gate) = (successor.origin, Some(successor.gate));
    let id = task::create(draft, service, place, origin, gate, ids);
    draft.update_task(id, |task| {
        task.history = successor.history;
        if task.status.state == TaskState::Pending {
            task.status.message = explained(PENDING, task);
        }
    });
}

/// What a replacement is given beside its place.
struct Successor {
    origin: TaskOrigin,
    history: RestartHistory,
    gate: Gate,
}

/// What the policy gives the replacement of a task that had its turn; none if it wants no other.
fn restarted(draft: &Draft<'_>, service: &Service, old: &Task) -> Option<Successor> {
    let policy = policy(draft, old);
    if !allows(&policy, old, old.ended.unwrap_or(draft.now)) {
        return None;
    }
    let history = next_history(&policy, service, old, draft.now);
    let wait = if has_lost_its_node(old) {
        Duration::ZERO
    } else {
        let least = old.running_since.map_or(LEAST_DELAY, |_| Duration::ZERO);
        delay(&policy, history.quick_failures).max(least)
    };
    Some(Successor {
        origin: TaskOrigin::Restart,
        history,
        gate: Gate {
            not_before: draft.now.after(wait),
            after: Some(old.id),
            patience: draft
                .now
                .after(stops_within(draft, old).unwrap_or(OLD_TASK_PATIENCE)),
        },
    })
}

/// Whether what a task will end by is its node: one that has not ended is replaced for nothing else.
fn has_lost_its_node(old: &Task) -> bool {
    !old.status.state.is_terminal() || old.status.state == TaskState::Orphaned
}

/// The policy a task was made with.
fn policy(state: &State, task: &Task) -> RestartPolicy {
    let spec = state.spec_of(task);
    let policy = spec.and_then(|spec| spec.spec.task_template.restart_policy.clone());
    policy.unwrap_or_default()
}

/// Whether the policy wants another task after this one, which ended at that time.
fn allows(policy: &RestartPolicy, old: &Task, ended: ClusterTime) -> bool {
    let wanted = match &policy.condition {
        Some(RestartCondition::None) => false,
        Some(RestartCondition::OnFailure) => old.status.state != TaskState::Complete,
        _ => true,
    };
    wanted && has_attempts_left(policy, old, ended)
}

fn has_attempts_left(policy: &RestartPolicy, old: &Task, ended: ClusterTime) -> bool {
    let most = policy.max_attempts.unwrap_or(0);
    let counted = recent(policy, &old.history.restarts, ended);
    most == 0 || (counted.len() as u64) < most
}

/// The restarts that count against the limit at that time: all, or those in the policy's window.
fn recent(policy: &RestartPolicy, restarts: &[ClusterTime], at: ClusterTime) -> Vec<ClusterTime> {
    let window = policy.window.unwrap_or_default().duration();
    let counts = |time: &ClusterTime| window.is_zero() || at.since(*time) < window;
    restarts.iter().copied().filter(counts).collect()
}

/// What the replacement remembers. A new spec starts afresh.
fn next_history(
    policy: &RestartPolicy,
    service: &Service,
    old: &Task,
    now: ClusterTime,
) -> RestartHistory {
    if old.spec != service.spec {
        return RestartHistory::default();
    }
    let mut restarts = Vec::new();
    if policy.max_attempts.unwrap_or(0) > 0 {
        restarts = recent(policy, &old.history.restarts, now);
        restarts.push(now);
    }
    RestartHistory {
        restarts,
        quick_failures: quick_failures(old, now),
    }
}

/// Crashes in a row, this task's end included. One that failed before it was seen running crashed.
fn quick_failures(old: &Task, now: ClusterTime) -> u32 {
    let ran = match old.running_since {
        Some(since) => old.ended.unwrap_or(now).since(since),
        None => Duration::ZERO,
    };
    let known = old.history.quick_failures;
    match old.status.state {
        TaskState::Failed if ran < QUICK => known.saturating_add(1),
        _ if ran >= STEADY => 0,
        _ => known,
    }
}

/// The policy's delay, doubled for each crash after the first few.
fn delay(policy: &RestartPolicy, quick_failures: u32) -> Duration {
    let base = policy.delay.map_or(RESTART_DELAY, |delay| delay.duration());
    let doublings = quick_failures.saturating_sub(PATIENT).min(16);
    if doublings == 0 {
        return base;
    }
    let grown = base.max(LEAST_DELAY).saturating_mul(1 << doublings);
    grown.min(LONGEST_DELAY.max(base))
}

/// The message of a task, with why it is held longer than its policy says.
pub fn explained(message: &str, task: &Task) -> String {
    let crashes = task.history.quick_failures;
    match task.gate {
        Some(gate) if crashes > PATIENT => {
            let wait = gate.not_before.since(task.created);
            format!("{message}; restart delayed by {wait:?} after {crashes} crashes in a row")
        }
        _ => message.to_owned(),
    }
}

/// Whether the slot's last task has had its turn and its policy wants no other.
pub fn is_finished(state: &State, newest: &Task) -> bool {
    let ended = newest.ended.unwrap_or(state.time());
    newest.desired == TaskState::Shutdown && !allows(&policy(state, newest), newest, ended)
}

/// Lets held tasks start whose time has come.
pub fn open_gates(draft: &mut Draft<'_>, service: ServiceId) {
    let held: Vec<_> = draft
        .tasks_of_service(service)
        .filter(|task| task.desired == TaskState::Ready && !task.status.state.is_terminal())
        .cloned()
        .collect();
    for task in held {
        if draft.is_full() {
            break;
        }
        match opens(draft, &task) {
            Some(at) if at > draft.now => draft.wake_at(at),
            Some(_) => draft.update_task(task.id, |task| {
                task.desired = task.goal();
                task.gate = None;
            }),
            None => {}
        }
    }
}

/// When the gate of a held task opens, as far as is known now.
fn opens(state: &State, task: &Task) -> Option<ClusterTime> {
    let gate = task.gate?;
    Some(if is_blocked(state, gate) {
        gate.patience.max(gate.not_before)
    } else {
        gate.not_before
    })
}

/// Whether the task a gate waits for may still run. A held task that was given up meanwhile hands
/// on what it waited for itself.
fn is_blocked(state: &State, gate: Gate) -> bool {
    let mut next = gate.after;
    while let Some(old) = next.and_then(|id| state.tasks().get(&id)) {
        if may_still_run(state, old) {
            return true;
        }
        next = old.gate.and_then(|gate| gate.after);
    }
    false
}

fn may_still_run(state: &State, old: &Task) -> bool {
    let node = old.node.and_then(|id| state.nodes().get(&id));
    let answers = node.is_some_and(|node| node.status.state != NodeState::Down);
    let stops = stops_within(state, old).is_some();
    (answers || stops) && old.status.state >= TaskState::Assigned && !old.status.state.is_terminal()
}

#[cfg(test)]
mod tests;
