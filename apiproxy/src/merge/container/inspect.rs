//! `GET /containers/{id}/json`.

use http::request::Parts;
use http::{Response, StatusCode};
use swarmrs_types::Fault;

use super::super::disguise::Disguise;
use super::super::object::RawObject;
use super::super::{ask, pass, unreachable_fault, whole, with_body};
use crate::handler::Handlers;
use crate::route::Route;
use crate::server::Body;

pub(in crate::merge) async fn inspect(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
) -> Result<Option<Response<Body>>, Fault> {
    let disguise = Disguise::now(handlers).await?;
    if disguise.is_empty() {
        return Ok(None);
    }
    let answer = ask(handlers, route, route.query(), request).await;
    let answer = answer.map_err(|error| unreachable_fault(&error))?;
    if answer.status() != StatusCode::OK {
        return Ok(Some(pass(answer)));
    }
    let (head, body) = answer.into_parts();
    let bytes = whole(body).await?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    if !disguise.concerns(text) {
        return Ok(Some(with_body(head, bytes)));
    }
    let Ok(mut container) = RawObject::parse(&bytes) else {
        return Ok(Some(with_body(head, bytes)));
    };
    disguise.inspected(&mut container);
    Ok(Some(with_body(head, container.to_bytes())))
}
