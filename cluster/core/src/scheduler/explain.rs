//! Why no node was found, in Docker's words.

use super::filter::Reason;
use std::collections::BTreeMap;

/// Refusing nodes, counted by reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusals(BTreeMap<Reason, usize>);

impl Refusals {
    pub fn add(&mut self, reason: Reason) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// The reasons, those of most nodes first.
    pub fn reasons(&self) -> String {
        let mut counted: Vec<_> = self.0.iter().collect();
        counted.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), **reason));
        let texts: Vec<_> = counted
            .iter()
            .map(|(reason, count)| reason.explain(**count))
            .collect();
        texts.join("; ")
    }

    /// What a task says that waits for any node.
    pub fn no_suitable_node(&self) -> String {
        if self.0.is_empty() {
            "no suitable node".to_owned()
        } else {
            format!("no suitable node ({})", self.reasons())
        }
    }
}
