//! Starting, restarting and removing a container that is on networks of the swarm.

use http::Response;
use http::request::Parts;
use swarmrs_types::Fault;

use super::super::lease;
use super::super::{ask, fault_of, pass, unreachable_fault};
use crate::handler::Handlers;
use crate::route::Route;
use crate::server::Body;

/// Makes sure of the container's networks; the engine does the rest.
pub(in crate::merge) async fn start(
    handlers: &Handlers,
    term: &str,
) -> Result<Option<Response<Body>>, Fault> {
    lease::renew(handlers, term).await?;
    Ok(None)
}

/// Removes it, and with it its leases.
pub(in crate::merge) async fn remove(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
    term: &str,
) -> Result<Option<Response<Body>>, Fault> {
    let container = match handlers.node.engine().inspect_container(term).await {
        Ok(container) => container,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(fault_of(&error)),
    };
    let answer = ask(handlers, route, route.query(), request).await;
    let answer = answer.map_err(|error| unreachable_fault(&error))?;
    if answer.status().is_success() {
        lease::end(handlers, &container, None).await;
    }
    Ok(Some(pass(answer)))
}
