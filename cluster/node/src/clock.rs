//! Cluster time: taken once from the wall clock or the log, then advanced by elapsed time only.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;
use swarmrs_types::{ClusterTime, Timestamp};

/// A clock that no setting of the wall clock moves. Counts suspended time too.
#[derive(Clone, Copy, Debug)]
pub struct ClusterClock {
    base: ClusterTime,
    boot: Duration,
}

impl ClusterClock {
    /// Starts at the wall clock, or at the newest time in the log if that is later.
    pub fn start(newest: ClusterTime) -> Self {
        let wall = u64::try_from(Timestamp::now().unix_nanos()).unwrap_or(0);
        ClusterClock {
            base: newest.max(ClusterTime(wall)),
            boot: since_boot(),
        }
    }

    /// The time now.
    pub fn now(&self) -> ClusterTime {
        self.base.after(since_boot().saturating_sub(self.boot))
    }
}

fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map(Duration::from)
        .unwrap_or_default()
}
