//! The sync of the log that is under way, for whoever wants to know whether the disk keeps up.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What the disk is doing.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Beat>);

#[derive(Debug, Default)]
struct Beat {
    /// Syncs begun.
    number: u64,
    /// Since when the last of them goes on, and up to which entry; none if it has ended.
    under_way: Option<(Instant, Option<u64>)>,
}

/// A sync that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnderWay {
    pub number: u64,
    pub age: Duration,
    /// The last entry that will be durable after it.
    pub upto: Option<u64>,
}

impl Pulse {
    pub(crate) fn begin(&self, upto: Option<u64>) {
        let mut beat = self.beat();
        beat.number += 1;
        beat.under_way = Some((Instant::now(), upto));
    }

    pub(crate) fn end(&self) {
        self.beat().under_way = None;
    }

    pub(crate) fn under_way(&self) -> Option<UnderWay> {
        let beat = self.beat();
        beat.under_way.map(|(since, upto)| UnderWay {
            number: beat.number,
            age: since.elapsed(),
            upto,
        })
    }

    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.0.lock().expect("no holder panics")
    }
}
