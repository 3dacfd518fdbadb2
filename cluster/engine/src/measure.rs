//! How the engine does: how long its calls take, how many fail, and whether it is there.

use std::time::Duration;

use swarmrs_types::measure::{Counter, Histogram};
use tokio::sync::watch;

use crate::error::Error;

/// The kinds of calls that are told apart. What they are about (an id, an image) is not.
const CALLS: [&str; 13] = [
    "ping",
    "version",
    "info",
    "container create",
    "container start",
    "container stop",
    "container kill",
    "container remove",
    "container inspect",
    "container list",
    "image",
    "network",
    "other",
];

/// Why calls fail.
const FAILURES: [&str; 5] = ["absent", "refused", "timeout", "broken", "protocol"];

/// Whether the engine is there, as far as the last call tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nothing was asked of it yet.
    Unknown,
    Here,
    Away,
}

impl Presence {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Here => "here",
            Self::Away => "away",
        }
    }
}

/// Counted since the process began.
#[derive(Debug)]
pub struct Measures {
    calls: [Histogram; CALLS.len()],
    failures: [Counter; FAILURES.len()],
    pub(crate) presence: watch::Sender<Presence>,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            calls: Default::default(),
            failures: Default::default(),
            presence: watch::Sender::new(Presence::Unknown),
        }
    }
}

impl Measures {
    /// Each kind of call and how long its calls took, failed ones included.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        CALLS.into_iter().zip(&self.calls)
    }

    /// Each kind of failure and how often it came. That an object is not there, or there already, is an answer and no failure.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = self.failures.iter().map(Counter::get);
        FAILURES.into_iter().zip(counted)
    }

    pub(crate) fn note<T>(&self, call: &str, took: Duration, answer: &Result<T, Error>) {
        self.calls[kind(call)].note(took);
        if let Some(at) = answer.as_ref().err().and_then(failure) {
            self.failures[at].add(1);
        }
    }

    pub(crate) fn set_presence(&self, now: Presence) {
        self.presence.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
    }
}

/// The place in [`CALLS`] of a call as errors name it: `GET /containers/x/json`, `start container`.
fn kind(call: &str) -> usize {
    let name = match call {
        "GET /_ping" => "ping",
        "GET /version" => "version",
        "GET /info" => "info",
        "POST /containers/create" => "container create",
        "GET /containers/json" => "container list",
        "start container" => "container start",
        "stop container" => "container stop",
        "kill container" => "container kill",
        "remove container" => "container remove",
        call if call.starts_with("GET /containers/") => "container inspect",
        call if call.contains("/images/") => "image",
        call if call.contains("network") => "network",
        _ => "other",
    };
    let found = CALLS.iter().position(|known| *known == name);
    found.unwrap_or(CALLS.len() - 1)
}

/// The place in [`FAILURES`] of an error; none for answers that are none.
fn failure(error: &Error) -> Option<usize> {
    match error {
        Error::Absent { .. } => Some(0),
        Error::Api {
            status: 304 | 404 | 409,
            ..
        } => None,
        Error::Api { .. } | Error::Failed { .. } => Some(1),
        Error::Timeout { .. } => Some(2),
        Error::Stream { .. } => Some(3),
        Error::Protocol { .. } | Error::TooOld { .. } => Some(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart_by_what_they_do_and_not_by_what_to() {
        let table = [
            ("GET /_ping", "ping"),
            ("POST /containers/create", "container create"),
            ("start container", "container start"),
            ("GET /containers/json", "container list"),
            ("GET /containers/network/json", "container inspect"),
            ("GET /images/a/b/c/json", "image"),
            ("POST /networks/x/connect", "network"),
            ("remove volume", "other"),
        ];
        for (call, expected) in table {
            assert_eq!(CALLS[kind(call)], expected, "{call}");
        }
    }

    #[test]
    fn an_object_that_is_not_there_is_no_failure() {
        let measures = Measures::default();
        let refused = |status| -> Result<(), Error> {
            let message = String::new();
            Err(Error::Api { status, message })
        };
        for status in [304, 404, 409, 500] {
            measures.note("GET /info", Duration::ZERO, &refused(status));
        }
        let refused = measures.failures().find(|(kind, _)| *kind == "refused");
        assert_eq!(refused, Some(("refused", 1)));
        let (_, info) = measures.calls().find(|(call, _)| *call == "info").unwrap();
        assert_eq!(info.read().count, 4);
    }
}
