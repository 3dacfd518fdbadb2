//! The digest of a service's image, for clients that leave it to the daemon: those of API versions below 1.30.
//!
//! Newer clients ask the registry themselves and send the digest in the spec. For an older one the same question is put to
//! the engine. Without an answer the service is made all the same, and the client is warned: see Docker's own order in moby
//! `daemon/cluster/services.go`.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use swarmrs_types::object::RegistryAuth;
use swarmrs_types::reference::{Reference, is_image_id};
use swarmrs_types::spec::ServiceSpec;
use tracing::warn;

use crate::forward::Engine;
use crate::route::ApiVersion;
use crate::version::version;

/// The first version whose clients pin by themselves.
const CLIENT_PINS: ApiVersion = version(1, 30);

/// How long a registry may take before the client is warned instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// What of a reference the engine's router takes unescaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b':');

/// Of the engine's answer to a question for an image in its registry.
#[derive(Debug, Deserialize)]
struct Distribution {
    #[serde(rename = "Descriptor")]
    descriptor: Descriptor,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
}

/// Writes the digest that the registry has for the image into the spec; returns the warning for the client if it could not
/// be had. Does nothing for clients of 1.30 and later, for an image's id, and for a reference with a digest.
pub(super) async fn pin(
    engine: &Engine,
    asked: ApiVersion,
    spec: &mut ServiceSpec,
    auth: Option<&RegistryAuth>,
) -> Option<String> {
    let image = &mut spec.task_template.container_spec.as_mut()?.image;
    if asked >= CLIENT_PINS || image.is_empty() || is_image_id(image) {
        return None;
    }
    match pinned(engine, image, auth).await {
        Ok(with_digest) => {
            *image = with_digest;
            None
        }
        Err(reason) => {
            warn!(%image, reason, "no digest for the image");
            Some(warning(image))
        }
    }
}

/// The reference with its digest, or why there is none.
async fn pinned(
    engine: &Engine,
    image: &str,
    auth: Option<&RegistryAuth>,
) -> Result<String, String> {
    let reference = Reference::parse(image).map_err(|error| error.to_string())?;
    if reference.digest().is_some() {
        return Ok(reference.familiar());
    }
    let tagged = reference.with_default_tag().familiar();
    let asking = tokio::time::timeout(PATIENCE, digest(engine, &tagged, auth));
    let digest = asking.await.map_err(|late| late.to_string())??;
    let with_digest = Reference::parse(&format!("{tagged}@{digest}"));
    Ok(with_digest.map_err(|error| error.to_string())?.familiar())
}

async fn digest(
    engine: &Engine,
    image: &str,
    auth: Option<&RegistryAuth>,
) -> Result<String, String> {
    let answer = engine.send(question(image, auth)).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if status != StatusCode::OK {
        return Err(String::from_utf8_lossy(&body).into_owned());
    }
    let told: Distribution = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(told.descriptor.digest)
}

fn question(image: &str, auth: Option<&RegistryAuth>) -> Request<Full<Bytes>> {
    let target = format!("/distribution/{}/json", utf8_percent_encode(image, PLAIN));
    let mut request = Request::new(Full::default());
    // What is escaped so is a path.
    *request.uri_mut() = target.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("docker"));
    if let Some(mut auth) = auth.and_then(|auth| HeaderValue::from_str(&auth.0).ok()) {
        auth.set_sensitive(true);
        headers.insert("x-registry-auth", auth);
    }
    request
}

/// Docker's words and line breaks. Source: moby `daemon/cluster/services.go` (`digestWarning`).
fn warning(image: &str) -> String {
    format!(
        "image {image} could not be accessed on a registry to record\nits digest. Each node will access {image} \
         independently,\npossibly leading to different nodes running different\nversions of the image.\n"
    )
}
