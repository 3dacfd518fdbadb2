//! `/info`: the engine's answer with our swarm in place of the engine's, which never has one.

use http::Response;
use http::request::Parts;
use serde::Serialize;
use swarmrs_core::State;
use swarmrs_node::{ClusterView, Standing};
use swarmrs_types::Fault;

use super::{ask, edited};
use crate::error;
use crate::forward;
use crate::handler::Handlers;
use crate::route::Route;
use crate::server::Body;
use crate::view::{ClusterInfo, cluster_info};

/// `Swarm` of the API's info.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Swarm<'a> {
    #[serde(rename = "NodeID")]
    node: String,
    node_addr: &'a str,
    local_node_state: &'static str,
    control_available: bool,
    error: String,
    remote_managers: Option<Vec<Peer<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    managers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<ClusterInfo<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Peer<'a> {
    #[serde(rename = "NodeID")]
    node: &'a str,
    addr: &'a str,
}

pub(super) async fn answer(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
) -> Result<Response<Body>, forward::Error> {
    let answer = ask(handlers, route, route.query(), request).await?;
    let standing = handlers.node.standing();
    let view = match standing.manager {
        true => Some(handlers.node.view().await),
        false => None,
    };
    let own = handlers.node.generic_resources();
    edited(answer, |info| {
        if !own.is_empty() {
            info.set("GenericResources", &own);
        }
        info.set("Swarm", &swarm(&standing, &view));
    })
    .await
}

/// A manager whose cluster cannot be read says so and shows the rest.
fn swarm<'a>(standing: &'a Standing, view: &'a Option<Result<ClusterView, Fault>>) -> Swarm<'a> {
    let mut swarm = outside(standing);
    match view {
        Some(Ok(view)) => add_cluster(&mut swarm, &view.state, view.local),
        Some(Err(fault)) => swarm.error = error::message(fault),
        None => {}
    }
    swarm
}

fn outside(standing: &Standing) -> Swarm<'_> {
    Swarm {
        node: standing
            .node
            .map(|node| node.to_string())
            .unwrap_or_default(),
        node_addr: &standing.addr,
        local_node_state: standing.state.as_str(),
        control_available: standing.manager,
        error: standing.error.clone(),
        remote_managers: remote_managers(standing),
        nodes: None,
        managers: None,
        cluster: None,
    }
}

/// The managers a worker knows; none at all outside a swarm.
fn remote_managers(standing: &Standing) -> Option<Vec<Peer<'_>>> {
    let peers = standing.managers.iter().map(|manager| Peer {
        node: &manager.node_id,
        addr: &manager.address,
    });
    (!standing.managers.is_empty()).then(|| peers.collect())
}

fn add_cluster<'a>(swarm: &mut Swarm<'a>, state: &'a State, local: swarmrs_types::NodeId) {
    let managers: Vec<Peer<'a>> = state.nodes().iter().filter_map(|node| peer(node)).collect();
    swarm.nodes = Some(state.nodes().len());
    swarm.managers = Some(managers.len());
    swarm.remote_managers = Some(managers);
    match cluster_info(state, local) {
        Ok(info) => swarm.cluster = Some(info),
        Err(fault) => swarm.error = error::message(&fault),
    }
}

fn peer(node: &swarmrs_types::object::Node) -> Option<Peer<'_>> {
    let addr = node.manager_addr.as_deref()?;
    let node = node.id.as_str();
    Some(Peer { node, addr })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_a_swarm_every_field_is_empty() {
        let shown = serde_json::to_string(&swarm(&Standing::alone(), &None)).unwrap();
        let expected = "{\"NodeID\":\"\",\"NodeAddr\":\"\",\"LocalNodeState\":\"inactive\",\
                        \"ControlAvailable\":false,\"Error\":\"\",\"RemoteManagers\":null}";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_manager_that_cannot_read_says_why() {
        let standing = Standing {
            state: swarmrs_node::SwarmState::Active,
            manager: true,
            ..Standing::alone()
        };
        let fault = Fault::manager(swarmrs_types::Code::Unknown, "no leader");
        let view = Some(Err(fault));
        let shown = swarm(&standing, &view);
        assert_eq!(shown.error, "rpc error: code = Unknown desc = no leader");
        assert!(shown.control_available && shown.nodes.is_none());
    }
}
