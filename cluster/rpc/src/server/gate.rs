//! How many may be in at once, in all and from one source.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

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
    places: BTreeMap<u64, (IpAddr, CancellationToken)>,
    sources: HashMap<IpAddr, usize>,
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
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let source = source(address);
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
    fn add(&mut self, source: IpAddr, evicted: CancellationToken) -> u64 {
        let number = self.next;
        self.next += 1;
        self.places.insert(number, (source, evicted));
        *self.sources.entry(source).or_default() += 1;
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

/// Whom an address stands for: who has one of IPv6 has 2⁶⁴ of them.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_goes() {
        let gate = Gate::new(3, 2, Full::Refuse);
        let (one, two) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = gate.enter(one).unwrap();
        let _second = gate.enter(one).unwrap();
        assert!(gate.enter(one).is_none(), "one source has at most two");
        let _third = gate.enter(two).unwrap();
        assert!(gate.enter(two).is_none(), "there are at most three");
        drop(first);
        assert!(gate.enter(two).is_some());
    }

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let gate = Gate::new(2, 2, Full::Evict);
        let one = address("10.0.0.1");
        let first = gate.enter(one).unwrap();
        let second = gate.enter(one).unwrap();
        assert!(gate.enter(one).is_none(), "its own it does not evict");
        let third = gate.enter(address("10.0.0.2")).unwrap();
        let evicted = [&first, &second, &third].map(|place| place.evicted().is_cancelled());
        assert_eq!(evicted, [true, false, false]);
        drop((first, second, third));
        assert!(gate.lock().places.is_empty());
        assert!(gate.lock().sources.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        assert_eq!(source(address("fd00::1:2")), source(address("fd00::7")));
        assert_ne!(source(address("fd00:0:0:1::1")), source(address("fd00::1")));
        assert_eq!(source(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }
}
