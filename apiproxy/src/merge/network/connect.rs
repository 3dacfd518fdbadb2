//! `POST /networks/{id}/connect` and `/disconnect` of a swarm network: a lease for the address, and the engine's twin.
//!
//! A worker has twins only of networks that something on it is on: a network that it does not know may be the swarm's, and
//! is a manager's to connect or to refuse.

use http::Response;
use hyper::body::Incoming;
use serde::Deserialize;
use swarmrs_engine::ContainerState;
use swarmrs_node::{label, way_out};
use swarmrs_types::{Code, Fault, NetworkId, json};

use super::super::fault_of;
use super::super::lease;
use super::{Choice, Known};
use crate::handler::{Handlers, done, read};
use crate::server::Body;

/// The body of either call.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    container: String,
    endpoint_config: Option<EndpointSettings>,
    force: bool,
}

/// Of the engine's `EndpointSettings`, what the swarm decides by.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::merge) struct EndpointSettings {
    #[serde(rename = "IPAMConfig")]
    pub ipam: Option<Fixed>,
    #[serde(rename = "Aliases")]
    pub aliases: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::merge) struct Fixed {
    #[serde(rename = "IPv4Address")]
    pub ipv4: String,
    #[serde(rename = "IPv6Address")]
    pub ipv6: String,
}

/// A call about a network of the swarm.
struct Asked {
    known: Known,
    /// None: not known here.
    network: Option<NetworkId>,
    request: Request,
    container: ContainerState,
}

/// None: the term names no network of the swarm, or the body cannot be read: both are the engine's to judge.
async fn asked(
    handlers: &Handlers,
    term: &str,
    mut body: Incoming,
) -> Result<Option<Asked>, Fault> {
    let Some(known) = Known::look(handlers).await? else {
        return Ok(None);
    };
    let network = match known.candidates().to_join(term) {
        Some(Choice::Swarm(id)) => id.parse().ok(),
        Some(Choice::Local(_)) => return Ok(None),
        None if known.in_swarm => None,
        None => return Ok(None),
    };
    let bytes = read(&mut body).await?;
    let Ok(decoded) = json::from_slice::<Request>(&bytes) else {
        return Ok(None);
    };
    let request = decoded.value;
    let container = handlers.node.engine().inspect_container(&request.container);
    let container = container.await.map_err(|error| fault_of(&error))?;
    Ok(Some(Asked {
        known,
        network,
        request,
        container,
    }))
}

pub(super) async fn connect(
    handlers: &Handlers,
    term: &str,
    body: Incoming,
) -> Result<Option<Response<Body>>, Fault> {
    let Some(Asked {
        known,
        network,
        request,
        container,
    }) = asked(handlers, term, body).await?
    else {
        return Ok(None);
    };
    if let Some(network) = network
        && let Some(twin) = known.twins.get(&network)
        && container.raw["NetworkSettings"]["Networks"]
            .get(&twin.name)
            .is_some()
    {
        let name = known.name_of(network);
        let text = format!("{} is already attached to network {name}", container.name);
        return Err(Fault::daemon(Code::AlreadyExists, text));
    }
    let settings = request.endpoint_config.unwrap_or_default();
    let token = container.labels.get(label::LEASE).unwrap_or(&container.id);
    let own_way_out = way_out::has_own(way_out::of_container(&container.raw), &known.local);
    let wanted = lease::wanted(
        term,
        token,
        &container.name,
        &settings,
        own_way_out,
        &label::asked_servers(&container.labels),
    )?;
    let taken = lease::take(handlers, wanted, &known.doubles).await?;
    let link = &taken.link;
    let engine = handlers.node.engine();
    let connected = engine
        .connect_network(&link.twin.id, &container.id, &link.settings)
        .await;
    if let Err(error) = connected {
        lease::give_back(handlers, [taken]).await;
        return Err(fault_of(&error));
    }
    Ok(Some(done()))
}

pub(super) async fn disconnect(
    handlers: &Handlers,
    term: &str,
    body: Incoming,
) -> Result<Option<Response<Body>>, Fault> {
    let Some(Asked {
        known,
        network: Some(network),
        request,
        container,
    }) = asked(handlers, term, body).await?
    else {
        return Ok(None);
    };
    let name = known.name_of(network);
    let Some(twin) = known.twins.get(&network) else {
        let text = format!(
            "container {} is not connected to network {name}",
            container.id
        );
        return Err(Fault::daemon(Code::PermissionDenied, text));
    };
    let left = handlers
        .node
        .engine()
        .disconnect_network(&twin.id, &container.id, request.force)
        .await;
    left.map_err(|error| fault_of(&error))?;
    lease::end(handlers, &container, Some(network)).await;
    Ok(Some(done()))
}
