//! `/networks`: the engine's own and the swarm's in one, and no trace of the twins that the engine has of the swarm's.
//!
//! ```text
//!   list, inspect, remove, prune   ours and the engine's, each by who has the network
//!   create                         of the swarm's scope: ours; else the engine's, byte for byte
//!   connect, disconnect            of a swarm network: a lease and the twin; else the engine's, byte for byte
//! ```
//!
//! A node that is in no swarm, and whose engine has no twins, hands every call back.

mod choose;
mod connect;
mod create;
mod filter;
mod inspect;
mod list;
mod prune;
mod remove;

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use serde_json::Value;
use swarmrs_core::State;
use swarmrs_engine::Filters;
use swarmrs_node::{SwarmState, Twin, TwinTable, read_twin};
use swarmrs_types::object;
use swarmrs_types::{Fault, NetworkId};

pub(super) use self::choose::Choice;
use self::choose::{Candidate, Candidates};
pub(super) use self::connect::EndpointSettings;
use super::fault_of;
use crate::handler::Handlers;
use crate::route::{Endpoint, Route};
use crate::server::Body;

/// Answers a call on networks; none: it is the engine's alone.
pub(super) async fn answer(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
    body: Incoming,
) -> Result<Option<Response<Body>>, Fault> {
    match &route.endpoint {
        Some(Endpoint::NetworkCreate) => create::create(handlers, body).await,
        Some(Endpoint::NetworkList) => list::list(handlers, route, request).await,
        Some(Endpoint::NetworkInspect { id }) => {
            inspect::inspect(handlers, route, request, id).await
        }
        Some(Endpoint::NetworkRemove { id }) => remove::remove(handlers, route, request, id).await,
        Some(Endpoint::NetworkPrune) => prune::prune(handlers, route, request).await,
        Some(Endpoint::NetworkConnect { id }) => connect::connect(handlers, id, body).await,
        Some(Endpoint::NetworkDisconnect { id }) => connect::disconnect(handlers, id, body).await,
        _ => Ok(None),
    }
}

/// What of networks there is on this node and, if a manager runs here, in the swarm.
pub(super) struct Known {
    /// The swarm's objects; none without a manager that can be read.
    pub state: Option<Arc<State>>,
    /// Whether the node is in a swarm: then a network that is not known here may be the swarm's all the same.
    pub in_swarm: bool,
    pub twins: Arc<TwinTable>,
    /// The engine's own, as the engine shows them.
    pub local: Vec<Value>,
    /// The engine's networks that are twins.
    pub doubles: Vec<Value>,
}

impl Known {
    /// Looks at the swarm and at the engine. None: there is no swarm here, and nothing to hide.
    pub async fn look(handlers: &Handlers) -> Result<Option<Self>, Fault> {
        let node = &handlers.node;
        let standing = node.standing();
        let in_swarm = standing.state == SwarmState::Active;
        let state = match standing.manager {
            // Without a quorum the twins are shown: they are what this node knows.
            true => node.view().await.ok().map(|view| view.state),
            false => None,
        };
        let twins = node.networks().twins.table().await;
        let twins = twins.map_err(|error| fault_of(&error))?;
        if !in_swarm && twins.is_empty() {
            return Ok(None);
        }
        let all = node.engine().list_networks(&Filters::new()).await;
        let all = all.map_err(|error| fault_of(&error))?;
        let (doubles, local) = all.into_iter().partition(|one| read_twin(one).is_some());
        Ok(Some(Known {
            state,
            in_swarm,
            twins,
            local,
            doubles,
        }))
    }

    /// All networks by what they may be called.
    pub fn candidates(&self) -> Candidates {
        let text =
            |network: &Value, key: &str| network[key].as_str().unwrap_or_default().to_owned();
        let local = self.local.iter().map(|network| Candidate {
            id: text(network, "Id"),
            name: text(network, "Name"),
            predefined: false,
        });
        let swarm = match &self.state {
            Some(state) => state.networks().iter().map(|one| of_object(one)).collect(),
            None => self.twins.values().map(of_twin).collect(),
        };
        Candidates {
            local: local.collect(),
            swarm,
        }
    }

    /// The name of a network of the swarm, as far as it is known here.
    pub fn name_of(&self, network: NetworkId) -> String {
        let named = self.candidates().swarm.into_iter();
        let mut named = named.filter(|one| one.id == network.as_str());
        named
            .next()
            .map_or_else(|| network.to_string(), |one| one.name)
    }

    /// Whether the swarm has a network of that name, other than those that every node has.
    pub fn has_swarm_network(&self, name: &str) -> bool {
        let mut swarm = self.candidates().swarm.into_iter();
        swarm.any(|one| !one.predefined && one.name == name)
    }

    /// Whether the engine has one of its own.
    pub fn has_local_network(&self, name: &str) -> bool {
        self.local.iter().any(|one| one["Name"] == *name)
    }
}

fn of_object(network: &object::Network) -> Candidate {
    Candidate {
        id: network.id.to_string(),
        name: network.name().to_owned(),
        predefined: network.is_predefined(),
    }
}

fn of_twin(twin: &Twin) -> Candidate {
    Candidate {
        id: twin.network.to_string(),
        name: twin.shown_name().to_owned(),
        predefined: false,
    }
}
