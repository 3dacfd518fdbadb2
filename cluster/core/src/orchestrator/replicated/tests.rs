//! Which slots are given up.

use super::*;
use crate::orchestrator::tests::{id, task};
use std::sync::Arc;
use swarmrs_types::object::Task;

fn on(slot: u64, node: &str) -> (SlotKey, Slot) {
    let mut one = task("t", slot);
    one.node = (!node.is_empty()).then(|| id(node));
    of(slot, vec![one])
}

fn of(slot: u64, tasks: Vec<Task>) -> (SlotKey, Slot) {
    let tasks = tasks.into_iter().map(Arc::new).collect();
    (SlotKey::Number(slot), Slot(tasks))
}

fn given_up(slots: impl IntoIterator<Item = (SlotKey, Slot)>, keep: u64) -> Vec<u64> {
    let numbers = victims(&slots.into_iter().collect(), keep);
    let number = |key| match key {
        SlotKey::Number(number) => number,
        SlotKey::Node(_) => 0,
    };
    let mut numbers: Vec<_> = numbers.into_iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn the_fullest_node_gives_first() {
    let slots = || [on(1, "n1"), on(2, "n1"), on(3, "n1"), on(4, "n2")];
    assert_eq!(given_up(slots(), 3), [3]);
    assert_eq!(given_up(slots(), 2), [2, 3]);
    assert_eq!(given_up(slots(), 1), [2, 3, 4]);
}

#[test]
fn of_equals_the_highest_number_goes() {
    assert_eq!(given_up([on(1, "n1"), on(2, "n2"), on(3, "n3")], 2), [3]);
}

#[test]
fn a_slot_without_a_node_goes_before_all() {
    assert_eq!(given_up([on(1, ""), on(2, "n1"), on(3, "n1")], 2), [1]);
}

#[test]
fn a_slot_in_the_middle_of_an_update_goes_before_all() {
    let pair = of(1, vec![task("a", 1), task("b", 1)]);
    assert_eq!(given_up([pair, on(2, "n1"), on(3, "n1")], 2), [1]);
}

#[test]
fn on_one_node_what_does_not_run_goes_first() {
    let mut starting = task("t", 1);
    starting.status.state = TaskState::Starting;
    assert_eq!(
        given_up([of(1, vec![starting]), on(2, "n1"), on(3, "n1")], 2),
        [1]
    );
}

#[test]
fn nothing_goes_while_there_are_not_too_many() {
    assert_eq!(given_up([on(1, "n1"), on(2, "")], 2), [0u64; 0]);
}
