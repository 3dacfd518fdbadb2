//! `GET /networks/{id}`.

use http::Response;
use http::request::Parts;
use serde_json::Value;
use swarmrs_types::{Fault, NetworkId};

use super::super::{ask_at, fault_of, pass, unreachable_fault};
use super::{Choice, Known};
use crate::handler::{Handlers, Query, ok};
use crate::route::Route;
use crate::server::Body;
use crate::view;

pub(super) async fn inspect(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
    term: &str,
) -> Result<Option<Response<Body>>, Fault> {
    let query = Query::parse(route.query());
    if term.is_empty() {
        return Ok(None);
    }
    let Some(known) = Known::look(handlers).await? else {
        return Ok(None);
    };
    let verbose = query.boolean("verbose")?;
    match known.candidates().to_inspect(term, query.get("scope"))? {
        Choice::Local(id) => {
            let answer = ask_at(handlers, route, &["networks", &id], route.query(), request).await;
            let answer = answer.map_err(|error| unreachable_fault(&error))?;
            Ok(Some(pass(answer)))
        }
        Choice::Swarm(id) => show(handlers, &known, &id, verbose).await.map(Some),
    }
}

/// A network of the swarm, with what this node knows of it.
async fn show(
    handlers: &Handlers,
    known: &Known,
    id: &str,
    verbose: bool,
) -> Result<Response<Body>, Fault> {
    let missing = || Fault::no_such("network", id);
    let id: NetworkId = id.parse().map_err(|_| missing())?;
    let double = match known.twins.get(&id) {
        Some(twin) => match handlers.node.engine().inspect_network(&twin.id).await {
            Ok(double) => Some(double),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(fault_of(&error)),
        },
        None => None,
    };
    let containers = double
        .as_ref()
        .map_or(Value::Null, |double| double["Containers"].clone());
    let Some(state) = &known.state else {
        let twin = known.twins.get(&id).ok_or_else(missing)?;
        let double = double.ok_or_else(missing)?;
        return Ok(ok(&view::of_twin(twin, &double)));
    };
    let network = state.networks().get(&id).ok_or_else(missing)?;
    if let Some(double) = double.as_ref().filter(|_| !network.is_overlay()) {
        return Ok(ok(&view::node_local(network, double)));
    }
    let mut shown = view::network(network).with_containers(view::containers(containers));
    if double.is_some() {
        shown = shown.with_peers(view::peers(&handlers.node.networks().facts()));
    }
    if verbose {
        shown = shown.with_services(view::services(state, network));
    }
    Ok(ok(&shown))
}
