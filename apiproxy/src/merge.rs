//! Answers that are the engine's and the cluster's together, and engine calls in which a task may be named.
//!
//! Each takes the engine's answer and changes as little of it as there is to change; what concerns only the engine is handed
//! back and forwarded byte for byte.

mod container;
mod disguise;
mod event;
mod info;
mod lease;
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
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use swarmrs_node::{Node, SwarmState};
use swarmrs_types::{Code, Fault};

use crate::error;
use crate::forward;
use crate::handler::Handlers;
use crate::refusal::refusal;
use crate::route::{Endpoint, Route};
use crate::server::{Body, Reply};
use crate::version::API_VERSION;

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

/// What must not stand bare in a path: names of containers and networks may have anything in them.
const SEGMENT: &AsciiSet = &BARE.add(b'%').add(b'?');

/// Whether a merged or rewritten call can have another answer than the engine's own.
pub(crate) fn concerns(node: &Node, route: &Route) -> bool {
    let in_swarm = || node.standing().state != SwarmState::Inactive;
    let twins = || node.networks().twins.may_be_there();
    match &route.endpoint {
        Some(Endpoint::Ping | Endpoint::Info | Endpoint::Version | Endpoint::Events) => true,
        Some(Endpoint::NetworkCreate) => true,
        Some(
            Endpoint::NetworkList
            | Endpoint::NetworkInspect { .. }
            | Endpoint::NetworkRemove { .. }
            | Endpoint::NetworkPrune
            | Endpoint::NetworkConnect { .. }
            | Endpoint::NetworkDisconnect { .. }
            | Endpoint::ContainerCreate,
        ) => in_swarm() || twins(),
        Some(Endpoint::ContainerList) => container::concerns(route.query()) || twins(),
        Some(
            Endpoint::ContainerInspect { .. }
            | Endpoint::ContainerStart { .. }
            | Endpoint::ContainerRestart { .. }
            | Endpoint::ContainerRemove { .. },
        ) => twins(),
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
        _ => return changed(handlers, &route, &request, body).await,
    };
    Reply::Answer(answered.unwrap_or_else(|error| unreachable(&error)))
}

/// A call in which a network of the swarm may be named.
async fn changed(handlers: &Handlers, route: &Route, request: &Parts, body: Incoming) -> Reply {
    let answered = match &route.endpoint {
        Some(Endpoint::ContainerList) => container::list(handlers, route, request).await,
        Some(Endpoint::ContainerInspect { .. }) => {
            container::inspect(handlers, route, request).await
        }
        Some(Endpoint::ContainerCreate) => container::create(handlers, route, request, body).await,
        Some(Endpoint::ContainerStart { id } | Endpoint::ContainerRestart { id }) => {
            container::start(handlers, id).await
        }
        Some(Endpoint::ContainerRemove { id }) => {
            container::remove(handlers, route, request, id).await
        }
        _ => network::answer(handlers, route, request, body).await,
    };
    let mut response = match answered {
        Ok(Some(response)) => response,
        Ok(None) => return Reply::Forward,
        Err(fault) => error::answer(&fault, route.version),
    };
    if !response.headers().contains_key(API_VERSION) {
        handlers
            .offers
            .current()
            .await
            .stamp(response.headers_mut());
    }
    Reply::Answer(response)
}

/// The engine gave no answer.
fn unreachable(error: &forward::Error) -> Response<Body> {
    refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
}

/// The same, where a handler answers with faults.
fn unreachable_fault(error: &forward::Error) -> Fault {
    Fault::unavailable(error.to_string())
}

/// What the engine refused, with its words and its status.
fn fault_of(error: &swarmrs_engine::Error) -> Fault {
    let code = match error.status() {
        Some(400) => Code::InvalidArgument,
        Some(403) => Code::PermissionDenied,
        Some(404) => Code::NotFound,
        Some(409) => Code::AlreadyExists,
        Some(501) => Code::Unimplemented,
        Some(_) => Code::Unknown,
        None => Code::Unavailable,
    };
    Fault::daemon(code, error.message())
}

/// A query with other filters.
fn with_filters(query: &str, filters: &serde_json::Value) -> String {
    let others = query.split('&');
    let others = others.filter(|pair| !pair.is_empty() && !pair.starts_with("filters="));
    let mut pairs: Vec<String> = others.map(str::to_owned).collect();
    let text = filters.to_string();
    pairs.push(format!(
        "filters={}",
        utf8_percent_encode(&text, NON_ALPHANUMERIC)
    ));
    pairs.join("&")
}

/// Asks the engine what the client asked, with the given query in place of the client's.
async fn ask(
    handlers: &Handlers,
    route: &Route,
    query: &str,
    request: &Parts,
) -> Result<Response<Incoming>, forward::Error> {
    let path: Vec<&str> = route.segments.iter().map(String::as_str).collect();
    ask_at(handlers, route, &path, query, request).await
}

/// The same of another path.
async fn ask_at(
    handlers: &Handlers,
    route: &Route,
    path: &[&str],
    query: &str,
    request: &Parts,
) -> Result<Response<Incoming>, forward::Error> {
    ask_with(handlers, target(route, path, query), request, Bytes::new()).await
}

/// The same with a body.
async fn ask_with(
    handlers: &Handlers,
    target: http::Uri,
    request: &Parts,
    body: Bytes,
) -> Result<Response<Incoming>, forward::Error> {
    let mut asked = Request::new(Full::new(body));
    *asked.method_mut() = request.method.clone();
    *asked.uri_mut() = target;
    *asked.headers_mut() = passing(&request.headers);
    let answer = handlers.engine.send(asked).await?;
    handlers.offers.learn(answer.headers());
    Ok(answer)
}

/// A path as the engine would write it, with the client's version.
fn target(route: &Route, path: &[&str], query: &str) -> http::Uri {
    let mut target = String::new();
    if let Some(version) = route.version {
        target.push_str(&format!("/v{version}"));
    }
    for segment in path {
        target.push('/');
        target.extend(utf8_percent_encode(segment, SEGMENT));
    }
    if !query.is_empty() {
        target.push('?');
        target.extend(utf8_percent_encode(query, BARE));
    }
    // Nothing in it is bare by now.
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

/// Of an answer of the engine's that ended before it was whole.
const BROKEN_OFF: &str = "the Docker engine's answer broke off";

/// The whole body of an answer of the engine's.
async fn whole(body: Incoming) -> Result<Bytes, Fault> {
    let body = body.collect().await;
    Ok(body.map_err(|_| Fault::unavailable(BROKEN_OFF))?.to_bytes())
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
        return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, BROKEN_OFF));
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
