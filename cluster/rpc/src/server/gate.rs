//! How many may be in at once, in all and from one source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts who is in.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    per_source: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    sources: HashMap<IpAddr, usize>,
}

/// One that is in, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Gate,
    source: IpAddr,
}

impl Gate {
    pub(super) fn new(total: usize, per_source: usize) -> Self {
        Gate(Arc::new(Inner {
            total,
            per_source,
            counts: Mutex::default(),
        }))
    }

    /// A place, if there is one.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let source = source(address);
        let mut counts = self.lock();
        let of_source = counts.sources.get(&source).copied().unwrap_or(0);
        if counts.total >= self.0.total || of_source >= self.0.per_source {
            return None;
        }
        counts.total += 1;
        counts.sources.insert(source, of_source + 1);
        let gate = self.clone();
        Some(Place { gate, source })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.gate.lock();
        counts.total -= 1;
        if let Some(of_source) = counts.sources.get_mut(&self.source) {
            *of_source -= 1;
            if *of_source == 0 {
                counts.sources.remove(&self.source);
            }
        }
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
        let gate = Gate::new(3, 2);
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
    fn who_leaves_is_forgotten() {
        let gate = Gate::new(3, 2);
        drop(gate.enter(address("10.0.0.1")));
        assert_eq!(gate.lock().total, 0);
        assert!(gate.lock().sources.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        assert_eq!(source(address("fd00::1:2")), source(address("fd00::7")));
        assert_ne!(source(address("fd00:0:0:1::1")), source(address("fd00::1")));
        assert_eq!(source(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }
}
