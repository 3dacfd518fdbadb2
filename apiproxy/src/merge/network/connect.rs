//! `POST /networks/{id}/connect` and `/disconnect` of a swarm network: a lease for the address, and the engine's twin.

use http::Response;
use hyper::body::Incoming;
use serde::Deserialize;
use swarmrs_node::label;
use swarmrs_types::{Code, Fault, NetworkId, json};

use super::super::fault_of;
use super::super::lease;
use super::{Choice, Known};
use crate::handler::{Handlers, done, read};
use crate::server::Body;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Connect {
    container: String,
    endpoint_config: Option<EndpointSettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Disconnect {
    container: String,
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

/// The swarm network that a term names for a container; none: it is the engine's to say.
async fn swarm_network(
    handlers: &Handlers,
    term: &str,
) -> Result<Option<(Known, NetworkId)>, Fault> {
    let Some(known) = Known::look(handlers).await? else {
        return Ok(None);
    };
    match known.candidates().to_join(term) {
        Some(Choice::Swarm(id)) => Ok(id.parse().ok().map(|id| (known, id))),
        _ => Ok(None),
    }
}

pub(super) async fn connect(
    handlers: &Handlers,
    term: &str,
    mut body: Incoming,
) -> Result<Option<Response<Body>>, Fault> {
    let Some((known, network)) = swarm_network(handlers, term).await? else {
        return Ok(None);
    };
    let bytes = read(&mut body).await?;
    // What cannot be read is the engine's to refuse.
    let Ok(decoded) = json::from_slice::<Connect>(&bytes) else {
        return Ok(None);
    };
    let request = decoded.value;
    let engine = handlers.node.engine();
    let container = engine.inspect_container(&request.container).await;
    let container = container.map_err(|error| fault_of(&error))?;
    if let Some(twin) = known.twins.get(&network)
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
    let wanted = lease::wanted(term, token, &container.name, &settings)?;
    let taken = lease::take(handlers, wanted).await?;
    let link = &taken.link;
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
    mut body: Incoming,
) -> Result<Option<Response<Body>>, Fault> {
    let Some((known, network)) = swarm_network(handlers, term).await? else {
        return Ok(None);
    };
    let bytes = read(&mut body).await?;
    let Ok(decoded) = json::from_slice::<Disconnect>(&bytes) else {
        return Ok(None);
    };
    let request = decoded.value;
    let engine = handlers.node.engine();
    let container = engine.inspect_container(&request.container).await;
    let container = container.map_err(|error| fault_of(&error))?;
    let name = known.name_of(network);
    let Some(twin) = known.twins.get(&network) else {
        let text = format!(
            "container {} is not connected to network {name}",
            container.id
        );
        return Err(Fault::daemon(Code::PermissionDenied, text));
    };
    let left = engine
        .disconnect_network(&twin.id, &container.id, request.force)
        .await;
    left.map_err(|error| fault_of(&error))?;
    lease::end(handlers, &container, Some(network)).await;
    Ok(Some(done()))
}
