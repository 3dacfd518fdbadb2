//! Addresses of one network.
//!
//! Members count up from the lowest address, services' own addresses count down from the highest, so
//! that requests and the leader rarely reach for the same one. Each goes on after the one given last and
//! begins again at its end, so an address is used again as late as can be; one that was freed in the last
//! minute is passed over.

use crate::state::State;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use swarmrs_types::object::{Allocated, Network};
use swarmrs_types::{ClusterTime, NetworkId};

/// A network has no address to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    network: String,
    subnets: Vec<IpNet>,
    usable: u128,
    held: usize,
    /// When one that was freed lately can be given again.
    pub next: Option<ClusterTime>,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subnets: Vec<_> = self.subnets.iter().map(IpNet::to_string).collect();
        write!(
            f,
            "could not find an available IP on network {}: of {} addresses in {} {} are in use",
            self.network,
            self.usable,
            subnets.join(", "),
            self.held
        )?;
        let freed = self.usable.saturating_sub(self.held as u128);
        if freed > 0 && self.next.is_some() {
            write!(f, " and {freed} were freed less than a minute ago")?;
        }
        Ok(())
    }
}

/// The addresses of a new member: one of each family that the network has.
pub fn member(state: &State, network: &Network, now: ClusterTime) -> Result<Vec<IpNet>, Exhausted> {
    let mut found = vec![one(state, network, Family::V4, Order::Up, now)?];
    if network.segments.iter().any(|own| Family::V6.has(own)) {
        found.push(one(state, network, Family::V6, Order::Up, now)?);
    }
    Ok(found)
}

/// An address for a service itself.
pub fn of_service(state: &State, network: &Network, now: ClusterTime) -> Result<IpNet, Exhausted> {
    one(state, network, Family::V4, Order::Down, now)
}

/// Why a certain address cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotThis {
    #[error("Requested address {0} is not in any subnet of network {1}")]
    Outside(IpAddr, String),
    /// Docker's words.
    #[error("Address already in use")]
    InUse,
}

/// A certain address, with its subnet's prefix. Whoever asks for one by number may have it again at
/// once after it was freed.
pub fn this(state: &State, network: &Network, address: IpAddr) -> Result<IpNet, NotThis> {
    let Some(own) = network.segment_of(address) else {
        return Err(NotThis::Outside(address, network.name().to_owned()));
    };
    let span = Span::of(own);
    let reserved = !span.whole.contains(&bits(address)) || address == own.segment.gateway;
    if reserved || state.holder(network.id, address).is_some() {
        return Err(NotThis::InUse);
    }
    Ok(within(own, address))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn has(self, own: &Allocated) -> bool {
        own.segment.subnet.addr().is_ipv4() == (self == Family::V4)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Up,
    Down,
}

/// From the first subnet of the family that has one.
fn one(
    state: &State,
    network: &Network,
    family: Family,
    order: Order,
    now: ClusterTime,
) -> Result<IpNet, Exhausted> {
    let own = network.segments.iter().filter(|own| family.has(own));
    let mut found = own
        .clone()
        .filter_map(|own| in_subnet(state, network.id, own, order, now));
    found.next().ok_or_else(|| Exhausted {
        network: network.name().to_owned(),
        subnets: own.clone().map(|own| own.segment.subnet).collect(),
        usable: own.clone().map(|own| Span::of(own).usable()).sum(),
        held: state
            .holders(network.id)
            .filter(|(at, _)| at.is_ipv4() == (family == Family::V4))
            .count(),
        next: state.next_free(network.id),
    })
}

fn in_subnet(
    state: &State,
    network: NetworkId,
    own: &Allocated,
    order: Order,
    now: ClusterTime,
) -> Option<IpNet> {
    let subnet = own.segment.subnet;
    let is_free = |number: &u128| {
        let address = address(subnet, *number);
        let quarantined = state
            .quarantined(network, address)
            .is_some_and(|until| until > now);
        address != own.segment.gateway && !quarantined && state.holder(network, address).is_none()
    };
    let span = Span::of(own);
    let (first, last) = (*span.given.start(), *span.given.end());
    let found = match order {
        Order::Up => {
            let after = state
                .last_address(network, subnet)
                .map_or(first, |last| bits(last).saturating_add(1));
            let after = after.clamp(first, last.saturating_add(1));
            (after..=last).chain(first..=last.min(after)).find(is_free)
        }
        Order::Down => {
            let before = state
                .last_service_address(network, subnet)
                .map_or(last, |last| bits(last).saturating_sub(1));
            let before = before.clamp(first.saturating_sub(1), last);
            (first..=before)
                .rev()
                .chain((first.max(before)..=last).rev())
                .find(is_free)
        }
    };
    found.map(|number| within(own, address(subnet, number)))
}

/// The numbers of a subnet's addresses.
struct Span {
    /// All that a host may have.
    whole: std::ops::RangeInclusive<u128>,
    /// Those that are given out.
    given: std::ops::RangeInclusive<u128>,
    /// Whether the gateway is among those.
    gateway: bool,
}

impl Span {
    fn of(own: &Allocated) -> Self {
        let subnet = own.segment.subnet;
        // The address of the net itself is no host's, and in IPv4 neither is the last one.
        let is_small = subnet.prefix_len() >= subnet.max_prefix_len() - 1;
        let edge = u128::from(!is_small);
        let top = if subnet.addr().is_ipv4() { edge } else { 0 };
        let first = bits(subnet.network()) + edge;
        let last = bits(subnet.broadcast()) - top;
        let range = own.range.unwrap_or(subnet);
        let given = first.max(bits(range.network()))..=last.min(bits(range.broadcast()));
        Span {
            whole: first..=last,
            gateway: given.contains(&bits(own.segment.gateway)),
            given,
        }
    }

    fn usable(&self) -> u128 {
        let all = (self.given.end() - self.given.start()).saturating_add(1);
        all - u128::from(self.gateway)
    }
}

fn within(own: &Allocated, address: IpAddr) -> IpNet {
    let prefix = own.segment.subnet.prefix_len();
    IpNet::new(address, prefix).unwrap_or(own.segment.subnet)
}

/// An address as a number.
pub(super) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of that number, of the subnet's family.
pub(super) fn address(subnet: IpNet, number: u128) -> IpAddr {
    match subnet {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(
            u32::try_from(number).unwrap_or(u32::MAX),
        )),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}
