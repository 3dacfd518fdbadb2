//! A proposal that fails again and again is logged when it begins to fail or fails otherwise, and then once a minute.

use std::mem::{Discriminant, discriminant};
use std::time::{Duration, Instant};
use swarmrs_store::ProposeError;

/// Often enough for whoever comes to look, and no full disk is filled by it.
const REMIND: Duration = Duration::from_secs(60);

/// What failed last, and when that was said.
#[derive(Debug, Default)]
pub struct Trouble(Option<(Discriminant<ProposeError>, Instant)>);

impl Trouble {
    /// Whether this failure is to be logged; if so, it counts as logged. Failures of one kind are one, though their numbers
    /// differ.
    pub fn is_news(&mut self, error: &ProposeError, now: Instant) -> bool {
        let kind = discriminant(error);
        if let Some((before, said)) = self.0
            && before == kind
            && now < said + REMIND
        {
            return false;
        }
        self.0 = Some((kind, now));
        true
    }

    /// A proposal went well.
    pub fn is_over(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(free: u64) -> ProposeError {
        ProposeError::NoSpace {
            folder: "/var".into(),
            free,
            reserve: 64,
        }
    }

    #[test]
    fn a_disk_that_stays_full_is_said_at_once_and_then_once_a_minute() {
        let mut trouble = Trouble::default();
        let begin = Instant::now();
        let tries = (0..=600).map(|n| (n, begin + Duration::from_millis(200 * n)));
        let said = tries.filter(|(n, now)| trouble.is_news(&full(*n), *now));
        let said: Vec<u64> = said.map(|(n, _)| n).collect();
        assert_eq!(said, [0, 300, 600]);
    }

    #[test]
    fn another_failure_and_the_same_after_a_success_are_news() {
        let mut trouble = Trouble::default();
        let now = Instant::now();
        let broken = ProposeError::Disk("gone".to_owned());
        assert!(trouble.is_news(&full(1), now));
        assert!(!trouble.is_news(&full(2), now));
        assert!(trouble.is_news(&broken, now));
        assert!(!trouble.is_news(&broken, now));
        trouble.is_over();
        assert!(trouble.is_news(&broken, now));
    }
}
