//! What a message changes.

use super::*;
use crate::id::NodeId;

fn node(number: u8) -> NodeId {
    format!("{number:025}").parse().unwrap()
}

fn peer(number: u8, index: u16) -> Fact {
    Fact::Peer(Peer {
        node: node(number),
        index,
        data_path: IpAddr::from([192, 0, 2, number]),
        ingress: None,
    })
}

fn put(facts: &[Fact]) -> FactDiff {
    FactDiff {
        put: facts.to_vec(),
        remove: Vec::new(),
    }
}

#[test]
fn what_is_known_already_changes_nothing() {
    let facts: Facts = [peer(1, 1), peer(2, 2)].into_iter().collect();
    let changes = facts.changes(&put(&[peer(1, 1), peer(2, 7), peer(3, 3)]), false);
    assert_eq!(changes, put(&[peer(2, 7), peer(3, 3)]));
}

#[test]
fn a_complete_message_takes_away_what_it_does_not_say() {
    let facts: Facts = [peer(1, 1), peer(2, 2)].into_iter().collect();
    let changes = facts.changes(&put(&[peer(2, 2)]), true);
    let wanted = FactDiff {
        put: Vec::new(),
        remove: vec![FactKey::Peer(node(1))],
    };
    assert_eq!(changes, wanted);
    let mut after = facts;
    after.apply(&changes);
    assert_eq!(after, [peer(2, 2)].into_iter().collect());
}

#[test]
fn what_is_put_and_removed_in_one_is_there() {
    let mut facts: Facts = [peer(1, 1)].into_iter().collect();
    let both = FactDiff {
        put: vec![peer(1, 1)],
        remove: vec![FactKey::Peer(node(1)), FactKey::Peer(node(9))],
    };
    let changes = facts.changes(&both, false);
    assert_eq!(changes, FactDiff::default());
    facts.apply(&both);
    assert_eq!(facts, [peer(1, 1)].into_iter().collect());
}
