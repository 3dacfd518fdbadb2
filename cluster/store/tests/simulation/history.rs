//! What clients asked and were told, what members showed, and whether one order of events explains it all.
//!
//! A write is told its place in the log, and a read the place up to which it has it. So the order is known, and what is
//! left to be seen is that
//!
//! - no place holds two things, and nothing that was written once stands at two places;
//! - what was acknowledged stands where it was said to stand, and what was refused stands nowhere;
//! - a read shows what the log makes up to its place;
//! - whatever ended before something else began comes before it.

use crate::calls;
use crate::dice::mix;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use swarmrs_core::{Event, State};
use swarmrs_store::Watch;
use swarmrs_types::object::Network;

/// The label that holds what was written.
pub const VALUE: &str = "value";

/// What is kept under which key: a network's number, and the number of the write.
pub type Written = (u64, u64);

#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// It stands at this entry.
    Written(u64),
    /// It never happens.
    Refused,
    /// Up to this entry, and the sum of what was found.
    Read(u64, u64),
    /// It may happen or not.
    Unknown,
}

#[derive(Clone, Debug)]
struct Deed {
    member: u64,
    written: Option<Written>,
    begun: u64,
    ended: Option<(u64, Outcome)>,
}

/// Shared by all that clients and members do.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Events>>);

#[derive(Default)]
struct Events {
    now: u64,
    deeds: Vec<Deed>,
    /// What stands in the log.
    log: BTreeMap<u64, Written>,
    places: BTreeMap<u64, u64>,
    leaders: BTreeMap<u64, u64>,
    broken: Option<String>,
}

impl History {
    fn events(&self) -> MutexGuard<'_, Events> {
        self.0.lock().expect("no holder panics")
    }

    /// Somebody begins to write, or to read. Returns the deed's number.
    pub fn begin(&self, member: u64, written: Option<Written>) -> usize {
        let mut events = self.events();
        events.now += 1;
        let begun = events.now;
        events.deeds.push(Deed {
            member,
            written,
            begun,
            ended: None,
        });
        events.deeds.len() - 1
    }

    /// He is told how it ended; the dead tell nothing.
    pub fn end(&self, deed: usize, outcome: Outcome) {
        let mut events = self.events();
        events.now += 1;
        let now = events.now;
        if !calls::is_dead(events.deeds[deed].member) {
            events.deeds[deed].ended = Some((now, outcome));
        }
    }

    /// Notes all that a member shows from now on.
    pub fn follow(
        &self,
        raft_id: u64,
        mut watch: Watch,
    ) -> impl Future<Output = ()> + Send + 'static {
        let history = self.clone();
        async move {
            for network in watch.view().networks().iter() {
                history.see(raft_id, network);
            }
            while let Some(batch) = watch.next().await {
                for event in batch.events.iter() {
                    if let Event::Network(delta) = event {
                        delta.new.iter().for_each(|new| history.see(raft_id, new));
                    }
                }
            }
        }
    }

    fn see(&self, raft_id: u64, network: &Network) {
        if calls::is_dead(raft_id) {
            return;
        }
        let (index, written) = (network.meta.version, written(network));
        let mut events = self.events();
        let there = *events.log.entry(index).or_insert(written);
        if there != written {
            events.break_off(format!(
                "entry {index} is {written:?} at member {raft_id}, and {there:?} elsewhere"
            ));
        }
        let place = *events.places.entry(written.1).or_insert(index);
        if place != index {
            events.break_off(format!("write {} stands at {place} and {index}", written.1));
        }
    }

    /// A member says that it leads.
    pub fn leads(&self, raft_id: u64, term: u64) {
        let mut events = self.events();
        let known = *events.leaders.entry(term).or_insert(raft_id);
        if known != raft_id {
            events.break_off(format!("members {known} and {raft_id} lead in term {term}"));
        }
    }

    /// Something that must not be.
    pub fn break_off(&self, what: String) {
        self.events().break_off(what);
    }

    /// The first thing that must not be.
    pub fn broken(&self) -> Option<String> {
        self.events().broken.clone()
    }

    /// Acknowledged writes, reads, and deeds nobody knows the end of.
    pub fn counts(&self) -> (usize, usize, usize) {
        let events = self.events();
        let count = |kind: fn(&Option<Outcome>) -> bool| {
            let outcomes = events.deeds.iter().map(|deed| deed.ended.map(|end| end.1));
            outcomes.filter(kind).count()
        };
        (
            count(|outcome| matches!(outcome, Some(Outcome::Written(_)))),
            count(|outcome| matches!(outcome, Some(Outcome::Read(..)))),
            count(|outcome| matches!(outcome, Some(Outcome::Unknown) | None)),
        )
    }

    /// Judges all that happened.
    pub fn judge(&self) -> Result<(), String> {
        let events = self.events();
        events.judge_writes()?;
        events.judge_reads()?;
        events.judge_order()
    }
}

impl Events {
    fn break_off(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn ended(&self) -> impl Iterator<Item = (&Deed, u64, Outcome)> {
        self.deeds
            .iter()
            .filter_map(|deed| deed.ended.map(|(at, outcome)| (deed, at, outcome)))
    }

    fn judge_writes(&self) -> Result<(), String> {
        for (deed, _, outcome) in self.ended() {
            let Some(written) = deed.written else {
                continue;
            };
            let place = self.places.get(&written.1);
            match outcome {
                Outcome::Written(index) if self.log.get(&index) != Some(&written) => {
                    return Err(format!(
                        "acknowledged at {index} by member {} and not there: {written:?}; it stands at {place:?}",
                        deed.member
                    ));
                }
                Outcome::Refused if place.is_some() => {
                    return Err(format!(
                        "refused by member {} and yet at {place:?}: {written:?}",
                        deed.member
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What is found up to each place, beside what the log makes.
    fn judge_reads(&self) -> Result<(), String> {
        let mut reads: Vec<(u64, u64, u64)> = Vec::new();
        for (deed, _, outcome) in self.ended() {
            if let Outcome::Read(applied, sum) = outcome {
                reads.push((applied, sum, deed.member));
            }
        }
        reads.sort_unstable();
        let mut log = self.log.iter().peekable();
        let (mut found, mut made) = (BTreeMap::new(), 0u64);
        for (applied, sum, member) in reads {
            while let Some((index, (key, _))) = log.next_if(|(index, _)| **index <= applied) {
                let before = found.insert(*key, *index);
                let before = before.map_or(0, |before| one(*key, before));
                made = made.wrapping_add(one(*key, *index)).wrapping_sub(before);
            }
            if made != sum {
                return Err(format!(
                    "a read at member {member} up to {applied} shows what the log does not make"
                ));
            }
        }
        Ok(())
    }

    fn judge_order(&self) -> Result<(), String> {
        let mut moments = Vec::new();
        for (deed, at, outcome) in self.ended() {
            let (index, is_read) = match outcome {
                Outcome::Written(index) => (index, false),
                Outcome::Read(index, _) => (index, true),
                Outcome::Refused | Outcome::Unknown => continue,
            };
            moments.push((deed.begun, false, index, is_read, deed.member));
            moments.push((at, true, index, is_read, deed.member));
        }
        moments.sort_unstable();
        let mut agreed = 0;
        for (_, is_end, index, is_read, member) in moments {
            match is_end {
                true => agreed = agreed.max(index),
                // A write comes after; a read may be of the same entry.
                false if index > agreed || is_read && index == agreed => {}
                false => {
                    let what = if is_read { "read" } else { "write" };
                    return Err(format!(
                        "a {what} at member {member} is of {index}, after {agreed} had been told"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// A network as what was written.
pub fn written(network: &Network) -> Written {
    let key = network.id.as_str().parse().expect("is a number");
    let value = network.spec.labels.get(VALUE);
    let value = value.and_then(|value| value.parse().ok());
    (key, value.expect("every write has a number"))
}

/// All that a state holds, as one number.
pub fn sum(state: &State) -> u64 {
    let all = state.networks().iter();
    let each = all.map(|network| one(written(network).0, network.meta.version));
    each.fold(0, u64::wrapping_add)
}

fn one(key: u64, version: u64) -> u64 {
    mix(mix(key + 1).wrapping_add(version))
}
