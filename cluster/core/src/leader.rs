//! The leader's step: from what is to what should be, one bounded plan at a time.
//!
//! Nodes that are not heard of are down. Nodes that changed lose what does not fit them any more.
//! Each line of [`decide`] looks at one service, over the state with the plan so far laid on it; then
//! all waiting tasks are placed. When the plan is committed its events come back as notes on the
//! agenda; when there is nothing left to do the plan is empty.

use crate::agenda::Agenda;
use crate::change::Key;
use crate::control::network;
use crate::orchestrator::{global, job, orphan, replicated, restart, update};
use crate::plan::{Draft, Ids, Plan};
use crate::state::State;
use crate::{allocator, enforcer, reaper, scheduler};
use swarmrs_types::{ClusterTime, ServiceId};

/// A plan larger than this is sent before more is planned. A command may hold 500: what is under
/// way when this is reached is finished first.
pub const MOST_CHANGES: usize = 400;

/// Services looked at in one step.
const MOST_SERVICES: usize = 100;

/// One step. The plan is empty when nothing needs doing before `wake_at`.
pub fn step(state: &State, agenda: &mut Agenda, now: ClusterTime, ids: &mut dyn Ids) -> Plan {
    let mut draft = Draft::new(state, now);
    network::complete(&mut draft, ids);
    agenda.liveness_mut().judge(&mut draft);
    for node in agenda.take_nodes() {
        if !draft.is_full() {
            allocator::node::admit(&mut draft, node);
        }
        if draft.is_full() || !enforcer::enforce(&mut draft, node) {
            agenda.node_again(node);
        }
    }
    let services = agenda.take_services(now, MOST_SERVICES);
    for service in &services {
        if !draft.is_full() {
            decide(&mut draft, *service, ids);
            if let Some(time) = draft.take_wake() {
                agenda.wake(*service, time);
            }
        }
        if draft.is_full() {
            agenda.again(*service);
        }
    }
    scheduler::place(&mut draft, agenda, &services);
    let mut plan = draft.finish();
    plan.wake_at = agenda.next_wake();
    plan
}

/// All that is decided for one service, present or removed. Surplus slots go before an update is
/// rolled on, so that none is replaced only to be removed.
fn decide(draft: &mut Draft<'_>, service: ServiceId, ids: &mut dyn Ids) {
    let before = draft.changes();
    orphan::give_up(draft, service);
    job::reconcile(draft, service, ids);
    restart::replace_ended(draft, service, ids);
    replicated::reconcile(draft, service, ids);
    global::reconcile(draft, service, ids);
    update::roll(draft, service, ids);
    allocator::task::admit(draft, service);
    restart::open_gates(draft, service);
    reaper::reap(draft, service);
    if draft.changes() > before {
        draft.guard(Key::Service(service));
    }
}

#[cfg(test)]
mod tests;
