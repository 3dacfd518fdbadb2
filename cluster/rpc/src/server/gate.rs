//! How many may be in at once, in all and from one source.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Whom those who come in are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Address(IpAddr),
    /// A node's id: a worker may be hostile, and it has one certificate.
    Node(String),
}

impl Source {
    /// Who has one address of IPv6 has 2⁶⁴ of them.
    pub(super) fn address(address: IpAddr) -> Self {
        Source::Address(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
        })
    }
}

/// Counts who is in.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    per_source: usize,
    full: Full,
    counts: Mutex<Counts>,
}

/// What becomes of a newcomer when all places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Refuse,
    /// It takes the place of the one that has been in for longest. Where an honest one needs its place for milliseconds
    /// only, strangers that keep theirs shut nobody out.
    Evict,
}

#[derive(Debug, Default)]
struct Counts {
    next: u64,
    /// In the order in which they came.
    places: BTreeMap<u64, (Source, CancellationToken)>,
    sources: HashMap<Source, usize>,
}

/// One that is in, until it is dropped or evicted.
#[derive(Debug)]
pub(super) struct Place {
    gate: Gate,
    number: u64,
    evicted: CancellationToken,
}

impl Gate {
    pub(super) fn new(total: usize, per_source: usize, full: Full) -> Self {
        Gate(Arc::new(Inner {
            total,
            per_source,
            full,
            counts: Mutex::default(),
        }))
    }

    /// A place, if there is one.
    pub(super) fn enter(&self, source: Source) -> Option<Place> {
        let mut counts = self.lock();
        let of_source = counts.sources.get(&source).copied().unwrap_or(0);
        if of_source >= self.0.per_source {
            return None;
        }
        if counts.places.len() >= self.0.total {
            let Full::Evict = self.0.full else {
                return None;
            };
            counts.evict_oldest();
        }
        let evicted = CancellationToken::new();
        let number = counts.add(source, evicted.clone());
        Some(Place {
            gate: self.clone(),
            number,
            evicted,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        let counts = self.0.counts.lock();
        counts.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, source: Source, evicted: CancellationToken) -> u64 {
        let number = self.next;
        self.next += 1;
        *self.sources.entry(source.clone()).or_default() += 1;
        self.places.insert(number, (source, evicted));
        number
    }

    fn evict_oldest(&mut self) {
        if let Some(&number) = self.places.keys().next() {
            self.remove(number);
        }
    }

    /// Without effect on one that was evicted.
    fn remove(&mut self, number: u64) {
        let Some((source, evicted)) = self.places.remove(&number) else {
            return;
        };
        evicted.cancel();
        if let Some(of_source) = self.sources.get_mut(&source) {
            *of_source -= 1;
            if *of_source == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

impl Place {
    /// Cancelled when another takes the place.
    pub(super) fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Source {
        Source::address(text.parse().unwrap())
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_goes() {
        let gate = Gate::new(3, 2, Full::Refuse);
        let (one, two) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = gate.enter(one.clone()).unwrap();
        let _second = gate.enter(one.clone()).unwrap();
        assert!(
            gate.enter(one.clone()).is_none(),
            "one source has at most two"
        );
        let _third = gate.enter(two.clone()).unwrap();
        assert!(gate.enter(two.clone()).is_none(), "there are at most three");
        drop(first);
        assert!(gate.enter(two.clone()).is_some());
    }

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let gate = Gate::new(2, 2, Full::Evict);
        let one = address("10.0.0.1");
        let first = gate.enter(one.clone()).unwrap();
        let second = gate.enter(one.clone()).unwrap();
        assert!(
            gate.enter(one.clone()).is_none(),
            "its own it does not evict"
        );
        let third = gate.enter(address("10.0.0.2")).unwrap();
        let evicted = [&first, &second, &third].map(|place| place.evicted().is_cancelled());
        assert_eq!(evicted, [true, false, false]);
        drop((first, second, third));
        assert!(gate.lock().places.is_empty());
        assert!(gate.lock().sources.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        assert_eq!(address("fd00::1:2"), address("fd00::7"));
        assert_ne!(address("fd00:0:0:1::1"), address("fd00::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
    }
}
