//! Which call is this? A request's method and raw target become one [`Route`].
//!
//! Pure: no socket, no clock. Two questions are answered at once: whose call it is ([`Class`]) and, for every call that the
//! daemon itself looks at, which [`Endpoint`] with its parameters.
//!
//! The promise that matters: **what is ours never reaches the engine, in any spelling.** The stock engine decodes a path
//! before it routes, so `/v1.41/%73warm/init` would put it into swarm mode. Hence a route is chosen by the decoded and
//! cleaned path, while the engine is sent the target exactly as the client wrote it:
//!
//! ```text
//! /v1.41/x/../%73ervices/web?insertDefaults=1
//!    │        decode, clean, cut the version
//!    ▼
//! version 1.41 · ["services", "web"] · class Ours · ServiceInspect { id: "web" }
//! ```

mod endpoint;
mod path;

use http::Method;

pub use endpoint::Endpoint;
pub use path::{MAX_TARGET, RouteError};

/// Path segments that open a call of the cluster. Case-sensitive, as the engine's own router is.
pub const OURS: [&str; 7] = [
    "swarm", "nodes", "services", "tasks", "secrets", "configs", "swarmrs",
];

/// Who answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The cluster alone, built or not.
    Ours,
    /// Engine and cluster together.
    Merged,
    /// The engine, after a look whether a swarm network or a task is named.
    Rewritten,
    /// The engine; the daemon does not look inside.
    Raw,
}

/// The API version of a path's prefix, `v1.41`.
///
/// The engine's router takes any `v[0-9.]+`; missing or empty parts count as 0 and parts after the second are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// The part before the first dot.
    pub major: u32,
    /// The part after it.
    pub minor: u32,
}

impl ApiVersion {
    /// Reads a path segment such as `v1.41`; `None` if it is not a version prefix.
    fn of_segment(segment: &str) -> Option<Self> {
        let digits = segment.strip_prefix('v')?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if digits.is_empty() || !plain {
            return None;
        }
        let mut parts = digits.split('.').map(saturating_number);
        Some(Self {
            major: parts.next().unwrap_or(0),
            minor: parts.next().unwrap_or(0),
        })
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A run of digits as a number; what does not fit is "very new".
fn saturating_number(digits: &str) -> u32 {
    match digits {
        "" => 0,
        digits => digits.parse().unwrap_or(u32::MAX),
    }
}

/// A request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Who answers.
    pub class: Class,
    /// Which call; `None` exactly for [`Class::Raw`].
    pub endpoint: Option<Endpoint>,
    /// The version prefix, if the path has one.
    pub version: Option<ApiVersion>,
    /// The decoded, cleaned path without its version prefix.
    pub segments: Vec<String>,
    /// The target as the client wrote it: this is what the engine is sent.
    pub target: String,
}

impl Route {
    /// The raw query string, without its question mark; empty if there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Whether the engine may answer a `POST` here with a head without length and then speak raw bytes both ways.
    pub(crate) fn may_hijack(&self) -> bool {
        let last = self.segments.last().map(String::as_str);
        match self.segments.first().map(String::as_str) {
            Some("containers") => last == Some("attach"),
            Some("exec") => last == Some("start"),
            _ => false,
        }
    }

    /// Whether this is a call of our own API, which Docker does not have.
    pub(crate) fn is_swarmrs_api(&self) -> bool {
        self.segments
            .first()
            .is_some_and(|first| first == "swarmrs")
    }

    /// Whether a switch to cleartext HTTP/2 may be asked for here.
    ///
    /// Only the two endpoints that hand the connection to the builder: anywhere else an engine that follows such a switch
    /// would serve its whole API, swarm calls included, on a connection that nobody reads.
    pub(crate) fn may_speak_http2(&self) -> bool {
        matches!(self.segments.as_slice(), [only] if only == "session" || only == "grpc")
    }
}

/// Finds the route of a request.
///
/// # Errors
/// When the target cannot be what a client of this API means, or could hide one of our calls: see [`RouteError`].
pub fn classify(method: &Method, target: &str) -> Result<Route, RouteError> {
    let path = path::Path::parse(method, target)?;
    let mut segments = path.segments.clone();
    let version = segments.first().and_then(|s| ApiVersion::of_segment(s));
    if version.is_some() {
        segments.remove(0);
    }
    let ours = segments.first().is_some_and(|s| is_ours(s));
    if path.encoded_slash && (ours || path.hides(is_ours)) {
        return Err(RouteError::EncodedSlash);
    }
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (class, endpoint) = match (endpoint::find(method, &names), ours) {
        (Some((class, endpoint)), _) => (class, Some(endpoint)),
        (None, true) => (Class::Ours, Some(Endpoint::OursUnknown)),
        (None, false) => (Class::Raw, None),
    };
    Ok(Route {
        class,
        endpoint,
        version,
        segments,
        target: target.to_owned(),
    })
}

fn is_ours(segment: &str) -> bool {
    OURS.contains(&segment)
}

#[cfg(test)]
mod tests;
