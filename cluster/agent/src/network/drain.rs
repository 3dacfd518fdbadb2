//! How long connections to a task that is to be stopped may take to end, by a label of its service. Pure.

use std::time::Duration;
use swarmrs_types::spec::Labels;

/// The service's label.
pub const LABEL: &str = "swarmrs.drain";

/// As long as an update is felt to pause, and as most requests take.
const DEFAULT: Duration = Duration::from_secs(2);
/// No stop waits longer.
const LONGEST: Duration = Duration::from_secs(600);

/// None: they are not waited for. What is no time counts as not said.
pub fn limit(labels: &Labels) -> Option<Duration> {
    let Some(text) = labels.get(LABEL) else {
        return Some(DEFAULT);
    };
    let limit = read(text.trim()).unwrap_or(DEFAULT).min(LONGEST);
    (!limit.is_zero()).then_some(limit)
}

/// `500ms`, `2s`, `1.5s`, `3m`, or `0`.
fn read(text: &str) -> Option<Duration> {
    if text == "0" || text == "none" {
        return Some(Duration::ZERO);
    }
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
    let split = |(unit, seconds)| Some((text.strip_suffix(unit)?, seconds));
    let (number, seconds): (&str, f64) = units.into_iter().find_map(split)?;
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_how_long_connections_are_waited_for() {
        for (text, expected) in [
            ("0", None),
            ("none", None),
            ("0s", None),
            ("500ms", Some(500)),
            ("2s", Some(2_000)),
            (" 1.5s ", Some(1_500)),
            ("3m", Some(180_000)),
            ("99999m", Some(600_000)),
            ("soon", Some(2_000)),
            ("-1s", Some(2_000)),
            ("NaNs", Some(2_000)),
            ("", Some(2_000)),
        ] {
            let labels = Labels::from([(LABEL.to_owned(), text.to_owned())]);
            let expected = expected.map(Duration::from_millis);
            assert_eq!(limit(&labels), expected, "{text:?}");
        }
        assert_eq!(limit(&Labels::new()), Some(DEFAULT));
    }
}
