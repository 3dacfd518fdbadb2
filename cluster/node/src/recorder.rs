//! The flight recorder: the last things that happened to this node, kept in memory for whoever asks
//! afterwards.
//!
//! Each thing is one line of JSON, written when it happens. The ring is bounded in bytes, so what it
//! costs is known; the oldest lines go first. What a line can hold is decided by the type
//! [`Flight`]: ids, names, kinds, states and counts.

use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use swarmrs_core::{Event, outline};
use swarmrs_types::Timestamp;
use swarmrs_types::report::Flight;

/// Some two thousand lines: minutes of a busy cluster, days of a quiet one.
const MOST_BYTES: usize = 384 * 1024;

/// The ring.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Box<str>>,
    bytes: usize,
    /// Lines ever written: a gap before the first that is kept shows how many are gone.
    count: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "Seq")]
    seq: u64,
    #[serde(rename = "At")]
    at: Timestamp,
    #[serde(flatten)]
    what: &'a Flight,
}

impl Recorder {
    /// Keeps what happened now.
    pub fn note(&self, what: &Flight) {
        let mut ring = self.ring();
        ring.count += 1;
        let line = Line {
            seq: ring.count,
            at: Timestamp::now(),
            what,
        };
        // A line that cannot be written is left out: its number is missing.
        if let Ok(line) = serde_json::to_string(&line) {
            ring.push(line.into());
        }
    }

    /// Keeps what an entry of the log did.
    pub(crate) fn note_events(&self, index: u64, events: &[Event]) {
        for (done, subject) in events.iter().filter_map(outline::happened) {
            self.note(&Flight::Event {
                index,
                done,
                subject,
            });
        }
    }

    /// Everything kept, a line of JSON each, the oldest first.
    pub fn dump(&self) -> String {
        let ring = self.ring();
        let mut text = String::with_capacity(ring.bytes + ring.lines.len());
        for line in &ring.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// A holder that panicked ended the process.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, line: Box<str>) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > MOST_BYTES {
            let Some(oldest) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn write(object: &str) -> Flight {
        Flight::Write {
            call: "ServiceUpdate",
            object: object.to_owned(),
            status: 200,
            millis: 3,
        }
    }

    fn lines(recorder: &Recorder) -> Vec<Value> {
        let dump = recorder.dump();
        let lines = dump.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    #[test]
    fn what_happened_is_kept_in_order() {
        let recorder = Recorder::default();
        recorder.note(&write("web"));
        recorder.note(&Flight::Role {
            from: "inactive",
            to: "active",
        });
        let lines = lines(&recorder);
        assert_eq!(lines[0]["Seq"], 1);
        assert_eq!(lines[0]["Kind"], "Write");
        assert_eq!(lines[0]["Object"], "web");
        assert_eq!(lines[1]["Seq"], 2);
        assert_eq!(lines[1]["To"], "active");
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let recorder = Recorder::default();
        let name = "n".repeat(1_000);
        for _ in 0..1_000 {
            recorder.note(&write(&name));
        }
        let lines = lines(&recorder);
        assert!(recorder.dump().len() <= MOST_BYTES + lines.len());
        assert!((300..400).contains(&lines.len()), "{}", lines.len());
        assert_eq!(lines.last().unwrap()["Seq"], 1_000);
    }
}
