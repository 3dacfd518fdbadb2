//! Answers of handlers: JSON, nothing, or a stream.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use swarmrs_types::json;

use crate::server::Body;

/// A value, as Go would write it.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    let mut response = bytes(status, json::to_vec(value).into());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// 200 and a value.
pub fn ok<T: Serialize>(value: &T) -> Response<Body> {
    json(StatusCode::OK, value)
}

/// 200 and nothing.
pub fn done() -> Response<Body> {
    bytes(StatusCode::OK, Bytes::new())
}

/// 204: nothing, not even a length.
pub fn nothing() -> Response<Body> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// These bytes, of no type yet.
pub fn bytes(status: StatusCode, content: Bytes) -> Response<Body> {
    let length = HeaderValue::from(content.len());
    let body = Full::new(content).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}
