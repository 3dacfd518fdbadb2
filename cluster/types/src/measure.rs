//! Measures: counters and histograms that cost an atomic addition and are read at any time.
//!
//! A component owns its measures and shows them through its handle; nothing is registered anywhere,
//! so two nodes in one process do not count together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts what happened. Never goes back.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper ends of the buckets in microseconds: from a sync of a fast disk to an image pull.
const BOUNDS: [u64; 15] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
];

/// How long things took.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each bound, and one for what took longer.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// What a histogram holds at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Upper end in seconds, and how many took at most that long.
    pub buckets: Vec<(f64, u64)>,
    pub count: u64,
    /// Seconds.
    pub sum: f64,
}

impl Histogram {
    /// Notes that something took this long.
    pub fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was noted so far. The count is that of the buckets, so the two always agree.
    pub fn read(&self) -> Distribution {
        let mut count = 0;
        let mut counted = self.buckets.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let seconds = BOUNDS.map(|bound| bound as f64 / 1e6);
        let buckets = seconds.into_iter().zip(counted.by_ref()).collect();
        let count = counted.last().unwrap_or_default();
        Distribution {
            buckets,
            count,
            sum: self.nanos.load(Ordering::Relaxed) as f64 / 1e9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_every_bucket_that_reaches_it() {
        let histogram = Histogram::default();
        histogram.note(Duration::from_micros(100));
        histogram.note(Duration::from_millis(3));
        histogram.note(Duration::from_secs(1_000));
        let read = histogram.read();
        let at_most = |seconds: f64| read.buckets.iter().find(|(end, _)| *end == seconds);
        assert_eq!(at_most(0.0001), Some(&(0.0001, 1)));
        assert_eq!(at_most(0.0025), Some(&(0.0025, 1)));
        assert_eq!(at_most(0.005), Some(&(0.005, 2)));
        assert_eq!(at_most(120.0), Some(&(120.0, 2)));
        assert_eq!(read.count, 3);
        assert!((read.sum - 1000.0031).abs() < 1e-6, "{}", read.sum);
    }

    #[test]
    fn an_empty_histogram_reads_as_nothing() {
        let read = Histogram::default().read();
        assert_eq!((read.count, read.sum), (0, 0.0));
        assert_eq!(read.buckets.len(), BOUNDS.len());
    }

    #[test]
    fn the_bounds_rise() {
        assert!(BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
