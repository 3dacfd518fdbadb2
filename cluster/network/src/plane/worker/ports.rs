//! Ports of the host that lead to containers: who has which, what holds them, and where they lead.

use super::Worker;
use crate::desired::Touched;
use crate::diff::Target;
use crate::error::Error;
use crate::firewall::Family;
use crate::mesh::{Inner, Outer, Transport, Way};
use crate::plane::network::Network;
use crate::port::{BoundPort, HostPort};
use crate::reserve::Reservation;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use swarmrs_types::id::NetworkId;

/// A container's port, and its number behind the network's link.
pub(super) struct Bound {
    pub port: BoundPort,
    inner: u16,
    pub held: Option<Reservation>,
}

impl Worker {
    /// Host ports that lead to containers of a network, as its namespace has them.
    pub(super) fn bound_on(&self, id: NetworkId) -> BTreeMap<(Transport, u16), Inner> {
        let of_it = self.bound.iter();
        of_it
            .filter(|(_, bound)| bound.port.network == id)
            .map(|((transport, ..), bound)| {
                let target = (bound.port.address, bound.port.port);
                ((*transport, bound.inner), target)
            })
            .collect()
    }

    /// The ports that every node is to carry.
    pub(super) fn published(&self) -> impl Iterator<Item = (Transport, u16)> {
        let carriers = self
            .networks
            .values()
            .filter(|network| network.overlay.ingress);
        let services = carriers.flat_map(|network| network.services.values());
        services.flat_map(|service| service.ports.keys().copied())
    }

    /// The host's ports that facts and containers want, and where they lead. A container that has one keeps it.
    pub(super) fn wanted_leads(&self) -> BTreeMap<Outer, Way> {
        let mut wanted = BTreeMap::new();
        let target = |network: &Network| network.uplink.as_ref()?.target(Family::Ip);
        let carriers = self
            .networks
            .values()
            .filter(|network| network.overlay.ingress);
        for network in carriers {
            let Some(target) = target(network) else {
                continue;
            };
            for service in network.services.values() {
                for ((transport, port), inside) in &service.ports {
                    let led = service.backends.iter();
                    let led = led.map_while(|backend| network.led_by_host(*backend));
                    let turns: Vec<Target> = led.map(|one| (one.into(), Some(*inside))).collect();
                    let all = turns.len() == service.backends.len();
                    let way = Way {
                        inner: (target, *port),
                        turns: if all { turns } else { Vec::new() },
                    };
                    wanted.insert((*transport, None, *port), way);
                }
            }
        }
        for (outer, bound) in &self.bound {
            let Some(network) = self.networks.get(&bound.port.network) else {
                continue;
            };
            // Where containers answer the short way, what the network itself had rewritten would not be written back.
            let led = network.led_by_host(bound.port.address);
            let turns = led.map(|one| (one.into(), Some(bound.port.port)));
            let way = |target| Way {
                inner: (target, bound.inner),
                turns: turns.into_iter().collect(),
            };
            wanted.extend(target(network).map(|target| (*outer, way(target))));
        }
        wanted
    }

    pub(super) fn unfulfilled_ports(&self) -> impl Iterator<Item = Outer> {
        let wanted = self.wanted_leads();
        wanted.into_keys().filter(|outer| !self.host.leads(outer))
    }

    pub(in crate::plane) fn publish(
        &mut self,
        network: NetworkId,
        address: IpAddr,
        ports: &[HostPort],
    ) -> Result<Vec<BoundPort>, Error> {
        let mut taken = Vec::new();
        for port in ports {
            match self.bind(network, address, port) {
                Ok(outer) => taken.push(outer),
                Err(error) => {
                    for outer in taken {
                        self.bound.remove(&outer);
                    }
                    return Err(error);
                }
            }
        }
        let bound: Vec<BoundPort> = taken
            .iter()
            .filter_map(|outer| Some(self.bound.get(outer)?.port.clone()))
            .collect();
        // Before the first facts there is nothing to lead to; what is kept here goes with them.
        if !taken.is_empty() && self.networks.contains_key(&network) {
            self.program_bound(network)?;
        }
        Ok(bound)
    }

    fn program_bound(&mut self, network: NetworkId) -> Result<(), Error> {
        self.program(network, &Touched::default())?;
        self.program_host()?;
        self.warn();
        Ok(())
    }

    fn bind(
        &mut self,
        network: NetworkId,
        address: IpAddr,
        wish: &HostPort,
    ) -> Result<Outer, Error> {
        let host = wish.host_ip.filter(|host| !host.is_unspecified());
        let transport = Transport::named(Some(&wish.protocol)).ok_or_else(|| {
            Error::Refused(format!(
                "{} is no protocol that has ports",
                wish.protocol.as_str()
            ))
        })?;
        let last = wish.host_port_end.max(wish.host_port);
        let mut refused = None;
        for candidate in wish.host_port..=last {
            match self.try_hold((transport, host, candidate), (network, address)) {
                Ok(held) => {
                    let outer = (transport, host, held.port);
                    let port = BoundPort {
                        network,
                        address,
                        protocol: transport.protocol(),
                        port: wish.port,
                        host_ip: host,
                        host_port: held.port,
                    };
                    let inner = self.free_inner(network, transport, held.port);
                    self.bound.insert(
                        outer,
                        Bound {
                            port,
                            inner,
                            held: Some(held),
                        },
                    );
                    return Ok(outer);
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| Error::Refused("no port was asked for".to_owned())))
    }

    fn try_hold(&mut self, outer: Outer, owner: (NetworkId, IpAddr)) -> Result<Reservation, Error> {
        let (transport, host, port) = outer;
        let shown = host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let same =
            |other: &Outer| other.0 == transport && other.2 == port && overlaps(other.1, host);
        let led = self.wanted_leads().into_keys().any(|other| same(&other));
        let mut take: fn(_, _, _) -> _ = Reservation::take;
        if port != 0 && (led || self.bound.keys().any(same)) {
            let ours = self
                .bound
                .get(&outer)
                .is_some_and(|bound| (bound.port.network, bound.port.address) == owner);
            if !ours {
                return Err(Error::PortAllocated { host: shown, port });
            }
            // The container had it before a restart of its network: it is bound anew.
            self.bound.remove(&outer);
            self.host.forget(&outer);
            take = Reservation::take_back;
        }
        take(transport, host, port).map_err(|source| Error::PortTaken {
            protocol: transport.name(),
            host: shown,
            port,
            source,
        })
    }

    /// The number of a port behind the network's link: its own, unless another address's has it.
    fn free_inner(&self, network: NetworkId, transport: Transport, port: u16) -> u16 {
        let used: BTreeSet<u16> = self
            .bound
            .iter()
            .filter(|(outer, bound)| outer.0 == transport && bound.port.network == network)
            .map(|(_, bound)| bound.inner)
            .collect();
        let published = self.networks.get(&network).into_iter();
        let published = published.flat_map(|network| network.services.values());
        let published: BTreeSet<u16> = published
            .flat_map(|service| service.ports.keys())
            .filter(|(other, _)| *other == transport)
            .map(|(_, port)| *port)
            .collect();
        let all = (port..=u16::MAX).chain(1..port);
        let mut free = all.filter(|port| !used.contains(port) && !published.contains(port));
        free.next().unwrap_or(port)
    }

    pub(in crate::plane) fn revoke(
        &mut self,
        network: NetworkId,
        address: IpAddr,
    ) -> Result<(), Error> {
        let before = self.bound.len();
        self.bound
            .retain(|_, bound| (bound.port.network, bound.port.address) != (network, address));
        if self.bound.len() == before {
            return Ok(());
        }
        self.program_bound(network)
    }

    pub(in crate::plane) fn ports(&self) -> Vec<BoundPort> {
        self.bound
            .values()
            .map(|bound| bound.port.clone())
            .collect()
    }
}

/// Two ports of one number meet unless they are on two addresses.
fn overlaps(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    one.is_none() || other.is_none() || one == other
}
