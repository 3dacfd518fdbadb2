//! Which API versions are spoken, and the headers that every answer carries.
//!
//! What is offered follows the engine: its newest version, as far as we know that version ourselves. Our own calls are
//! answered in every version from [`OLDEST`] on, whatever the engine's own lowest is; the engine judges its calls itself.
//!
//! What the engine offers is learnt from the answers that pass through us anyway (each client pings first), so an engine
//! upgraded under a running daemon is noticed without asking again and again.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::Full;
use swarmrs_types::{Code, Fault};

use crate::forward::Engine;
use crate::route::{ApiVersion, Endpoint};

/// The newest version whose behaviour is ours.
pub const NEWEST: ApiVersion = version(1, 56);
/// The first version with a swarm in it.
pub const OLDEST: ApiVersion = version(1, 24);
/// The engine says its newest version in this header of every answer.
pub const API_VERSION: HeaderName = HeaderName::from_static("api-version");

const OSTYPE: HeaderName = HeaderName::from_static("ostype");
const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");
/// How long an engine may take to say who it is before a call of ours is answered without knowing.
const PATIENCE: Duration = Duration::from_secs(2);

/// A version of the API.
pub const fn version(major: u32, minor: u32) -> ApiVersion {
    ApiVersion { major, minor }
}

/// Reads `1.41`.
pub fn parse(text: &str) -> Option<ApiVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(version(major.parse().ok()?, minor.parse().ok()?))
}

/// What clients are offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The newest version.
    pub newest: ApiVersion,
    headers: HeaderMap,
}

impl Offer {
    /// Until an engine was heard.
    fn without_engine() -> Self {
        let server = concat!("swarmrs/", env!("CARGO_PKG_VERSION"), " (linux)");
        let mut headers = HeaderMap::new();
        headers.insert(API_VERSION, text(&NEWEST.to_string()));
        headers.insert(EXPERIMENTAL, HeaderValue::from_static("false"));
        headers.insert(OSTYPE, HeaderValue::from_static("linux"));
        headers.insert(http::header::SERVER, HeaderValue::from_static(server));
        Self {
            newest: NEWEST,
            headers,
        }
    }

    /// What an engine that answers with these headers offers; `None` if it does not say.
    fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let api = headers.get(API_VERSION)?.to_str().ok()?;
        let newest = parse(api)?.min(NEWEST);
        let mut offer = Self::without_engine();
        for name in [EXPERIMENTAL, OSTYPE, http::header::SERVER] {
            if let Some(value) = headers.get(&name) {
                offer.headers.insert(name, value.clone());
            }
        }
        offer.headers.insert(API_VERSION, text(&newest.to_string()));
        offer.newest = newest;
        Some(offer)
    }

    /// Adds what every answer of the API carries.
    pub fn stamp(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }

    /// The version a call of ours is answered in, if it is one that we speak.
    pub fn admit(&self, asked: Option<ApiVersion>) -> Result<ApiVersion, Fault> {
        let asked = asked.unwrap_or(self.newest);
        if asked > self.newest {
            return Err(Fault::invalid(format!(
                "client version {asked} is too new. Maximum supported API version is {}",
                self.newest
            )));
        }
        if asked < OLDEST {
            return Err(Fault::invalid(format!(
                "client version {asked} is too old. Minimum supported API version is {OLDEST}, please upgrade your client \
                 to a newer version"
            )));
        }
        Ok(asked)
    }
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

/// The engine's offer, as last heard.
#[derive(Debug)]
pub struct Offers {
    engine: Engine,
    known: RwLock<Option<Arc<Offer>>>,
}

impl Offers {
    /// Nothing is asked yet.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            known: RwLock::default(),
        }
    }

    /// What is offered as far as is known. Nobody is asked.
    pub fn known(&self) -> Arc<Offer> {
        let without = || Arc::new(Offer::without_engine());
        self.heard().unwrap_or_else(without)
    }

    fn heard(&self) -> Option<Arc<Offer>> {
        let known = self.known.read();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is offered now. The engine is asked if it was never heard.
    pub async fn current(&self) -> Arc<Offer> {
        if let Some(offer) = self.heard() {
            return offer;
        }
        match tokio::time::timeout(PATIENCE, self.engine.send(ping())).await {
            Ok(Ok(answer)) => self.learn(answer.headers()),
            Ok(Err(_)) | Err(_) => Arc::new(Offer::without_engine()),
        }
    }

    /// Notes what an answer of the engine says, and returns what is offered from now on.
    pub fn learn(&self, headers: &HeaderMap) -> Arc<Offer> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let told = Offer::of_headers(headers);
        match (&*known, told) {
            (Some(known), None) => known.clone(),
            (Some(known), Some(told)) if **known == told => known.clone(),
            (_, Some(told)) => known.insert(Arc::new(told)).clone(),
            (None, None) => Arc::new(Offer::without_engine()),
        }
    }
}

fn ping() -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = http::Uri::from_static("/_ping");
    let host = HeaderValue::from_static("docker");
    request.headers_mut().insert(http::header::HOST, host);
    request
}

/// Refuses calls that are younger than the version they were made in. They exist in no older one, so this is no 404.
pub fn check_age(endpoint: &Endpoint, asked: ApiVersion) -> Result<(), Fault> {
    let (call, since) = match endpoint {
        Endpoint::SecretList => ("GET /secrets", version(1, 25)),
        Endpoint::SecretCreate => ("POST /secrets/create", version(1, 25)),
        Endpoint::SecretInspect { .. } => ("GET /secrets/{id}", version(1, 25)),
        Endpoint::SecretUpdate { .. } => ("POST /secrets/{id}/update", version(1, 25)),
        Endpoint::SecretRemove { .. } => ("DELETE /secrets/{id}", version(1, 25)),
        Endpoint::ConfigList => ("GET /configs", version(1, 30)),
        Endpoint::ConfigCreate => ("POST /configs/create", version(1, 30)),
        Endpoint::ConfigInspect { .. } => ("GET /configs/{id}", version(1, 30)),
        Endpoint::ConfigUpdate { .. } => ("POST /configs/{id}/update", version(1, 30)),
        Endpoint::ConfigRemove { .. } => ("DELETE /configs/{id}", version(1, 30)),
        _ => return Ok(()),
    };
    if asked >= since {
        return Ok(());
    }
    let text = format!("{call} requires minimum API version {since}");
    Err(Fault::daemon(Code::InvalidArgument, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(api: &str) -> Offer {
        let mut headers = HeaderMap::new();
        headers.insert(API_VERSION, text(api));
        headers.insert(http::header::SERVER, text("Docker/20.10.24 (linux)"));
        Offer::of_headers(&headers).unwrap()
    }

    #[test]
    fn the_engines_newest_version_is_offered_as_far_as_we_know_it() {
        assert_eq!(offer("1.41").newest, version(1, 41));
        assert_eq!(offer("1.99").newest, NEWEST);
        let mut headers = HeaderMap::new();
        offer("1.41").stamp(&mut headers);
        assert_eq!(headers["api-version"], "1.41");
        assert_eq!(headers["server"], "Docker/20.10.24 (linux)");
        assert_eq!(headers["ostype"], "linux");
        assert_eq!(headers["docker-experimental"], "false");
    }

    #[test]
    fn a_call_without_a_version_is_of_the_newest() {
        assert_eq!(offer("1.41").admit(None), Ok(version(1, 41)));
    }

    #[test]
    fn versions_outside_the_offer_are_refused_in_the_engines_words() {
        let too_new = offer("1.41").admit(Some(version(1, 42))).unwrap_err();
        assert_eq!(
            too_new.text,
            "client version 1.42 is too new. Maximum supported API version is 1.41"
        );
        let too_old = offer("1.41").admit(Some(version(1, 23))).unwrap_err();
        assert_eq!(
            too_old.text,
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer \
             version"
        );
        assert_eq!(offer("1.41").admit(Some(OLDEST)), Ok(OLDEST));
    }

    #[test]
    fn a_call_younger_than_its_version_is_refused_by_name() {
        let refused = check_age(&Endpoint::ConfigList, version(1, 29)).unwrap_err();
        assert_eq!(
            refused.text,
            "GET /configs requires minimum API version 1.30"
        );
        assert_eq!(check_age(&Endpoint::ConfigList, version(1, 30)), Ok(()));
        assert_eq!(check_age(&Endpoint::ServiceList, OLDEST), Ok(()));
    }
}
