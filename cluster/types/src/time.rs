//! Three kinds of time, never mixed.
//!
//! [`Timestamp`] is wall clock, for display and certificates. [`ClusterTime`] is what decisions are
//! made on: it enters the core as an argument and never runs backwards. [`Nanos`] is a span as
//! users write it in a spec: it may be negative until it was validated.

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::ops::Range;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point of wall-clock time with nanoseconds, in UTC. JSON: RFC 3339 with as many digits as
/// needed; the unset value is Go's zero time, `0001-01-01T00:00:00Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Go's zero time, which its JSON never leaves out.
    pub const ZERO: Timestamp = Timestamp(time::macros::datetime!(0001-01-01 00:00:00 UTC));

    /// The point `nanos` nanoseconds after the Unix epoch.
    pub fn from_unix_nanos(nanos: i128) -> Self {
        OffsetDateTime::from_unix_timestamp_nanos(nanos).map_or(Self::ZERO, Timestamp)
    }

    /// Nanoseconds since the Unix epoch.
    pub fn unix_nanos(self) -> i128 {
        self.0.unix_timestamp_nanos()
    }

    /// The time now, by the machine's clock. Only the shell calls this.
    pub fn now() -> Self {
        Timestamp(OffsetDateTime::now_utc())
    }

    /// Whether this is the unset value.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Parses RFC 3339; an offset is converted to UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Timestamp(parsed.to_offset(time::UtcOffset::UTC)))
    }

    /// RFC 3339 with nine digits of fraction always, as log lines carry it.
    pub fn with_nine_digits(self) -> String {
        self.digits().as_str().to_owned()
    }

    /// As [`Timestamp::with_nine_digits`], on the stack: a time stands in every record.
    fn digits(self) -> Digits {
        let t = self.0;
        let mut digits = Digits(*b"0000-00-00T00:00:00.000000000Z");
        digits.put(0..4, t.year().unsigned_abs());
        digits.put(5..7, u32::from(u8::from(t.month())));
        digits.put(8..10, u32::from(t.day()));
        digits.put(11..13, u32::from(t.hour()));
        digits.put(14..16, u32::from(t.minute()));
        digits.put(17..19, u32::from(t.second()));
        digits.put(20..29, t.nanosecond());
        digits
    }
}

/// `0000-00-00T00:00:00.000000000Z`, to be filled in.
struct Digits([u8; 30]);

impl Digits {
    fn put(&mut self, at: Range<usize>, mut number: u32) {
        for digit in self.0[at].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and signs")
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        let long = digits.as_str().trim_end_matches('Z');
        f.write_str(long.trim_end_matches('0').trim_end_matches('.'))?;
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Timestamp::parse(&text)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is not an RFC 3339 time")))
    }
}

/// Nanoseconds since the Unix epoch on the cluster's own clock, which starts at the first leader's
/// wall clock and is then advanced by elapsed time only. Decisions compare it with nothing else.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct ClusterTime(pub u64);

impl ClusterTime {
    /// This time, later by `span`.
    pub fn after(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        ClusterTime(self.0.saturating_add(nanos))
    }

    /// As users are shown it.
    pub fn shown(self) -> Timestamp {
        Timestamp::from_unix_nanos(i128::from(self.0))
    }

    /// The time passed since `earlier`; zero if that is not earlier.
    pub fn since(self, earlier: ClusterTime) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A span in nanoseconds as Docker's JSON writes it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub i64);

impl Nanos {
    /// The span of so many whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Nanos(secs * 1_000_000_000)
    }

    /// Whether nothing was given.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// As a span; a negative one counts as none.
    pub fn duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_as_many_digits_as_it_needs() {
        for text in [
            "2026-01-02T03:04:05.678901234Z",
            "2026-01-02T03:04:05.5Z",
            "2026-01-02T03:04:05Z",
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_offset_becomes_utc() {
        let t = Timestamp::parse("2026-01-02T03:04:05+01:00").unwrap();
        assert_eq!(t.to_string(), "2026-01-02T02:04:05Z");
    }

    #[test]
    fn the_unset_timestamp_is_gos_zero_time() {
        assert_eq!(Timestamp::default().to_string(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn a_negative_span_counts_as_none() {
        assert_eq!(Nanos(-5).duration(), Duration::ZERO);
    }
}
