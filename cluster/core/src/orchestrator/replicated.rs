//! Replicated services: as many slots as replicas.

use super::slot::{Slot, SlotKey, Standing, slots};
use super::task::{self, Place};
use crate::change::Key;
use crate::plan::{Draft, Ids};
use std::collections::{BTreeMap, BTreeSet};
use swarmrs_types::object::{Service, TaskOrigin};
use swarmrs_types::{NodeId, ServiceId, TaskState};

/// Makes missing slots, gives up surplus ones, forgets dead ones.
pub fn reconcile(draft: &mut Draft<'_>, service: ServiceId, ids: &mut dyn Ids) {
    let Some(service) = draft.services().get(&service).cloned() else {
        return;
    };
    let Some(spec) = draft.current_spec(&service).cloned() else {
        return;
    };
    let Some(mode) = &spec.spec.mode.replicated else {
        return;
    };
    let replicas = mode.replicas.unwrap_or(1);
    let (live, dead) = split(draft, &service);
    for victim in victims(&live, replicas) {
        if draft.is_full() {
            return;
        }
        for task in &live[&victim].0 {
            task::want(draft, task.id, TaskState::Remove);
        }
    }
    let reused = create_missing(draft, &service, &live, replicas, ids);
    for (key, slot) in dead {
        if draft.is_full() {
            return;
        }
        if !matches!(key, SlotKey::Number(number) if reused.contains(&number)) {
            forget(draft, &slot);
        }
    }
}

type Slots = BTreeMap<SlotKey, Slot>;

/// Slots that count and slots that do not.
fn split(draft: &Draft<'_>, service: &Service) -> (Slots, Slots) {
    slots(draft, service)
        .into_iter()
        .partition(|(_, slot)| slot.standing(draft) != Standing::Dead)
}

/// Fills the lowest free numbers; returns them. Stops when the plan is full.
fn create_missing(
    draft: &mut Draft<'_>,
    service: &Service,
    live: &Slots,
    replicas: u64,
    ids: &mut dyn Ids,
) -> BTreeSet<u64> {
    let missing = replicas.saturating_sub(live.len() as u64);
    let free = (1u64..).filter(|number| !live.contains_key(&SlotKey::Number(*number)));
    let mut made = BTreeSet::new();
    for slot in free.take(usize::try_from(missing).unwrap_or(usize::MAX)) {
        if draft.is_full() {
            break;
        }
        let place = Place { slot, node: None };
        task::create(draft, service, place, TaskOrigin::Scale, None, ids);
        made.insert(slot);
    }
    made
}

/// Which slots go when there are more than `replicas`: first those in the middle of something or
/// without a node, then those on the nodes with most of the service, of these those that do not
/// run, of these the highest numbers.
fn victims(live: &Slots, replicas: u64) -> Vec<SlotKey> {
    let mut order: Vec<(&SlotKey, &Slot)> = live.iter().collect();
    order.sort_by_key(|(key, slot)| (!is_running(slot), **key));
    let mut on_node: BTreeMap<NodeId, u64> = BTreeMap::new();
    let mut ranked: Vec<(u64, usize, SlotKey)> = Vec::with_capacity(order.len());
    for (position, (key, slot)) in order.into_iter().enumerate() {
        let rank = only_node(slot).map_or(u64::MAX, |node| {
            let count = on_node.entry(node).or_default();
            *count += 1;
            *count
        });
        ranked.push((rank, position, *key));
    }
    ranked.sort();
    let keep = usize::try_from(replicas).unwrap_or(usize::MAX);
    let surplus = ranked.into_iter().skip(keep);
    surplus.map(|(_, _, key)| key).collect()
}

fn is_running(slot: &Slot) -> bool {
    slot.runnable()
        .any(|task| task.status.state == TaskState::Running)
}

/// The node of a slot with exactly one task that counts: the one wanted to run, or in a slot that
/// finished the last.
fn only_node(slot: &Slot) -> Option<NodeId> {
    let mut runnable = slot.runnable();
    match (runnable.next(), runnable.next()) {
        (Some(task), None) => task.node,
        (None, _) => slot.newest().and_then(|task| task.node),
        (Some(_), Some(_)) => None,
    }
}

/// A slot that is not wanted any more leaves no history once all its tasks have ended.
fn forget(draft: &mut Draft<'_>, slot: &Slot) {
    for task in &slot.0 {
        if task.status.state.is_terminal() {
            draft.remove(Key::Task(task.id));
        } else {
            task::want(draft, task.id, TaskState::Remove);
        }
    }
}

#[cfg(test)]
mod tests;
