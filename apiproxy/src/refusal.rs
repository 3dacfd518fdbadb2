//! Answers that the proxy gives itself, before or instead of any handler: `{"message":"…"}` with a status.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::server::Body;

/// An answer in the engine's error shape.
pub fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let text = body_of(message);
    let length = HeaderValue::from(text.len());
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// An answer of a status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let body = Full::default().map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}

/// The same as bytes, for a connection that ends with it.
pub(crate) fn last_words(status: StatusCode, message: &str) -> Vec<u8> {
    let body = body_of(message);
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or(""),
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

fn body_of(message: &str) -> String {
    format!("{}\n", serde_json::json!({ "message": message }))
}
