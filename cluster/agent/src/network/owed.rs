//! What the plane is yet to be told. Pure.
//!
//! Differences that gather while the plane is busy become one; after a failure nobody knows how far the plane came, and
//! the next telling is of everything.

use super::facts::Facts;
use std::collections::BTreeMap;
use swarmrs_types::endpoint::{Fact, FactDiff, FactKey};

/// Changes not told yet; of a key only the latest.
#[derive(Debug, Default)]
pub struct Owed {
    changes: BTreeMap<FactKey, Option<Fact>>,
    whole: bool,
    last: u64,
}

/// What to tell the plane next.
#[derive(Debug, PartialEq)]
pub struct Telling {
    pub diff: FactDiff,
    pub complete: bool,
    /// The number of the last change in it.
    pub last: u64,
}

impl Owed {
    /// Adds a difference and numbers it.
    pub fn add(&mut self, diff: FactDiff, complete: bool) -> u64 {
        self.whole |= complete;
        for key in diff.remove {
            self.changes.insert(key, None);
        }
        for fact in diff.put {
            self.changes.insert(fact.key(), Some(fact));
        }
        self.last += 1;
        self.last
    }

    /// The number of the last change that was added.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Everything is owed again.
    pub fn everything(&mut self) {
        self.whole = true;
    }

    /// Takes what is owed; `facts` is what all changes so far come to.
    pub fn take(&mut self, facts: &Facts) -> Option<Telling> {
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() && !self.whole {
            return None;
        }
        let complete = std::mem::take(&mut self.whole);
        let diff = match complete {
            true => facts.whole(),
            false => difference(changes),
        };
        let last = self.last;
        Some(Telling {
            diff,
            complete,
            last,
        })
    }
}

fn difference(changes: BTreeMap<FactKey, Option<Fact>>) -> FactDiff {
    let mut diff = FactDiff::default();
    for (key, fact) in changes {
        match fact {
            Some(fact) => diff.put.push(fact),
            None => diff.remove.push(key),
        }
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{network, network_id};
    use super::*;

    fn put(n: u8, name: &str) -> FactDiff {
        FactDiff {
            put: vec![Fact::Network(network(n, name))],
            remove: Vec::new(),
        }
    }

    fn remove(n: u8) -> FactDiff {
        FactDiff {
            put: Vec::new(),
            remove: vec![FactKey::Network(network_id(n))],
        }
    }

    #[test]
    fn differences_that_gather_become_one() {
        let mut owed = Owed::default();
        owed.add(put(1, "a"), false);
        owed.add(remove(2), false);
        owed.add(put(2, "b"), false);
        assert_eq!(owed.add(remove(1), false), 4);
        let telling = owed.take(&Facts::default()).unwrap();
        assert_eq!(telling.diff.put, put(2, "b").put);
        assert_eq!(telling.diff.remove, remove(1).remove);
        assert_eq!((telling.complete, telling.last), (false, 4));
        assert_eq!(owed.take(&Facts::default()), None);
    }

    #[test]
    fn after_a_failure_everything_is_told() {
        let mut facts = Facts::default();
        let mut owed = Owed::default();
        facts.take(&put(1, "a"), true);
        owed.add(put(1, "a"), true);
        assert!(owed.take(&facts).unwrap().complete);
        facts.take(&put(2, "b"), false);
        owed.add(put(2, "b"), false);
        owed.take(&facts).unwrap();
        owed.everything();
        let again = owed.take(&facts).unwrap();
        assert_eq!((again.complete, again.diff.put.len()), (true, 2));
    }

    #[test]
    fn an_empty_complete_set_is_told_too() {
        let mut owed = Owed::default();
        owed.add(FactDiff::default(), true);
        let telling = owed.take(&Facts::default()).unwrap();
        assert!(telling.complete && telling.diff.is_empty());
    }
}
