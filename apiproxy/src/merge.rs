//! Answers that are the engine's and the cluster's together, and engine calls in which a task may be named.
//!
//! Each takes the engine's answer and changes as little of it as there is to change; what concerns only the engine is handed
//! back and forwarded byte for byte.

mod container;
mod event;
mod info;
mod network;
mod object;
mod ping;
mod version;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::forward;
use crate::handler::Handlers;
use crate::refusal::refusal;
use crate::route::{Endpoint, Route};
use crate::server::{Body, Reply};

/// Headers that concern one connection only.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What Go takes in a query as it is, and a URI may not have (a `#` would begin its fragment). The percent sign is not among them: the rest is encoded already.
const BARE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Whether a merged or rewritten call can have another answer than the engine's own.
pub(crate) fn concerns(route: &Route) -> bool {
    match &route.endpoint {
        Some(Endpoint::ContainerList) => container::concerns(route.query()),
        Some(
            Endpoint::Ping
            | Endpoint::Info
            | Endpoint::Version
            | Endpoint::Events
            | Endpoint::NetworkCreate
            | Endpoint::NetworkInspect { .. },
        ) => true,
        _ => false,
    }
}

/// Answers a call that [`concerns`] us.
pub(crate) async fn call(handlers: &Handlers, route: Route, request: Request<Incoming>) -> Reply {
    let (request, body) = request.into_parts();
    let answered = match &route.endpoint {
        Some(Endpoint::Ping) => Ok(ping::answer(handlers, &route, &request).await),
        Some(Endpoint::Info) => info::answer(handlers, &route, &request).await,
        Some(Endpoint::Version) => version::answer(handlers, &route, &request).await,
        Some(Endpoint::Events) => event::answer(handlers, &route, &request).await,
        Some(Endpoint::ContainerList) => {
            return container::list(handlers, &route, &request).await;
        }
        Some(Endpoint::NetworkCreate) => return network::create(handlers, &route, body).await,
        Some(Endpoint::NetworkInspect { id }) => {
            return network::inspect(handlers, &route, id).await;
        }
        _ => return Reply::Forward,
    };
    Reply::Answer(answered.unwrap_or_else(|error| unreachable(&error)))
}

/// The engine gave no answer.
fn unreachable(error: &forward::Error) -> Response<Body> {
    refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
}

/// Asks the engine what the client asked, with the given query in place of the client's.
async fn ask(
    handlers: &Handlers,
    route: &Route,
    query: &str,
    request: &Parts,
) -> Result<Response<Incoming>, forward::Error> {
    let mut asked = Request::new(Full::default());
    *asked.method_mut() = request.method.clone();
    *asked.uri_mut() = target(route, query);
    *asked.headers_mut() = passing(&request.headers);
    let answer = handlers.engine.send(asked).await?;
    handlers.offers.learn(answer.headers());
    Ok(answer)
}

/// The call's path as the engine would write it, with the client's version.
fn target(route: &Route, query: &str) -> http::Uri {
    let mut target = String::new();
    if let Some(version) = route.version {
        target.push_str(&format!("/v{version}"));
    }
    for segment in &route.segments {
        target.push('/');
        target.push_str(segment);
    }
    if !query.is_empty() {
        target.push('?');
        target.extend(utf8_percent_encode(query, BARE));
    }
    // The paths asked for here are plain, and so is the query by now.
    target.parse().unwrap_or_default()
}

/// The headers that pass from one connection to the next.
fn passing(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}

/// The engine's answer with another body.
fn with_body(head: http::response::Parts, content: Bytes) -> Response<Body> {
    let length = http::HeaderValue::from(content.len());
    let body = Full::new(content).map_err(|never| match never {});
    let mut response = Response::from_parts(head, body.boxed_unsync());
    let headers = passing(response.headers());
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// The engine's answer, streamed on.
fn pass(answer: Response<Incoming>) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    let length = head.headers.get(CONTENT_LENGTH).cloned();
    head.headers = passing(&head.headers);
    if let Some(length) = length {
        head.headers.insert(CONTENT_LENGTH, length);
    }
    Response::from_parts(head, body.map_err(Into::into).boxed_unsync())
}

/// Changes the JSON object of an answer that succeeded; any other answer passes as it is.
async fn edited(
    answer: Response<Incoming>,
    edit: impl FnOnce(&mut object::RawObject),
) -> Result<Response<Body>, forward::Error> {
    if answer.status() != StatusCode::OK {
        return Ok(pass(answer));
    }
    let (head, body) = answer.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "the Docker engine's answer broke off",
        ));
    };
    let bytes = body.to_bytes();
    let Ok(mut object) = object::RawObject::parse(&bytes) else {
        return Ok(with_body(head, bytes));
    };
    edit(&mut object);
    Ok(with_body(head, object.to_bytes()))
}

/// Whether the client reads no body.
fn is_head(request: &Parts) -> bool {
    request.method == Method::HEAD
}
