//! Whether all members made the same of the log.
//!
//! A state comes to a number: the sum over its objects of a hash of kind, id and version. An object's version is the entry
//! that wrote it, so two states that came from the same log have the same sum, and each change costs two additions. The
//! leader sends the newest sum with what it sends anyway, and whoever has been at the same entry compares. Members that
//! differ have a bug between them, which no later entry mends. The leader's state counts: all were answered by it. Whoever
//! has another is out of service from then on, and starts over ([`crate::start_over`]).

use crate::figures::Measures;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use swarmrs_core::{Delta, Event};
use tokio::sync::watch;

/// How many sums are kept for comparison: a member may be so far ahead of what the leader said last.
const KEPT: usize = 512;

/// The sum of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum(u64);

/// What becomes of a member whose state is not the leader's. Until it is, the member reads and decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differing {
    /// It starts over from the leader's state.
    StartsOver,
    /// It did so again and again, and goes on no more.
    Stopped,
}

impl fmt::Display for Differing {
    /// What to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Differing::StartsOver => {
                "it starts over from the leader's by itself, ask another manager meanwhile"
            }
            Differing::Stopped => {
                "starting over does not help: demote it, and promote it again with an empty store"
            }
        })
    }
}

/// The sums after the last entries, and what the leader's came to.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    known: Mutex<Known>,
    measures: Arc<Measures>,
    differing: watch::Sender<Option<Differing>>,
}

#[derive(Debug, Default)]
struct Known {
    /// By entry, in order.
    here: VecDeque<(u64, Sum)>,
    /// The leader's last, not reached here yet.
    there: Option<(u64, Sum)>,
}

impl Sum {
    /// The sum after `event`.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Cluster(delta) => {
                self.change("cluster", delta, |c| (c.id.as_str(), c.meta.version))
            }
            Event::Node(delta) => self.change("node", delta, |n| (n.id.as_str(), n.meta.version)),
            Event::Service(delta) => {
                self.change("service", delta, |s| (s.id.as_str(), s.meta.version))
            }
            Event::Task(delta) => self.change("task", delta, |t| (t.id.as_str(), t.meta.version)),
            Event::Network(delta) => {
                self.change("network", delta, |n| (n.id.as_str(), n.meta.version))
            }
            Event::Attachment(delta) => {
                self.change("attachment", delta, |a| (a.id.as_str(), a.meta.version));
            }
            Event::Secret(delta) => {
                self.change("secret", delta, |s| (s.id.as_str(), s.meta.version))
            }
            Event::Config(delta) => {
                self.change("config", delta, |c| (c.id.as_str(), c.meta.version))
            }
        }
    }

    fn change<T>(&mut self, kind: &str, delta: &Delta<T>, object: impl Fn(&T) -> (&str, u64)) {
        if let Some((id, version)) = delta.old.as_deref().map(&object) {
            self.0 = self.0.wrapping_sub(hash(kind, id, version));
        }
        if let Some((id, version)) = delta.new.as_deref().map(&object) {
            self.0 = self.0.wrapping_add(hash(kind, id, version));
        }
    }
}

/// FNV-1a over kind and id, spread with the version. It guards against mistakes, not against anybody.
fn hash(kind: &str, id: &str, version: u64) -> u64 {
    let bytes = kind.bytes().chain([0]).chain(id.bytes());
    let named = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut spread = named ^ version.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    spread = (spread ^ (spread >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    spread ^ (spread >> 32)
}

impl Sums {
    pub(crate) fn new(measures: Arc<Measures>) -> Self {
        Sums {
            measures,
            ..Sums::default()
        }
    }

    /// After entry `index` this member's state comes to `sum`.
    pub(crate) fn note(&self, index: u64, sum: Sum) {
        let mut known = self.known.lock().expect("no holder panics");
        // A core that was started again applies once more what the one before had applied.
        while known.here.back().is_some_and(|(last, _)| *last >= index) {
            known.here.pop_back();
        }
        known.here.push_back((index, sum));
        if known.here.len() > KEPT {
            known.here.pop_front();
        }
        if let Some((at, there)) = known.there.take_if(|(at, _)| *at <= index)
            && at == index
        {
            self.judge(index, sum, there);
        }
    }

    /// The last that was noted, for others to compare; of a state that is wrong there is nothing to be said.
    pub(crate) fn newest(&self) -> Option<(u64, u64)> {
        if self.differ() {
            return None;
        }
        let known = self.known.lock().expect("no holder panics");
        known.here.back().map(|(index, sum)| (*index, sum.0))
    }

    /// The leader says what its state came to after entry `index`.
    pub(crate) fn compare(&self, (index, sum): (u64, u64)) {
        let mut known = self.known.lock().expect("no holder panics");
        let there = Sum(sum);
        if known.here.back().is_none_or(|(last, _)| *last < index) {
            known.there = Some((index, there));
        } else if let Ok(place) = known.here.binary_search_by_key(&index, |(at, _)| *at) {
            let here = known.here[place].1;
            self.judge(index, here, there);
        }
    }

    fn judge(&self, index: u64, here: Sum, there: Sum) {
        let news = |known: &mut Option<Differing>| {
            let is_news = here != there && known.is_none();
            *known = known.or(is_news.then_some(Differing::StartsOver));
            is_news
        };
        if self.differing.send_if_modified(news) {
            self.measures.differing.add(1);
            tracing::error!(
                index,
                here = %format_args!("{:016x}", here.0),
                leader = %format_args!("{:016x}", there.0),
                "this manager's state is not the leader's: it is out of service and starts over from the leader's"
            );
        }
    }

    /// Whether this member's state is known not to be the leader's.
    pub(crate) fn differing(&self) -> watch::Receiver<Option<Differing>> {
        self.differing.subscribe()
    }

    pub(crate) fn differ(&self) -> bool {
        self.differing.borrow().is_some()
    }

    /// Starting over did not help.
    pub(crate) fn give_up(&self) {
        self.differing.send_replace(Some(Differing::Stopped));
    }

    /// Whoever had another is lost: this state counts.
    pub(crate) fn acquit(&self) {
        self.differing.send_replace(None);
    }

    /// The state is another: the leader's, which came to these sums. What was found of the one before is over.
    pub(crate) fn begin_anew(&self, sums: impl IntoIterator<Item = (u64, Sum)>) {
        self.known.lock().expect("no holder panics").here.clear();
        self.differing.send_replace(None);
        for (index, sum) in sums {
            self.note(index, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums() -> Sums {
        Sums::new(Arc::default())
    }

    #[test]
    fn the_same_entry_is_compared_whoever_comes_to_it_first() {
        let sums = sums();
        sums.note(5, Sum(50));
        sums.note(6, Sum(60));
        sums.compare((5, 50));
        sums.compare((7, 70));
        sums.note(7, Sum(70));
        assert_eq!(sums.measures.differing.get(), 0);
        sums.compare((6, 61));
        assert!(sums.differ());
        sums.begin_anew([(7, Sum(70))]);
        sums.compare((8, 80));
        sums.note(8, Sum(81));
        assert!(sums.differ());
    }

    #[test]
    fn whoever_differs_is_told_once_until_it_begins_anew() {
        let sums = sums();
        let mut differing = sums.differing();
        sums.note(5, Sum(50));
        sums.note(6, Sum(61));
        sums.compare((6, 60));
        assert_eq!(*differing.borrow_and_update(), Some(Differing::StartsOver));
        sums.give_up();
        sums.note(7, Sum(71));
        sums.compare((7, 70));
        assert_eq!(*differing.borrow_and_update(), Some(Differing::Stopped));
        assert_eq!(sums.measures.differing.get(), 1);
        assert_eq!(sums.newest(), None);
        sums.begin_anew([(6, Sum(60)), (7, Sum(70))]);
        assert_eq!(*differing.borrow_and_update(), None);
        // What came of the entries before is forgotten with the state.
        sums.compare((5, 51));
        sums.compare((7, 70));
        assert!(!sums.differ());
        sums.compare((6, 61));
        assert!(sums.differ());
    }

    #[test]
    fn what_is_too_old_or_was_passed_over_is_not_compared() {
        let sums = sums();
        for index in 1..=KEPT as u64 + 1 {
            sums.note(index, Sum(index));
        }
        sums.compare((1, 0));
        sums.compare((600, 0));
        sums.note(700, Sum(700));
        assert_eq!(sums.measures.differing.get(), 0);
        assert_eq!(sums.newest(), Some((700, 700)));
    }

    #[test]
    fn a_core_that_begins_again_is_compared_anew() {
        let sums = sums();
        (1..=9).for_each(|index| sums.note(index, Sum(index)));
        sums.note(4, Sum(40));
        sums.compare((4, 40));
        sums.compare((7, 7));
        assert_eq!(sums.measures.differing.get(), 0);
    }
}
