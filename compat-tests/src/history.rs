//! Whether what clients saw of registers can have happened one step after another: a linearizability checker.
//!
//! A register has a version, and is written only "if it still has the version that I read". That makes judging simple.
//! Whoever overwrites a value has read it, so every value that was ever there was seen, but for the last, which is read when
//! all is over. The versions seen are therefore the whole order of writes, and it only remains to compare that order with
//! the clock of whoever asked:
//!
//! ```text
//!   client 1   ├─ write 7 if 12 ─┤ acknowledged
//!   client 2                         ├─ read ─┤ 12 : stale, 7 was there before it asked
//! ```
//!
//! A write without an answer may have taken effect at any time after it was asked for, or never.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a register holds before anybody wrote it.
pub const UNWRITTEN: u64 = 0;

/// One thing that a client did to one register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Which register.
    pub register: usize,
    /// When it was asked and answered, by one clock for all clients.
    pub began: Duration,
    pub ended: Duration,
    pub outcome: Outcome,
}

/// How it ended. Each value is written at most once in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Read {
        version: u64,
        value: u64,
    },
    /// Acknowledged: it took the place of the version `over`.
    Written {
        over: u64,
        value: u64,
    },
    /// Refused for good.
    Refused {
        value: u64,
    },
    /// No answer, or one that leaves it open.
    Unknown {
        over: u64,
        value: u64,
    },
}

/// What was judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub reads: usize,
    pub writes: usize,
    /// Refused, or with an unknown outcome.
    pub others: usize,
    /// The longest time between two writes that were acknowledged one after the other.
    pub longest_pause: Duration,
}

/// Judges a history; every register was read once after all else. An error names everything that cannot have been.
pub fn judge(history: &[Operation]) -> Result<Tally, Vec<String>> {
    let mut registers: BTreeMap<usize, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        let of = registers.entry(operation.register).or_default();
        of.push(operation);
    }
    let wrong: Vec<String> = registers
        .iter()
        .flat_map(|(register, operations)| {
            let wrong = Register::of(operations).faults(operations);
            wrong
                .into_iter()
                .map(move |what| format!("register {register}: {what}"))
        })
        .collect();
    match wrong.is_empty() {
        true => Ok(tally(history)),
        false => Err(wrong),
    }
}

/// What was seen of one register.
#[derive(Default)]
struct Register {
    /// Each version, and what it held.
    values: BTreeMap<u64, u64>,
    /// Each value, and in which version it was.
    versions: BTreeMap<u64, u64>,
    wrong: Vec<String>,
}

impl Register {
    fn of(operations: &[&Operation]) -> Self {
        let mut register = Register::default();
        for operation in operations {
            if let Outcome::Read { version, value } = operation.outcome {
                register.saw(version, value);
            }
        }
        register
    }

    fn saw(&mut self, version: u64, value: u64) {
        let other = self.values.insert(version, value);
        if other.is_some_and(|other| other != value) {
            self.wrong
                .push(format!("version {version} held two values, {value} is one"));
        }
        let other = self.versions.insert(value, version);
        if other.is_some_and(|other| other != version) {
            self.wrong.push(format!(
                "{value} was there twice, once as version {version}"
            ));
        }
    }

    fn faults(mut self, operations: &[&Operation]) -> Vec<String> {
        self.compare_writes(operations);
        self.compare_times(operations);
        self.wrong
    }

    /// Every value came from a write that may have succeeded, over what was there just before.
    fn compare_writes(&mut self, operations: &[&Operation]) {
        let mut asked = BTreeMap::from([(UNWRITTEN, None)]);
        for operation in operations {
            match operation.outcome {
                Outcome::Read { .. } => {}
                Outcome::Refused { value } => {
                    if self.versions.contains_key(&value) {
                        self.wrong
                            .push(format!("{value} was refused, and is there"));
                    }
                    asked.insert(value, None);
                }
                Outcome::Written { over, value } => {
                    if !self.versions.contains_key(&value) {
                        self.wrong
                            .push(format!("{value} was acknowledged over {over}, and is lost"));
                    }
                    asked.insert(value, Some(over));
                }
                Outcome::Unknown { over, value } => {
                    asked.insert(value, Some(over));
                }
            }
        }
        let mut before = None;
        for (version, value) in &self.values {
            match asked.get(value) {
                None => self.wrong.push(format!("nobody wrote {value}")),
                Some(over) if over.is_some() && *over != before => self.wrong.push(format!(
                    "{value} was written over {over:?}, but {before:?} was there"
                )),
                Some(_) => {}
            }
            before = Some(*version);
        }
    }

    /// Nobody saw, or took the place of, less than what was there before he asked.
    fn compare_times(&mut self, operations: &[&Operation]) {
        let mut begun: Vec<&Operation> = operations.to_vec();
        begun.sort_by_key(|operation| operation.began);
        let mut ended: Vec<(Duration, u64)> = operations
            .iter()
            .filter(|operation| !matches!(operation.outcome, Outcome::Unknown { .. }))
            .filter_map(|operation| Some((operation.ended, self.place(operation.outcome)?)))
            .collect();
        ended.sort();
        let mut ended = ended.into_iter().peekable();
        let mut newest = None;
        for operation in begun {
            while let Some((_, place)) = ended.next_if(|(at, _)| *at < operation.began) {
                newest = newest.max(Some(place));
            }
            let Some(place) = self.place(operation.outcome) else {
                continue;
            };
            let is_read = matches!(operation.outcome, Outcome::Read { .. });
            let fits = newest.is_none_or(|newest| place > newest || is_read && place == newest);
            if !fits {
                self.wrong
                    .push(format!("{operation:?} came after version {newest:?}"));
            }
        }
    }

    /// The version that an operation saw or made.
    fn place(&self, outcome: Outcome) -> Option<u64> {
        match outcome {
            Outcome::Read { version, .. } => Some(version),
            Outcome::Written { value, .. } | Outcome::Unknown { value, .. } => {
                self.versions.get(&value).copied()
            }
            Outcome::Refused { .. } => None,
        }
    }
}

fn tally(history: &[Operation]) -> Tally {
    let mut tally = Tally::default();
    let mut acknowledged = Vec::new();
    for operation in history {
        match operation.outcome {
            Outcome::Read { .. } => tally.reads += 1,
            Outcome::Written { .. } => {
                tally.writes += 1;
                acknowledged.push(operation.ended);
            }
            Outcome::Refused { .. } | Outcome::Unknown { .. } => tally.others += 1,
        }
    }
    acknowledged.sort();
    let pauses = acknowledged.windows(2).map(|pair| pair[1] - pair[0]);
    tally.longest_pause = pauses.max().unwrap_or_default();
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(began: u64, ended: u64, outcome: Outcome) -> Operation {
        Operation {
            register: 1,
            began: Duration::from_millis(began),
            ended: Duration::from_millis(ended),
            outcome,
        }
    }

    fn read(began: u64, ended: u64, version: u64, value: u64) -> Operation {
        at(began, ended, Outcome::Read { version, value })
    }

    fn written(began: u64, ended: u64, over: u64, value: u64) -> Operation {
        at(began, ended, Outcome::Written { over, value })
    }

    fn unknown(began: u64, ended: u64, over: u64, value: u64) -> Operation {
        at(began, ended, Outcome::Unknown { over, value })
    }

    /// Two clients; the second write has no answer and took effect late.
    fn sound() -> Vec<Operation> {
        vec![
            read(0, 1, 10, UNWRITTEN),
            written(2, 5, 10, 7),
            read(3, 4, 10, UNWRITTEN),
            read(6, 7, 12, 7),
            unknown(8, 9, 12, 8),
            read(10, 11, 12, 7),
            read(12, 13, 15, 8),
            at(14, 15, Outcome::Refused { value: 9 }),
            written(16, 17, 15, 11),
            read(18, 19, 20, 11),
        ]
    }

    /// The sound history with an operation in another's place.
    fn instead(at: usize, operation: Operation) -> Vec<Operation> {
        let mut history = sound();
        history[at] = operation;
        history
    }

    /// The sound history, and one more thing that was read after it.
    fn then(version: u64, value: u64) -> Vec<Operation> {
        let mut history = sound();
        history.push(read(20, 21, version, value));
        history
    }

    #[test]
    fn what_can_have_been_is_counted() {
        let tally = judge(&sound()).unwrap();
        let expected = Tally {
            reads: 6,
            writes: 2,
            others: 2,
            longest_pause: Duration::from_millis(12),
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn a_write_without_an_answer_may_never_have_been() {
        let history = [
            read(0, 1, 10, UNWRITTEN),
            unknown(2, 3, 10, 7),
            read(8, 9, 10, UNWRITTEN),
        ];
        assert!(judge(&history).is_ok());
    }

    #[test]
    fn what_cannot_have_been_is_found() {
        let refused = at(14, 15, Outcome::Refused { value: 8 });
        let impossible = [
            ("a stale read", instead(3, read(6, 7, 10, UNWRITTEN))),
            ("older than another read", then(15, 8)),
            ("acknowledged and lost", instead(9, read(18, 19, 15, 8))),
            ("refused and there", instead(7, refused)),
            ("asked for by nobody", then(30, 99)),
            ("twice", then(30, 11)),
            ("two values in one version", then(20, 8)),
            (
                "over what it had not read",
                instead(8, written(16, 17, 12, 11)),
            ),
            (
                "seen before it was asked for",
                instead(4, unknown(14, 15, 12, 8)),
            ),
        ];
        for (what, history) in impossible {
            assert!(judge(&history).is_err(), "{what}");
        }
    }
}
