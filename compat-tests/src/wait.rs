//! Waiting for a condition with a deadline: the only way in which tests pass time.

use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

const POLL: Duration = Duration::from_millis(25);

/// Polls `probe` until it yields a value.
///
/// `probe` returns `Err(state)` while the condition is not met; the last such state is part of the error when `limit` passes.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> Result<T, Error> {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= deadline => {
                return Err(Error::Deadline {
                    what: what.to_owned(),
                    limit,
                    last,
                });
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_deadline_shows_the_last_state() {
        let missed = until("the moon", Duration::from_millis(1), || {
            Err::<(), _>("half".to_owned())
        });
        assert!(missed.unwrap_err().to_string().contains("last seen: half"));
    }
}
