//! Cluster time: taken once from the wall clock or the log, then advanced by elapsed time only.

use nix::time::{ClockId, clock_gettime};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swarmrs_types::{ClusterTime, Timestamp};

/// A clock that no setting of the wall clock moves. Counts suspended time too. Clones are one clock.
///
/// The leader's is the cluster's. The others go by what it last wrote, so that a wall clock which is
/// wrong is nobody's concern until its machine leads, and then moves nothing back.
#[derive(Clone, Debug)]
pub struct ClusterClock(Arc<Mutex<Base>>);

#[derive(Clone, Copy, Debug)]
struct Base {
    time: ClusterTime,
    boot: Duration,
    /// Whether it is the cluster's time, and not only the last that was written before this start.
    is_heard: bool,
}

impl Base {
    fn now(&self) -> ClusterTime {
        self.time.after(since_boot().saturating_sub(self.boot))
    }
}

impl ClusterClock {
    /// Starts at the newest time in the log.
    pub fn start(newest: ClusterTime) -> Self {
        ClusterClock(Arc::new(Mutex::new(Base {
            time: newest,
            boot: since_boot(),
            is_heard: false,
        })))
    }

    /// The time now.
    pub fn now(&self) -> ClusterTime {
        self.base(|base| base.now())
    }

    /// This machine takes the lead: its clock goes on from what it heard of the leader before. One that heard none since it
    /// was started does not know for how long there was none; then the wall clock counts, unless the log is later.
    pub fn lead(&self, newest: ClusterTime) {
        let wall = u64::try_from(Timestamp::now().unix_nanos()).unwrap_or(0);
        self.base(|base| {
            let wall = if base.is_heard { 0 } else { wall };
            *base = Base {
                time: base.now().max(newest).max(ClusterTime(wall)),
                boot: since_boot(),
                is_heard: true,
            };
        });
    }

    /// An entry of this time was applied; with a leader, `is_led`, it wrote it just now, or a little ago.
    pub fn follow(&self, leaders: ClusterTime, is_led: bool) {
        self.base(|base| {
            *base = Base {
                time: leaders,
                boot: since_boot(),
                is_heard: base.is_heard || is_led,
            };
        });
    }

    fn base<T>(&self, act: impl FnOnce(&mut Base) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map(Duration::from)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_the_lead_never_goes_back_and_who_follows_goes_by_the_leader() {
        let clock = ClusterClock::start(ClusterTime(5));
        assert!(clock.now() >= ClusterTime(5) && clock.now() < ClusterTime(u64::MAX / 2));
        let late = ClusterTime(u64::MAX / 2);
        clock.lead(late);
        assert!(clock.now() >= late);
        clock.lead(ClusterTime(7));
        assert!(clock.now() >= late);
        clock.follow(ClusterTime(7), true);
        assert!(clock.now() < late);
    }

    #[test]
    fn a_wall_clock_counts_only_where_no_leader_was_heard() {
        let hour = ClusterTime(3_600_000_000_000);
        let clock = ClusterClock::start(ClusterTime(5));
        clock.follow(ClusterTime(7), true);
        clock.lead(ClusterTime(7));
        assert!(clock.now() < hour);
        let clock = ClusterClock::start(ClusterTime(5));
        clock.follow(ClusterTime(7), false);
        clock.lead(ClusterTime(7));
        assert!(clock.now() > hour);
    }
}
