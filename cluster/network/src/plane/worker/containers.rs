//! Containers that join a network and leave it: their links, and what the engine is told of them.

use super::Worker;
use crate::error::{Doing, Error};
use crate::plane::network::Network;
use crate::plane::{Config, Joined, NAME_SERVER, Route};
use crate::vxlan;
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use swarmrs_types::endpoint::Endpoint;
use swarmrs_types::id::NetworkId;

impl Worker {
    pub(in crate::plane) fn join(
        &mut self,
        id: NetworkId,
        address: IpAddr,
    ) -> Result<Joined, Error> {
        let endpoint = self.local(id, address)?.clone();
        let name = container_link(&self.config, id, address);
        let mut network = self.networks.remove(&id).ok_or(Error::UnknownNetwork(id))?;
        let addresses = endpoint.addresses.iter().map(|a| a.addr()).collect();
        let forwards = self.forward(&network);
        let made = self.with_site(|site| {
            network.plug(site, addresses, &name).doing(|| {
                format!(
                    "make the link of {address} on network {}",
                    network.overlay.name
                )
            })
        });
        let joined = made.map(|mac| self.joined(&network, &endpoint, name, mac));
        self.networks.insert(id, network);
        forwards.and(joined)
    }

    /// The endpoint of this node that has the address.
    fn local(&self, network: NetworkId, address: IpAddr) -> Result<&Endpoint, Error> {
        if self.desired.network(network).is_none() {
            return Err(Error::UnknownNetwork(network));
        }
        let endpoint = self.desired.at(network, address);
        let here = endpoint.filter(|endpoint| endpoint.node == self.config.node);
        here.ok_or(Error::UnknownAddress { network, address })
    }

    fn joined(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        source_name: String,
        mac: [u8; 6],
    ) -> Joined {
        let leads_out = endpoint.gateway && !network.overlay.internal;
        let [gateway, gateway_v6] =
            [false, true].map(|v6| gateway(network, endpoint, v6).filter(|_| leads_out));
        Joined {
            source_name,
            mac,
            gateway,
            gateway_v6,
            routes: self.routes(network, endpoint),
            disable_gateway_service: !leads_out,
        }
    }

    /// The way to the name server, over one network of a container only (the engine refuses a second), and to
    /// the network's other subnets.
    fn routes(&self, network: &Network, endpoint: &Endpoint) -> Vec<Route> {
        let all: Vec<&Endpoint> = self.desired.endpoints_of(endpoint.owner).collect();
        let names = all.iter().find(|one| one.gateway).or(all.first());
        let here = names.is_none_or(|names| names.network == endpoint.network);
        let names = here.then(|| Route {
            destination: vxlan::alone(NAME_SERVER),
            via: None,
        });
        let own: Vec<IpNet> = endpoint.addresses.iter().map(|a| a.trunc()).collect();
        let segments = network.overlay.segments.iter();
        let others = segments.filter(|segment| !own.contains(&segment.subnet.trunc()));
        let others = others.filter_map(|segment| {
            let via = gateway(network, endpoint, segment.subnet.addr().is_ipv6())?;
            Some(Route {
                destination: segment.subnet,
                via: Some(via),
            })
        });
        names.into_iter().chain(others).collect()
    }

    pub(in crate::plane) fn leave(&mut self, id: NetworkId, address: IpAddr) -> Result<(), Error> {
        let network = self.networks.get_mut(&id);
        let gone = network.map_or(Ok(()), |network| network.unplug(address));
        let gone = gone.doing(|| format!("take the link of {address} on network {id} away"));
        self.revoke(id, address).and(gone)
    }

    pub(in crate::plane) fn present(&mut self, id: NetworkId) -> Result<Vec<IpAddr>, Error> {
        let network = self
            .networks
            .get_mut(&id)
            .ok_or(Error::UnknownNetwork(id))?;
        network.plugged().doing(|| format!("look at network {id}"))
    }
}

/// The gateway in the subnet that an endpoint has its address of a family from.
fn gateway(network: &Network, endpoint: &Endpoint, v6: bool) -> Option<IpAddr> {
    let mut addresses = endpoint.addresses.iter().map(|address| address.addr());
    let near = addresses.find(|address| address.is_ipv6() == v6)?;
    let mut segments = network.overlay.segments.iter();
    let own = segments.find(|segment| segment.subnet.contains(&near));
    own.map(|segment| segment.gateway)
}

/// The name of a container's link while it is on the host.
fn container_link(config: &Config, network: NetworkId, address: IpAddr) -> String {
    let digest = Sha256::digest(format!("{network} {address}"));
    let [a, b, c, d] = [digest[0], digest[1], digest[2], digest[3]];
    format!("sc{}{a:02x}{b:02x}{c:02x}{d:02x}", config.tag)
}
