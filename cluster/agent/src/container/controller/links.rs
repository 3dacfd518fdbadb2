//! A task's container and the networks of the swarm.

use super::{Controller, failure};
use crate::executor::{Container, Failure};
use crate::network::link::Link;
use crate::network::{Unready, drain};
use swarmrs_engine::PortBinding;
use swarmrs_network::BoundPort;
use swarmrs_types::NetworkId;
use swarmrs_types::assignment::Order;

impl Controller {
    /// The networks that the task is on, made in the engine and ready to carry it. What is not ready yet is waited for.
    pub(super) async fn links(&self, order: &Order) -> Result<Vec<Link>, Failure> {
        let expected = expected(order);
        let mut links = match expected.as_slice() {
            [] => Vec::new(),
            expected => {
                let links = self.networks.links(order.task.0, expected).await;
                links.map_err(|unready| match unready {
                    Unready::Engine(error) => failure(&error),
                    not_yet => Failure::Away(not_yet.to_string()),
                })?
            }
        };
        for network in &order.node_local {
            let twin = self.networks.ensure_node_local(network).await;
            let twin = twin.map_err(|error| failure(&error))?;
            let mut asked = order.spec.networks.iter();
            let asked = asked.find(|asked| asked.target == network.spec.name);
            links.push(Link::node_local(twin, asked));
        }
        Ok(links)
    }

    /// Connects a new container to its further networks; one that was found, to those that it lacks.
    pub(super) async fn connect(
        &self,
        container: &Container,
        links: &[Link],
    ) -> Result<(), Failure> {
        let joined = match (links, container.untouched) {
            ([], _) => return Ok(()),
            ([first, ..], true) => vec![first.twin.name.clone()],
            (_, false) => self.joined(&container.id).await?,
        };
        for link in links
            .iter()
            .filter(|link| !joined.contains(&link.twin.name))
        {
            let engine = &self.engine;
            let connected = engine.connect_network(&link.twin.id, &container.id, &link.settings);
            connected.await.map_err(|error| failure(&error))?;
        }
        Ok(())
    }

    /// Before a start: the engine's networks may have been pruned since the container was made.
    pub(super) async fn relink(&self, order: &Order, container: &Container) -> Result<(), Failure> {
        let links = self.links(order).await?;
        match container.untouched {
            true => Ok(()),
            false => self.connect(container, &links).await,
        }
    }

    async fn joined(&self, id: &str) -> Result<Vec<String>, Failure> {
        let state = self.inspect(id).await?;
        let networks = state.raw.pointer("/NetworkSettings/Networks");
        let networks = networks.and_then(serde_json::Value::as_object);
        Ok(networks
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect())
    }

    /// Ports of the task that the plane published: the engine knows nothing of them.
    pub(super) async fn published(&self, order: &Order) -> Vec<PortBinding> {
        if order.ports.is_empty() || order.networks.is_empty() {
            return Vec::new();
        }
        let is_own = |port: &BoundPort| {
            let on = order
                .networks
                .iter()
                .filter(|own| own.network == port.network);
            let mut addresses = on.flat_map(|own| &own.addresses);
            addresses.any(|address| address.addr() == port.address)
        };
        let ports = self.networks.ports().await.into_iter().filter(is_own);
        ports.map(|port| binding(&port)).collect()
    }

    /// Lets connections to the task come to their end.
    pub(super) async fn drain(&self, order: &Order) {
        if let Some(limit) = drain::limit(&order.service_labels) {
            self.networks.drain(order.task.0, limit).await;
        }
    }
}

fn binding(port: &BoundPort) -> PortBinding {
    PortBinding {
        container_port: port.port,
        protocol: port.protocol.as_str().to_owned(),
        host_ip: port
            .host_ip
            .map(|address| address.to_string())
            .unwrap_or_default(),
        host_port: port.host_port,
    }
}

/// The swarm's networks of a task.
fn expected(order: &Order) -> Vec<NetworkId> {
    order.networks.iter().map(|own| own.network).collect()
}
