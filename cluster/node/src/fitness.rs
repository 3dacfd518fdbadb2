//! Whether a manager that leads is fit to: with a disk that is slower than another's, or full, it hands the lead over.
//!
//! A slow disk shows by a sync that goes on while another voter has the same entries on its own already. One such sync is a
//! disk that was busy for once; some in a row, or one that does not end, are a disk that should not lead. Where all disks
//! are slow nobody is ahead, and nothing would be gained.

use crate::desk::Desk;
use crate::presence::Presence;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarmrs_core::Event;
use swarmrs_store::{Lag, Store};
use tracing::{info, warn};

/// Between two looks of a leader that has others beside it.
const LOOK: Duration = Duration::from_millis(250);

/// A sync that takes so long is slow.
const SLOW: Duration = Duration::from_millis(400);

/// So many slow syncs in a row, without a quick one between, are too many.
const STRIKES: usize = 3;

/// One that takes so long is enough.
const STUCK: Duration = Duration::from_secs(3);

/// After a hand-over, or an attempt at one: the next leader may be worse, and gives it back.
const AGAIN: Duration = Duration::from_secs(20);

/// Why a leader is not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    Slow { strikes: usize },
    Stuck { millis: u128 },
    Full { free: u64, reserve: u64 },
}

/// Watches for as long as the store is open.
pub async fn watch(desk: Arc<Desk>, presence: Arc<Presence>) {
    let mut leadership = desk.store.leadership();
    let mut nodes = desk.store.bell(|event| matches!(event, Event::Node(_)));
    let mut strain = Strain::default();
    let mut tried: Option<Instant> = None;
    loop {
        if leadership.wait_for(|now| now.is_leader).await.is_err() {
            return;
        }
        // A lone manager has nobody to hand over to, and is to cost nothing when nothing happens.
        let is_alone = desk.store.members().len() < 2;
        tokio::select! {
            () = tokio::time::sleep(LOOK), if !is_alone => {}
            open = nodes.rung(), if is_alone => if !open { return },
        }
        let unfit = full(&desk.store).or_else(|| strain.judge(desk.store.lag()));
        let Some(unfit) = unfit.filter(|_| tried.is_none_or(|at| at.elapsed() > AGAIN)) else {
            continue;
        };
        tried = Some(Instant::now());
        strain = Strain::default();
        hand_over(&desk, &presence.short_of_space(&desk.store), unfit).await;
    }
}

async fn hand_over(desk: &Desk, but_not_to: &BTreeSet<u64>, why: Unfit) {
    let leads = desk.store.leadership().borrow().is_leader;
    if !leads {
        return;
    }
    match desk.store.hand_over_but(but_not_to).await {
        Ok(leader) => warn!(
            ?why,
            to = leader.address,
            "not fit to lead: the lead is handed over"
        ),
        Err(error) => info!(?why, %error, "not fit to lead, and nobody else is"),
    }
}

/// Whether so little is free that nothing is proposed.
pub fn full(store: &Store) -> Option<Unfit> {
    let (free, reserve) = store.space().ok()?;
    (free < reserve).then_some(Unfit::Full { free, reserve })
}

/// What a leader's disk was seen to do.
#[derive(Debug, Default)]
struct Strain {
    /// The slow syncs since the last quick one.
    slow: usize,
    /// The last sync that was seen to be slow.
    last: Option<u64>,
}

impl Strain {
    /// What a look at the sync under way means.
    fn judge(&mut self, seen: Option<Lag>) -> Option<Unfit> {
        let lag = seen?;
        // Numbers between two slow ones were quick.
        if self.last.is_some_and(|last| lag.sync > last + 1) {
            self.slow = 0;
        }
        if lag.age < SLOW || !lag.is_overtaken {
            return None;
        }
        if self.last != Some(lag.sync) {
            self.slow += 1;
            self.last = Some(lag.sync);
        }
        if lag.age >= STUCK {
            return Some(Unfit::Stuck {
                millis: lag.age.as_millis(),
            });
        }
        (self.slow >= STRIKES).then_some(Unfit::Slow { strikes: self.slow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(sync: u64, millis: u64) -> Option<Lag> {
        Some(Lag {
            sync,
            age: Duration::from_millis(millis),
            is_overtaken: true,
        })
    }

    #[test]
    fn slow_syncs_in_a_row_are_too_many() {
        let mut strain = Strain::default();
        assert_eq!(strain.judge(lag(7, 250)), None);
        assert_eq!(strain.judge(lag(7, 500)), None);
        assert_eq!(strain.judge(lag(7, 750)), None);
        assert_eq!(strain.judge(None), None);
        assert_eq!(strain.judge(lag(8, 600)), None);
        assert_eq!(strain.judge(lag(9, 100)), None);
        assert_eq!(strain.judge(lag(9, 400)), Some(Unfit::Slow { strikes: 3 }));
    }

    #[test]
    fn a_quick_one_between_them_forgives() {
        let mut strain = Strain::default();
        for sync in [7, 9, 11, 13, 15] {
            assert_eq!(strain.judge(lag(sync, 900)), None);
        }
    }

    #[test]
    fn one_that_does_not_end_is_enough() {
        let mut strain = Strain::default();
        assert_eq!(strain.judge(lag(7, 2_900)), None);
        let stuck = Some(Unfit::Stuck { millis: 3_100 });
        assert_eq!(strain.judge(lag(7, 3_100)), stuck);
    }

    #[test]
    fn where_nobody_is_ahead_nobody_else_is_better() {
        let mut strain = Strain::default();
        for sync in 7..20 {
            let seen = lag(sync, 5_000).map(|lag| Lag {
                is_overtaken: false,
                ..lag
            });
            assert_eq!(strain.judge(seen), None);
        }
    }
}
