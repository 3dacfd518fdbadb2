//! What a store shows of itself: where it stands, and how long its writes take.

use crate::pulse::Pulse;
use std::sync::Arc;
use swarmrs_types::measure::{Counter, Histogram};

/// Where a member stands. Each figure is right; together they may be some entries apart.
#[derive(Clone, Debug)]
pub struct Figures {
    pub term: u64,
    pub is_leader: bool,
    /// Whether a leader is known, this member or another.
    pub has_leader: bool,
    /// The last entry in the log, and the last applied.
    pub last_index: u64,
    pub applied: u64,
    /// Bytes of the log since the last snapshot.
    pub log_bytes: u64,
    pub measures: Arc<Measures>,
}

/// Counted since the store was opened.
#[derive(Debug, Default)]
pub struct Measures {
    /// From a proposal until it was applied or refused.
    pub proposals: Histogram,
    /// Proposals that did not become part of the state.
    pub refused: Counter,
    /// How often the state here was found not to be the leader's.
    pub differing: Counter,
    /// Syncs of the log.
    pub syncs: Histogram,
    /// The one that goes on now.
    pub(crate) pulse: Pulse,
}
