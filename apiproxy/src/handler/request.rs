//! A call of ours as its handler sees it: version, query, headers, and a body that is JSON or refused.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;
use swarmrs_types::Fault;
use swarmrs_types::json::{self, Decoded};

use super::query::Query;
use crate::route::{ApiVersion, Route};

/// The longest body read. Far above the largest spec the log takes, far below what would hurt.
pub const MOST_BODY: usize = 8 << 20;

/// One call.
#[derive(Debug)]
pub struct Call {
    /// The version it is answered in.
    pub version: ApiVersion,
    /// Its parameters.
    pub query: Query,
    /// The client's headers.
    pub headers: HeaderMap,
    body: Incoming,
}

impl Call {
    pub(super) fn new(version: ApiVersion, route: &Route, request: Request<Incoming>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            version,
            query: Query::parse(route.query()),
            headers: parts.headers,
            body,
        }
    }

    /// Reads the body as JSON. No body at all is a value of zeros, as in Docker.
    ///
    /// # Errors
    /// 400 for another content type, and for what is no JSON, in Docker's words.
    pub async fn json<T: DeserializeOwned + Default>(&mut self) -> Result<Decoded<T>, Fault> {
        let empty = self.body.size_hint().exact() == Some(0);
        let content_type = self.headers.get(CONTENT_TYPE);
        if content_type.is_some() || !empty {
            let text = content_type.map_or(Ok(""), |value| value.to_str());
            check_content_type(text.unwrap_or("?"))?;
        }
        if empty {
            return Ok(Decoded {
                value: T::default(),
                unknown: Vec::new(),
            });
        }
        let bytes = read(&mut self.body).await?;
        decode(&bytes)
    }
}

/// Reads a body up to [`MOST_BODY`].
pub async fn read(body: &mut Incoming) -> Result<bytes::Bytes, Fault> {
    match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::invalid(format!(
            "the request's body is longer than {MOST_BODY} bytes"
        ))),
        Err(error) => Err(Fault::invalid(format!(
            "cannot read the request's body: {error}"
        ))),
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Decoded<T>, Fault> {
    json::from_slice(bytes).map_err(|error| match error {
        json::Error::Trailing => Fault::invalid(error.to_string()),
        error => Fault::invalid(format!("invalid JSON: {error}")),
    })
}

/// Only JSON is taken. The words are those of Go's `mime.ParseMediaType` behind Docker's.
fn check_content_type(text: &str) -> Result<(), Fault> {
    let malformed = |why: &str| {
        Err(Fault::invalid(format!(
            "malformed Content-Type header ({text}): mime: {why}"
        )))
    };
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    let kind = kind.trim().to_ascii_lowercase();
    match kind.split_once('/') {
        _ if kind.is_empty() => return malformed("no media type"),
        None if is_token(&kind) => {}
        None => return malformed("expected slash after first token"),
        Some((main, _)) if !is_token(main) => return malformed("expected slash after first token"),
        Some((_, sub)) if !is_token(sub) => return malformed("expected token after slash"),
        Some(_) => {}
    }
    let parameters = parameters.split(';').map(str::trim);
    let is_parameter = |p: &str| {
        p.split_once('=')
            .is_some_and(|(key, _)| is_token(key.trim()))
    };
    if parameters
        .filter(|p| !p.is_empty())
        .any(|p| !is_parameter(p))
    {
        return malformed("invalid media parameter");
    }
    if kind == "application/json" {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "unsupported Content-Type header ({text}): must be 'application/json'"
    )))
}

fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(content_type: &str) -> String {
        check_content_type(content_type).unwrap_err().text
    }

    #[test]
    fn json_is_taken_with_any_parameter() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;",
        ] {
            assert_eq!(check_content_type(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn other_content_types_are_refused_in_dockers_words() {
        assert_eq!(
            refusal("text/plain"),
            "unsupported Content-Type header (text/plain): must be 'application/json'"
        );
        assert_eq!(
            refusal(""),
            "malformed Content-Type header (): mime: no media type"
        );
        assert_eq!(
            refusal("a b/c"),
            "malformed Content-Type header (a b/c): mime: expected slash after first token"
        );
        assert_eq!(
            refusal("application/json; x"),
            "malformed Content-Type header (application/json; x): mime: invalid media parameter"
        );
    }

    #[test]
    fn what_is_no_json_is_refused_in_dockers_words() {
        let text = |body: &str| decode::<u64>(body.as_bytes()).unwrap_err().text;
        assert_eq!(text(""), "invalid JSON: got EOF while reading request body");
        assert_eq!(text("1 2"), "unexpected content after JSON");
        assert!(text("{").starts_with("invalid JSON: "));
    }
}
