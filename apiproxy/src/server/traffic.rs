//! What passes through the servers, counted: an atomic addition or two for each request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use swarmrs_types::measure::Counter;

use crate::route::Class;

/// Statuses that HTTP knows: 100 to 599.
const STATUSES: usize = 500;
/// By class, and last the requests that were refused before they had one.
const CLASSES: [&str; 5] = ["ours", "merged", "rewritten", "raw", "none"];

/// Counted since the process began.
#[derive(Debug)]
pub struct Traffic {
    answers: Vec<Counter>,
    /// Clients connected now.
    pub connections: Gauge,
    /// Requests that have not been answered to the end: streams of events and logs are among them.
    pub requests: Gauge,
    /// Connections that carry raw bytes: attach, exec, build sessions.
    pub hijacked: Gauge,
}

impl Default for Traffic {
    fn default() -> Self {
        let counters = CLASSES.len() * STATUSES;
        Self {
            answers: (0..counters).map(|_| Counter::default()).collect(),
            connections: Gauge::default(),
            requests: Gauge::default(),
            hijacked: Gauge::default(),
        }
    }
}

impl Traffic {
    /// Notes an answer; no class: the request was refused before it was understood.
    pub(super) fn answered(&self, class: Option<Class>, status: u16) {
        let class = match class {
            Some(Class::Ours) => 0,
            Some(Class::Merged) => 1,
            Some(Class::Rewritten) => 2,
            Some(Class::Raw) => 3,
            None => 4,
        };
        let status = usize::from(status.clamp(100, 599)) - 100;
        if let Some(counter) = self.answers.get(class * STATUSES + status) {
            counter.add(1);
        }
    }

    /// Class, status and number of the answers that came up.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, usize, u64)> {
        let counted = self.answers.iter().map(Counter::get).enumerate();
        let came = counted.filter(|(_, count)| *count > 0);
        came.map(|(at, count)| (CLASSES[at / STATUSES], at % STATUSES + 100, count))
    }
}

/// How many there are now. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// One more, until the answer is dropped.
    pub(super) fn enter(&self) -> Present {
        self.0.fetch_add(1, Ordering::Relaxed);
        Present(self.0.clone())
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One that is counted.
#[derive(Debug)]
pub(super) struct Present(Arc<AtomicU64>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class_and_status() {
        let traffic = Traffic::default();
        traffic.answered(Some(Class::Ours), 200);
        traffic.answered(Some(Class::Ours), 200);
        traffic.answered(Some(Class::Raw), 101);
        traffic.answered(None, 400);
        let answers: Vec<_> = traffic.answers().collect();
        assert_eq!(
            answers,
            [("ours", 200, 2), ("raw", 101, 1), ("none", 400, 1)]
        );
    }

    #[test]
    fn what_is_dropped_counts_no_more() {
        let gauge = Gauge::default();
        let (one, two) = (gauge.enter(), gauge.enter());
        assert_eq!(gauge.get(), 2);
        drop((one, two));
        assert_eq!(gauge.get(), 0);
    }
}
