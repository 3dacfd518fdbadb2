//! `/networks` while the swarm has none of its own: they are refused where they would be made, and those that every node
//! has are found where the stock client looks for them.

use http::StatusCode;
use hyper::body::Incoming;
use serde::Deserialize;
use swarmrs_node::SwarmState;
use swarmrs_types::{Code, Fault, json};

use crate::error;
use crate::handler::{Handlers, Query, ok, read};
use crate::route::Route;
use crate::server::Reply;
use crate::view;

/// What decides whose network it is to be.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Create {
    driver: String,
    scope: String,
}

/// Refuses swarm networks; the others are the engine's, and so is whatever cannot be read.
pub(super) async fn create(handlers: &Handlers, route: &Route, mut body: Incoming) -> Reply {
    let refused = match read(&mut body).await {
        Ok(bytes) => match json::from_slice::<Create>(&bytes) {
            Ok(decoded) => check(handlers, &decoded.value),
            Err(_) => Ok(()),
        },
        Err(fault) => Err(fault),
    };
    let Err(fault) = refused else {
        return Reply::Forward;
    };
    let mut response = error::answer(&fault, route.version);
    let offer = handlers.offers.current().await;
    offer.stamp(response.headers_mut());
    Reply::Answer(response)
}

fn check(handlers: &Handlers, create: &Create) -> Result<(), Fault> {
    let refused = |text: &str| Err(Fault::daemon(Code::PermissionDenied, text));
    if create.driver == "overlay" {
        return match handlers.node.require_manager() {
            Ok(()) => Err(Fault::not_built("making an overlay network")),
            Err(fault) => refused(&fault.text),
        };
    }
    if create.scope != "swarm" {
        return Ok(());
    }
    match handlers.node.standing().state {
        SwarmState::Active => Err(Fault::not_built("making a network of the swarm's scope")),
        _ => refused("cannot create a swarm scoped network when swarm is not active"),
    }
}

/// With `scope=swarm` only the swarm's own networks are looked at.
pub(super) async fn inspect(handlers: &Handlers, route: &Route, term: &str) -> Reply {
    let query = Query::parse(route.query());
    if query.get("scope") != "swarm" || !handlers.node.standing().manager {
        return Reply::Forward;
    }
    let missing = || Fault::not_found(format!("network {term} not found"));
    let found = handlers.node.view().await;
    let mut response = match &found {
        Ok(cluster) => match view::predefined(&cluster.state, term) {
            Some(network) => ok(&network),
            None => error::answer(&missing(), route.version),
        },
        Err(fault) => error::answer(fault, route.version),
    };
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        return Reply::Forward;
    }
    let offer = handlers.offers.current().await;
    offer.stamp(response.headers_mut());
    Reply::Answer(response)
}
