//! `DELETE /networks/{id}`.

use http::Response;
use http::request::Parts;
use swarmrs_types::Fault;

use super::super::{ask_at, pass, unreachable_fault};
use super::{Choice, Known};
use crate::handler::{Handlers, nothing};
use crate::route::Route;
use crate::server::Body;

/// The swarm's are removed by the manager, so not by a node that has only the twin.
pub(super) async fn remove(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
    term: &str,
) -> Result<Option<Response<Body>>, Fault> {
    let Some(known) = Known::look(handlers).await? else {
        return Ok(None);
    };
    match known.candidates().to_remove(term)? {
        Choice::Local(id) => {
            let answer = ask_at(handlers, route, &["networks", &id], route.query(), request).await;
            let answer = answer.map_err(|error| unreachable_fault(&error))?;
            Ok(Some(pass(answer)))
        }
        Choice::Swarm(id) => {
            handlers.node.remove_network(&id).await?;
            Ok(Some(nothing()))
        }
    }
}
