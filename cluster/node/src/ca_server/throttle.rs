//! Guessing a token is not worth while: whoever brings wrong ones is not heard for some time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use swarmrs_types::{Code, Fault};

/// Wrong tokens of one address within [`WINDOW`]. A script that joins many nodes with a rotated token
/// stays below it, and 128 bits are not guessed at this rate.
const MOST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered; beyond it the oldest are forgotten.
const MOST_SOURCES: usize = 4096;

#[derive(Debug, Default)]
pub struct Throttle(Mutex<BTreeMap<IpAddr, (Instant, u32)>>);

impl Throttle {
    /// # Errors
    /// If the address has brought too many wrong tokens lately.
    pub fn admit(&self, from: IpAddr) -> Result<(), Fault> {
        self.admit_at(from, Instant::now())
    }

    /// A wrong token came.
    pub fn note(&self, from: IpAddr) {
        self.note_at(from, Instant::now());
    }

    fn admit_at(&self, from: IpAddr, now: Instant) -> Result<(), Fault> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sources.get(&from) {
            Some((since, count)) if now.duration_since(*since) < WINDOW && *count >= MOST => {
                let text = format!("too many wrong join tokens from {from}: try again in a minute");
                Err(Fault::manager(Code::Unavailable, text))
            }
            _ => Ok(()),
        }
    }

    fn note_at(&self, from: IpAddr, now: Instant) {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= MOST_SOURCES {
            sources.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        if sources.len() >= MOST_SOURCES
            && let Some(oldest) = sources.iter().min_by_key(|(_, (since, _))| *since)
        {
            let oldest = *oldest.0;
            sources.remove(&oldest);
        }
        let source = sources.entry(from).or_insert((now, 0));
        if now.duration_since(source.0) >= WINDOW {
            *source = (now, 0);
        }
        source.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_is_not_heard_for_a_minute_and_others_are() {
        let throttle = Throttle::default();
        let (guesser, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let begin = Instant::now();
        for _ in 0..MOST {
            throttle.admit_at(guesser, begin).unwrap();
            throttle.note_at(guesser, begin);
        }
        let refused = throttle.admit_at(guesser, begin).unwrap_err();
        assert_eq!(refused.code, Code::Unavailable);
        throttle.admit_at(other, begin).unwrap();
        throttle.admit_at(guesser, begin + WINDOW).unwrap();
    }

    #[test]
    fn many_sources_are_not_remembered_for_ever() {
        let throttle = Throttle::default();
        let begin = Instant::now();
        for n in 0..MOST_SOURCES + 100 {
            let source = IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
            throttle.note_at(source, begin);
        }
        assert_eq!(throttle.0.lock().unwrap().len(), MOST_SOURCES);
    }
}
