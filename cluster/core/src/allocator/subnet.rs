//! Subnets: those asked for, or the next of the swarm's pools.
//!
//! A subnet may share no address with another network's, nor with a range that a node which is ready
//! routes by itself: packets for it would never leave that node. One that is left to the swarm passes such
//! ranges over.

use super::address::{address, bits};
use super::vni;
use crate::state::State;
use ipnet::IpNet;
use std::net::IpAddr;
use swarmrs_types::default::{ADDR_POOL, SUBNET_SIZE};
use swarmrs_types::endpoint::Segment;
use swarmrs_types::object::{Allocated, NodeState};
use swarmrs_types::spec::{IpamConfig, NetworkSpec};
use swarmrs_types::{Code, Fault};

/// The subnets of a new network, IPv4 first, each with its VXLAN id. The spec's own settings have been
/// found valid.
pub fn segments(state: &State, spec: &NetworkSpec) -> Result<Vec<Allocated>, Fault> {
    let asked = spec.ipam.iter().flat_map(|ipam| &ipam.config);
    let mut found: Vec<Asked> = Vec::new();
    for config in asked {
        let Some(asked) = Asked::of(config) else {
            continue;
        };
        if asked.subnet.addr().is_ipv4() || spec.enable_ipv6 == Some(true) {
            found.push(asked.beside(state, &found)?);
        }
    }
    let is_v4 = |asked: &Asked| asked.subnet.addr().is_ipv4();
    found.sort_by_key(|asked| !is_v4(asked));
    if !found.iter().any(is_v4) {
        found.insert(0, Asked::plain(draw(state)?));
    }
    if spec.enable_ipv6 == Some(true) && found.iter().all(is_v4) {
        return Err(Fault::invalid(
            "an IPv6 subnet has to be given for a network with IPv6: the swarm's pools have none",
        ));
    }
    let wide = found.iter().filter(|asked| is_v4(asked)).count();
    let vnis = vni::draw(state, spec, wide)?;
    // A network's IPv6 shares the wire of its IPv4.
    let of = |place: usize| {
        vnis.get(place)
            .or(vnis.first())
            .copied()
            .unwrap_or_default()
    };
    let with_vni = |(place, asked): (usize, Asked)| asked.allocated(of(place));
    Ok(found.into_iter().enumerate().map(with_vni).collect())
}

/// One subnet as a spec asks for it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    subnet: IpNet,
    gateway: Option<IpAddr>,
    range: Option<IpNet>,
}

impl Asked {
    fn of(config: &IpamConfig) -> Option<Self> {
        Some(Asked {
            subnet: config.subnet.parse::<IpNet>().ok()?.trunc(),
            gateway: config.gateway.parse().ok(),
            range: config
                .ip_range
                .parse::<IpNet>()
                .ok()
                .map(|range| range.trunc()),
        })
    }

    fn plain(subnet: IpNet) -> Self {
        Asked {
            subnet,
            gateway: None,
            range: None,
        }
    }

    fn beside(self, state: &State, others: &[Asked]) -> Result<Self, Fault> {
        let subnet = self.subnet;
        if let Some(other) = others.iter().find(|other| overlap(other.subnet, subnet)) {
            return Err(refused(
                subnet,
                &format!("subnet {} of the same network", other.subnet),
            ));
        }
        if let Some((other, id)) = state.overlapping(subnet) {
            let name = state.network(id).map_or("", |network| network.name());
            let departs = if state.networks().contains(&id) {
                ""
            } else {
                ", which is being removed"
            };
            return Err(refused(
                subnet,
                &format!("subnet {other} of network {name}{departs}"),
            ));
        }
        let mut routes = routes(state);
        if let Some((host, route)) = routes.find(|(_, route)| overlap(*route, subnet)) {
            return Err(refused(subnet, &format!("route {route} of node {host}")));
        }
        Ok(self)
    }

    /// Without a gateway of the user's own it is the first address.
    fn allocated(self, vni: u32) -> Allocated {
        let first = address(self.subnet, bits(self.subnet.network()) + 1);
        Allocated {
            segment: Segment {
                subnet: self.subnet,
                gateway: self.gateway.unwrap_or(first),
                vni,
            },
            range: self.range,
        }
    }
}

fn refused(subnet: IpNet, other: &str) -> Fault {
    Fault::daemon(
        Code::PermissionDenied,
        format!("invalid network config: subnet {subnet} overlaps with {other}"),
    )
}

fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// What nodes that are ready route by themselves, with their names.
fn routes(state: &State) -> impl Iterator<Item = (&str, IpNet)> {
    let ready = state
        .nodes()
        .iter()
        .filter(|node| node.status.state == NodeState::Ready);
    ready.flat_map(|node| {
        let name = node.description.hostname.as_str();
        node.routes.iter().map(move |route| (name, *route))
    })
}

/// The next free subnet of the pools.
fn draw(state: &State) -> Result<IpNet, Fault> {
    let (pools, size) = pools(state);
    let last = state.last_subnet();
    let start = last.and_then(|last| pools.iter().position(|pool| pool.contains(&last)));
    let (before, after) = pools.split_at(start.unwrap_or(0));
    let mut order = Vec::new();
    let resumed = last.filter(|_| start.is_some());
    for (place, pool) in after.iter().chain(before).enumerate() {
        let from = resumed
            .filter(|_| place == 0)
            .map_or(bits(pool.network()), |last| bits(last.broadcast()) + 1);
        order.push((*pool, from));
    }
    order.extend(
        after
            .first()
            .filter(|_| start.is_some())
            .map(|pool| (*pool, bits(pool.network()))),
    );
    let mut found = order
        .into_iter()
        .filter_map(|(pool, from)| free_in(state, pool, size, from));
    found.next().ok_or_else(|| none_left(state, &pools, size))
}

/// The pools as IPv4 ranges, and the prefix length of what is taken from them.
fn pools(state: &State) -> (Vec<IpNet>, u8) {
    let cluster = state.cluster();
    let named = cluster.map_or(&[][..], |cluster| &cluster.default_addr_pool);
    let parsed = named.iter().filter_map(|pool| pool.parse::<IpNet>().ok());
    let mut pools: Vec<IpNet> = parsed
        .map(|pool| pool.trunc())
        .filter(|pool| pool.addr().is_ipv4())
        .collect();
    if pools.is_empty() {
        pools.extend(ADDR_POOL.parse::<IpNet>());
    }
    let size = cluster.map_or(0, |cluster| cluster.subnet_size);
    let size = if size == 0 { SUBNET_SIZE } else { size };
    (pools, u8::try_from(size).unwrap_or(u8::MAX).min(29))
}

/// The first subnet at or after `from` that shares nothing with what is in use. A route that covers the
/// whole pool cannot be passed by, and is not heeded: the pool was chosen in spite of it.
fn free_in(state: &State, pool: IpNet, size: u8, from: u128) -> Option<IpNet> {
    let step = 1u128 << (32 - size.max(pool.prefix_len()));
    let routed: Vec<IpNet> = routes(state)
        .map(|(_, route)| route)
        .filter(|route| overlap(*route, pool) && !route.contains(&pool))
        .collect();
    let mut next = from.div_ceil(step) * step;
    while next + step - 1 <= bits(pool.broadcast()) {
        let subnet = IpNet::new(address(pool, next), size.max(pool.prefix_len())).ok()?;
        let route = routed
            .iter()
            .find(|route| overlap(**route, subnet))
            .copied();
        let Some(obstacle) = route.or(state.overlapping(subnet).map(|(other, _)| other)) else {
            return Some(subnet);
        };
        next = (bits(obstacle.broadcast()) + 1)
            .max(next + step)
            .div_ceil(step)
            * step;
    }
    None
}

fn none_left(state: &State, pools: &[IpNet], size: u8) -> Fault {
    let all: u128 = pools
        .iter()
        .map(|pool| 1u128 << size.saturating_sub(pool.prefix_len()))
        .sum();
    let names: Vec<_> = pools.iter().map(IpNet::to_string).collect();
    let routed = routes(state)
        .filter(|(_, route)| pools.iter().any(|pool| overlap(*route, *pool)))
        .count();
    let in_use = state
        .networks()
        .iter()
        .filter(|network| network.is_overlay())
        .count();
    Fault::daemon(
        Code::FailedPrecondition,
        format!(
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network: \
             none of the {all} subnets of /{size} in {} is free ({in_use} networks, {routed} routes of nodes)",
            names.join(", ")
        ),
    )
}
