//! One request to the engine, as data: it can be shown in an error and, where that is safe, be sent again.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::transport::Body;

/// What stays as it is inside a path: ids, names and image references with their slashes, colons and digests.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b'@');

/// A name or reference made safe to stand in a path: no `?` or `#` in it can start a query or end the path.
pub(crate) fn segment(name: &str) -> String {
    utf8_percent_encode(name, PATH).to_string()
}

/// Method, path without version, query, and JSON body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: String,
    header: Option<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: String::new(),
            header: None,
            body: None,
        }
    }

    pub(crate) fn query(mut self, key: &str, value: &str) -> Self {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        let separator = if self.query.is_empty() { '?' } else { '&' };
        self.query.push_str(&format!("{separator}{key}={value}"));
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(crate) fn body(mut self, json: &Value) -> Self {
        self.body = Some(Bytes::from(json.to_string()));
        self
    }

    /// It only asks: sending it twice does no harm.
    pub(crate) fn only_reads(&self) -> bool {
        self.method == Method::GET
    }

    pub(crate) fn request(&self) -> Result<Request<Body>, http::Error> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(format!("{}{}", self.path, self.query));
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        let body = Full::new(self.body.clone().unwrap_or_default());
        request.body(body.map_err(|never| match never {}).boxed_unsync())
    }
}

/// As an error names it. The query is left out: it may be long, and says little.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
