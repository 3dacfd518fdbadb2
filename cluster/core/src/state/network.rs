//! Which services are on which networks.

use super::{Holder, State};
use std::sync::Arc;
use swarmrs_types::NetworkId;
use swarmrs_types::object::{Network, Service};
use swarmrs_types::spec::{PublishMode, ServiceSpec};

impl State {
    /// The networks of a service with this spec: the ingress network first if it publishes ports of the
    /// mesh, then those it names by id, in its order.
    pub fn networks_of(&self, spec: &ServiceSpec) -> impl Iterator<Item = &Arc<Network>> {
        let ingress = self.ingress_network().filter(|_| is_meshed(spec));
        let named = spec.task_template.networks.iter();
        let named = named.filter_map(|config| self.networks.get(&config.target.parse().ok()?));
        ingress.into_iter().chain(named)
    }

    /// Whether a service is on the network, or a container's lease is on it.
    pub(super) fn is_in_use(&self, id: NetworkId) -> bool {
        let mut holders = self.holders(id);
        let leased = holders.any(|(_, holder)| matches!(holder, Holder::Attachment(_)));
        leased || self.users_of_network(id).next().is_some()
    }

    /// The services whose current spec puts them on the network.
    pub fn users_of_network(&self, id: NetworkId) -> impl Iterator<Item = &Arc<Service>> {
        let is_on = move |service: &&Arc<Service>| {
            let spec = self.current_spec(service);
            spec.is_some_and(|spec| self.networks_of(&spec.spec).any(|network| network.id == id))
        };
        self.services.iter().filter(is_on)
    }
}

/// Whether a service is reached through the mesh.
pub fn is_meshed(spec: &ServiceSpec) -> bool {
    let endpoint = spec.endpoint_spec.iter();
    let mut ports = endpoint.flat_map(|endpoint| &endpoint.ports);
    ports.any(|port| port.publish_mode == Some(PublishMode::Ingress))
}
