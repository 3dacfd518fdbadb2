//! A histogram of powers of two, in place of the crate of this name.
//!
//! openraft counts the sizes of its replication batches with it, and nothing else as we build it.
//! The original makes look-up tables for sixteen resolutions when the first histogram is made, of
//! which one is used: 26 MiB that stay resident for as long as the process lives. This one keeps 65
//! counters and offers what openraft asks for. It goes when the original makes its tables one by
//! one.

use std::fmt;
use std::marker::PhantomData;

/// One bucket for 0, and one for each power of two.
const BUCKETS: usize = 65;

/// Counts values by their magnitude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: [u64; BUCKETS],
    slots: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Histogram {
            counts: [0; BUCKETS],
            slots: PhantomData,
        }
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts one value many times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        self.counts[bucket(value)] += times;
    }

    /// The values below which so many of all values lie; each is the lower end of its bucket.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.counts.iter().sum(),
            p0_1: self.permille(1),
            p1: self.permille(10),
            p5: self.permille(50),
            p10: self.permille(100),
            p50: self.permille(500),
            p90: self.permille(900),
            p99: self.permille(990),
            p99_9: self.permille(999),
        }
    }

    fn permille(&self, permille: u64) -> u64 {
        let all: u64 = self.counts.iter().sum();
        let below = all * permille / 1000;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > below {
                return lower_end(index);
            }
        }
        0
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn bucket(value: u64) -> usize {
    (u64::BITS - value.leading_zeros()) as usize
}

fn lower_end(bucket: usize) -> u64 {
    match bucket {
        0 => 0,
        bucket => 1 << (bucket - 1),
    }
}

/// A histogram in nine numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    /// Number of values counted.
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "n={} p0.1={} p1={} p5={} p10={} p50={} p90={} p99={} p99.9={}",
            self.samples, self.p0_1, self.p1, self.p5, self.p10, self.p50, self.p90, self.p99, self.p99_9
        )
    }
}

/// Named histograms, printed one below the other.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart(Vec<(String, Histogram)>);

impl AsciiChart {
    /// Nothing to print yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a histogram.
    #[expect(clippy::should_implement_trait, reason = "the name openraft calls")]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.0.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, histogram) in &self.0 {
            writeln!(f, "{name}: {}", histogram.percentile_stats())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_its_power_of_two() {
        let mut histogram = Histogram::<()>::new();
        for value in [0, 1, 5, 5, 5, 5, 5, 5, 5, 1000] {
            histogram.record(value);
        }
        let stats = histogram.percentile_stats();
        assert_eq!((stats.samples, stats.p0_1, stats.p50, stats.p99), (10, 0, 4, 512));
    }

    #[test]
    fn the_largest_value_has_a_bucket() {
        let mut histogram = Histogram::<()>::new();
        histogram.record(u64::MAX);
        assert_eq!(histogram.percentile_stats().p50, 1 << 63);
    }
}
