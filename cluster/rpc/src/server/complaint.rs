//! Log lines about bad connections, of which a stranger can make as many as it likes.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::warn;

/// Lines in one window; more are only counted.
const LINES: u32 = 4;
const WINDOW: Duration = Duration::from_secs(60);

/// Says the first few of a minute, and then how many it did not say.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    said: u32,
    unsaid: u64,
}

/// What to say of one more.
#[derive(Debug, PartialEq, Eq)]
struct Say {
    this: bool,
    /// How many before it were not said.
    unsaid: u64,
}

impl Complaints {
    pub(super) fn complain(&self, from: Option<SocketAddr>, what: &str, reason: impl Display) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let say = window.count(Instant::now());
        drop(window);
        if say.unsaid > 0 {
            warn!(count = say.unsaid, "more bad connections");
        }
        if say.this {
            let from = from.map(tracing::field::display);
            warn!(from, what, %reason, "bad connection");
        }
    }
}

impl Window {
    fn count(&mut self, now: Instant) -> Say {
        let mut unsaid = 0;
        if self.since.is_none_or(|since| now - since >= WINDOW) {
            unsaid = self.unsaid;
            *self = Window {
                since: Some(now),
                ..Window::default()
            };
        }
        let this = self.said < LINES;
        if this {
            self.said += 1;
        } else {
            self.unsaid += 1;
        }
        Say { this, unsaid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_first_of_a_minute_are_said_and_the_rest_counted() {
        let (mut window, start) = (Window::default(), Instant::now());
        let said = |say: &Say| say.this || say.unsaid > 0;
        let lines = (0..10_000).filter(|_| said(&window.count(start)));
        assert_eq!(lines.count(), 4);
        let next = window.count(start + WINDOW);
        assert_eq!(
            next,
            Say {
                this: true,
                unsaid: 9_996
            }
        );
    }

    #[test]
    fn what_was_not_said_is_told_before_the_first_of_the_next_minute() {
        let (log, writer) = std::io::pipe().unwrap();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(Arc::new(writer))
            .finish();
        let complaints = Complaints(Mutex::new(Window {
            since: Instant::now().checked_sub(WINDOW),
            said: LINES,
            unsaid: 9_996,
        }));
        tracing::subscriber::with_default(subscriber, || {
            complaints.complain(None, "TLS", "too slow");
        });
        let log = std::io::read_to_string(log).unwrap();
        assert_eq!(
            log,
            " WARN more bad connections count=9996\n WARN bad connection what=\"TLS\" reason=too slow\n"
        );
    }
}
