//! Where ids come from: the kernel's randomness.

use swarmrs_core::Ids;
use swarmrs_types::RawId;
use swarmrs_types::id::RANDOM_BYTES;

/// Draws each id anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn next(&mut self) -> RawId {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).expect("the kernel has a random source");
        RawId::from_random(bytes)
    }
}

/// A Raft id: random, positive, never used twice.
pub fn raft_id() -> u64 {
    (draw() >> 1).max(1)
}

/// A number that nobody can foresee.
pub fn draw() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the kernel has a random source");
    u64::from_be_bytes(bytes)
}
