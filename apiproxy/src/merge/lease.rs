//! Leases: the swarm's leave for a user's container to be on an attachable network, and its address there.
//!
//! Taken before the engine is asked to make or connect the container, so that the address is known and the network carries
//! it; ended when the container is removed or disconnected, not when it stops, since the engine starts such containers again
//! by itself.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use swarmrs_core::control::network::attachment::{AttachRequest, Sighting};
use swarmrs_engine::{ContainerState, Filters};
use swarmrs_node::{Lease, Link, label, way_out};
use swarmrs_types::{AttachmentId, Code, Fault, NetworkId, RawId};
use tracing::warn;

use super::fault_of;
use super::network::EndpointSettings;
use crate::error;
use crate::handler::Handlers;

/// How long a network may take to carry a new address. Source: moby `daemon/container_operations.go`.
const PATIENCE: Duration = Duration::from_secs(20);

/// A lease, and where it leads in the engine.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub lease: AttachmentId,
    pub link: Link,
}

/// What a container asks for. `container` is how it is known for good: its id, or the token in its label.
pub(super) fn wanted(
    network: &str,
    container: &str,
    name: &str,
    settings: &EndpointSettings,
    own_way_out: bool,
    resolvers: &[IpAddr],
) -> Result<AttachRequest, Fault> {
    let fixed = settings.ipam.clone().unwrap_or_default();
    let given = [&fixed.ipv4, &fixed.ipv6];
    let given = given.into_iter().filter(|text| !text.is_empty());
    let read = |text: &String| {
        let invalid = |_| Fault::invalid(format!("invalid IP address: {text}"));
        text.parse().map_err(invalid)
    };
    Ok(AttachRequest {
        container: container.to_owned(),
        name: name.to_owned(),
        network: network.to_owned(),
        addresses: given.map(read).collect::<Result<_, _>>()?,
        aliases: settings.aliases.clone().unwrap_or_default(),
        gateway: !own_way_out,
        active: true,
        resolvers: resolvers.to_vec(),
    })
}

/// Takes a lease and waits until the network carries it. `listed` are networks that the engine has just listed.
pub(super) async fn take(
    handlers: &Handlers,
    wanted: AttachRequest,
    listed: &[Value],
) -> Result<Taken, Fault> {
    let term = wanted.network.clone();
    let lease = handlers.node.attach(wanted).await.map_err(|fault| {
        let text = format!(
            "Could not attach to network {term}: {}",
            error::message(&fault)
        );
        Fault::daemon(Code::Unknown, text)
    })?;
    match link(handlers, lease.network, lease.id, listed).await {
        Ok(link) => Ok(Taken {
            lease: lease.id,
            link,
        }),
        Err(fault) => {
            end_one(handlers, lease.id).await;
            Err(fault)
        }
    }
}

async fn link(
    handlers: &Handlers,
    network: NetworkId,
    lease: AttachmentId,
    listed: &[Value],
) -> Result<Link, Fault> {
    let networks = handlers.node.networks();
    let carried = networks.await_endpoint(network, lease.0, PATIENCE).await;
    let (network, endpoint) = carried.ok_or_else(|| {
        Fault::daemon(
            Code::Unknown,
            "attaching to network failed, make sure your network options are correct and check \
             manager logs: context deadline exceeded",
        )
    })?;
    let twin = networks.ensure(&network, listed).await;
    let twin = twin.map_err(|error| fault_of(&error))?;
    Ok(Link::new(twin, &endpoint))
}

/// The engine did not do what they were taken for.
pub(super) async fn give_back(handlers: &Handlers, taken: impl IntoIterator<Item = Taken>) {
    for one in taken {
        end_one(handlers, one.lease).await;
    }
}

/// Ends a container's leases: all, or that on one network.
pub(super) async fn end(handlers: &Handlers, container: &ContainerState, on: Option<NetworkId>) {
    for lease in of_container(handlers, container) {
        if on.is_none_or(|network| network == lease.network) {
            end_one(handlers, lease.id).await;
        }
    }
}

/// Before a container starts: its networks are in the engine, and carry it. That it runs is told the swarm if the swarm can
/// be told; it is looked at again when it runs. Where no container has a lease, the engine is asked nothing.
pub(super) async fn renew(handlers: &Handlers, term: &str) -> Result<(), Fault> {
    if handlers.node.leases().is_empty() {
        return Ok(());
    }
    let (engine, every) = (handlers.node.engine(), Filters::new());
    let (container, networks) =
        tokio::join!(engine.inspect_container(term), engine.list_networks(&every));
    // The engine has its own words for a container that is not there.
    let Ok(container) = container else {
        return Ok(());
    };
    let leases = of_container(handlers, &container);
    if leases.is_empty() {
        return Ok(());
    }
    let networks = networks.map_err(|error| fault_of(&error))?;
    let seen = Sighting {
        name: &container.name,
        active: true,
        own_way_out: way_out::has_own(way_out::of_container(&container.raw), &networks),
    };
    for lease in leases {
        if lease.is_news(seen)
            && let Err(fault) = handlers.node.follow_attachment(lease.id, seen).await
        {
            warn!(lease = %lease.id, %fault, "the swarm does not know yet that a container starts");
        }
        link(handlers, lease.network, lease.id, &networks).await?;
    }
    Ok(())
}

fn of_container(handlers: &Handlers, container: &ContainerState) -> Vec<Lease> {
    let token = container.labels.get(label::LEASE);
    let mut leases = handlers.node.leases();
    leases.retain(|lease| lease.is_of(&container.id, token));
    leases
}

/// One that cannot be ended now is ended when this node next looks at its containers.
async fn end_one(handlers: &Handlers, lease: AttachmentId) {
    if let Err(fault) = handlers.node.detach(lease).await {
        warn!(%lease, %fault, "a container's lease is not ended yet");
    }
}

/// Names a container that has no id yet.
pub(super) fn token() -> String {
    let mut random = [0; swarmrs_types::id::RANDOM_BYTES];
    // Without randomness there is no swarm either.
    let _ = getrandom::fill(&mut random);
    RawId::from_random(random).to_string()
}
