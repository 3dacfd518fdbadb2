//! Requests that were applied, so that one that comes again is applied once.
//!
//! Whoever asks does not always hear the answer: a leader that dies may have agreed on a command before.
//! The one who asked then asks again, and the log holds the same request twice. A member numbers its
//! requests within a session, which it draws when it starts, and says with each up to which number it
//! waits for no answer any more. So what is kept per session is only what may still come again: about as
//! much as is under way at once.
//!
//! ```text
//!   number   …  settled  ───────────────────▶
//!            over      applied: answer its version   unknown: apply
//! ```
//!
//! A request whose guards did not hold changed nothing and is not kept: when it comes again it is judged
//! again.

use super::State;
use crate::change::{Command, Event, Rejected};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use swarmrs_types::ClusterTime;

/// Sessions that are kept. There is one per start of a manager.
const MOST_SESSIONS: usize = 256;

/// A session that asked nothing for so long has nothing under way. Nobody waits a minute, but cluster time may leap when a
/// leader with another wall clock takes over.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Answers kept per session. Below these a request counts as over, though somebody may wait for it: it is
/// refused then, never applied twice.
const MOST_ANSWERS: usize = 20_000;

/// Who asks, and which of his requests this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Drawn at random by whoever asks.
    pub session: u64,
    pub number: u64,
    /// No request of the session below this number is waited for.
    pub settled: u64,
}

/// A command that was applied, now or before.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The version of all that it wrote.
    pub version: u64,
    /// What happened just now: nothing, if it was applied before.
    pub events: Vec<Event>,
}

/// What is known of the requests that may come again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Requests(OrdMap<u64, Session>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Session {
    settled: u64,
    /// When it asked last.
    time: ClusterTime,
    /// Versions by number.
    applied: OrdMap<u64, u64>,
}

/// A session, laid flat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    session: u64,
    settled: u64,
    time: ClusterTime,
    applied: Vec<(u64, u64)>,
}

enum Known {
    Unknown,
    Applied(u64),
    Over,
}

impl State {
    /// As [`State::apply`], unless the request was applied before: then nothing changes but the index, and
    /// the first version is the answer.
    pub fn apply_once(
        &mut self,
        index: u64,
        request: Option<Request>,
        command: &Command,
    ) -> Result<Applied, Rejected> {
        let known = request.map(|request| self.requests.look_up(request));
        match known.unwrap_or(Known::Unknown) {
            Known::Unknown => {
                let events = self.apply(index, command)?;
                if let Some(request) = request {
                    self.requests.note(request, index, self.time);
                }
                Ok(Applied {
                    version: index,
                    events,
                })
            }
            Known::Applied(version) => {
                self.skip(index);
                Ok(Applied {
                    version,
                    events: Vec::new(),
                })
            }
            Known::Over => {
                self.skip(index);
                Err(Rejected::Over)
            }
        }
    }
}

impl Requests {
    fn look_up(&self, request: Request) -> Known {
        let Some(session) = self.0.get(&request.session) else {
            return Known::Unknown;
        };
        match session.applied.get(&request.number) {
            Some(version) => Known::Applied(*version),
            None if request.number < session.settled => Known::Over,
            None => Known::Unknown,
        }
    }

    fn note(&mut self, request: Request, version: u64, time: ClusterTime) {
        if !self.0.contains_key(&request.session) {
            self.make_room(time);
        }
        let session = self.0.entry(request.session).or_default();
        session.time = time;
        session.settle(request.settled);
        session.applied.insert(request.number, version);
        if session.applied.len() > MOST_ANSWERS
            && let Some((oldest, _)) = session.applied.get_min().copied()
        {
            session.settle(oldest + 1);
        }
    }

    /// Forgets sessions that have ended, and the one that asked longest ago where that is not enough.
    fn make_room(&mut self, now: ClusterTime) {
        let ended = |(_, session): &(&u64, &Session)| now.since(session.time) >= KEPT;
        let ended: Vec<u64> = self.0.iter().filter(ended).map(|(id, _)| *id).collect();
        for id in ended {
            self.0.remove(&id);
        }
        while self.0.len() >= MOST_SESSIONS {
            let oldest = self.0.iter().min_by_key(|(id, s)| (s.time, **id));
            let Some(oldest) = oldest.map(|(id, _)| *id) else {
                return;
            };
            self.0.remove(&oldest);
        }
    }

    /// Everything, by session and number.
    pub(super) fn flat(&self) -> Vec<SessionRecord> {
        let flat = |(id, session): (&u64, &Session)| SessionRecord {
            session: *id,
            settled: session.settled,
            time: session.time,
            applied: session.applied.iter().map(|(n, v)| (*n, *v)).collect(),
        };
        self.0.iter().map(flat).collect()
    }

    pub(super) fn from_flat(records: &[SessionRecord]) -> Self {
        let session = |record: &SessionRecord| {
            let session = Session {
                settled: record.settled,
                time: record.time,
                applied: record.applied.iter().copied().collect(),
            };
            (record.session, session)
        };
        Requests(records.iter().map(session).collect())
    }
}

impl Session {
    /// Nothing below `number` is waited for.
    fn settle(&mut self, number: u64) {
        if number <= self.settled {
            return;
        }
        self.settled = number;
        while let Some((oldest, _)) = self.applied.get_min().copied()
            && oldest < number
        {
            self.applied.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
