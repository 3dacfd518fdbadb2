//! Asking an authority outside of the swarm for certificates: the `sign` call of CFSSL.
//!
//! ```text
//!   POST https://…/api/v1/cfssl/sign   {"certificate_request": …, "subject": …, "hosts": …}
//!        ◀── {"success": true, "result": {"certificate": PEM}}
//! ```
//!
//! The authority's own certificate must be of the swarm's root; it is shown the node's. Everything it says is bounded in
//! time and size, and its certificates are the caller's to look at.

use crate::Credentials;
use crate::tls::Current;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long one authority may take (swarmkit `ExternalRequestTimeout`).
const ANSWER: Duration = Duration::from_secs(5);
/// The most that it may say (swarmkit `CertificateMaxSize`).
const MOST: usize = 256 * 1024;
/// What of a refusal is repeated.
const QUOTED: usize = 200;

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// Not an address that can be asked.
    #[error("{0:?} is no https address")]
    Url(String),
    /// It did not answer, or not what such an authority answers: it may the next time.
    #[error("the external CA at {url} does not answer as it should: {reason}")]
    Unanswered {
        /// Who was asked.
        url: String,
        /// What happened.
        reason: String,
    },
    /// It answered that it does not sign this.
    #[error("the external CA at {url} refused: {reason}")]
    Refused {
        /// Who was asked.
        url: String,
        /// In its words.
        reason: String,
    },
}

/// What is to be signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignRequest {
    /// Names under which the certificate's owner is dialled.
    pub hosts: Vec<String>,
    /// PEM.
    pub certificate_request: String,
    pub subject: Subject,
    /// By which of its rules the authority is to sign; empty: the usual ones.
    pub profile: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
}

/// Who owns the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    #[serde(rename = "CN")]
    pub common_name: String,
    pub names: Vec<Name>,
}

/// The rest of a subject's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Name {
    #[serde(rename = "OU", skip_serializing_if = "String::is_empty")]
    pub unit: String,
    #[serde(rename = "O", skip_serializing_if = "String::is_empty")]
    pub organisation: String,
}

/// An extension that is to stand in the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extension {
    /// Dotted.
    pub id: String,
    pub critical: bool,
    /// DER in hexadecimal.
    pub value: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    success: bool,
    #[serde(default)]
    result: Option<Signed>,
    #[serde(default)]
    errors: Vec<Complaint>,
}

#[derive(Deserialize)]
struct Signed {
    certificate: String,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// Asks the authority at `url` for a certificate; answers it in PEM.
pub async fn sign(
    url: &str,
    credentials: &Credentials,
    request: &SignRequest,
) -> Result<String, ExternalError> {
    let address = Address::of(url)?;
    let current = credentials.current();
    let body = in_time(url, ask(&address, &current, request)).await?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|error| unanswered(url, format!("no JSON of CFSSL: {error}")))?;
    match answer.result {
        Some(signed) if answer.success => Ok(signed.certificate),
        _ => Err(ExternalError::Refused {
            url: url.to_owned(),
            reason: said(&answer.errors),
        }),
    }
}

/// Whether an authority can be reached at `url` whose certificate is of a root that `credentials` trust.
pub async fn reach(url: &str, credentials: &Credentials) -> Result<(), ExternalError> {
    let address = Address::of(url)?;
    let current = credentials.current();
    in_time(url, connect(&address, &current)).await.map(drop)
}

async fn in_time<T>(
    url: &str,
    asking: impl Future<Output = Result<T, String>>,
) -> Result<T, ExternalError> {
    match timeout(ANSWER, asking).await {
        Ok(answer) => answer.map_err(|reason| unanswered(url, reason)),
        Err(_) => Err(unanswered(url, format!("nothing within {ANSWER:?}"))),
    }
}

fn unanswered(url: &str, reason: impl Into<String>) -> ExternalError {
    ExternalError::Unanswered {
        url: url.to_owned(),
        reason: reason.into(),
    }
}

fn said(errors: &[Complaint]) -> String {
    let each = errors
        .iter()
        .map(|error| format!("{} (code {})", error.message, error.code));
    let text: Vec<_> = each.collect();
    match text.is_empty() {
        true => "it says no more".to_owned(),
        false => text.join("; ").chars().take(QUOTED).collect(),
    }
}

/// Where it is.
struct Address {
    host: String,
    port: u16,
    name: ServerName<'static>,
    uri: Uri,
}

impl Address {
    fn of(url: &str) -> Result<Self, ExternalError> {
        let wrong = || ExternalError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong());
        }
        let host = uri.host().ok_or_else(wrong)?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Address {
            name: ServerName::try_from(host.clone()).map_err(|_| wrong())?,
            port: uri.port_u16().unwrap_or(443),
            host,
            uri,
        })
    }
}

async fn connect(address: &Address, current: &Current) -> Result<TlsStream<TcpStream>, String> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(current.web()));
    let stream = connector.connect(address.name.clone(), stream).await;
    stream.map_err(|error| error.to_string())
}

/// The body of a good answer.
async fn ask(address: &Address, current: &Current, message: &SignRequest) -> Result<Bytes, String> {
    let stream = TokioIo::new(connect(address, current).await?);
    let handshake = hyper::client::conn::http1::handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    let path = address
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let authority = address
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    let request = Request::post(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        match status.is_success() {
            true => Ok(body),
            false => {
                let text = String::from_utf8_lossy(&body);
                let text: String = text.trim().chars().take(QUOTED).collect();
                Err(format!("{status}: {text}"))
            }
        }
    };
    tokio::select! {
        answer = exchange => answer,
        Err(error) = connection => Err(error.to_string()),
    }
}
