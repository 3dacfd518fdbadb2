//! Images: is it here, and get it.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use http::header::{HeaderName, HeaderValue};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::call::{Call, segment};
use crate::client::Engine;
use crate::error::Error;
use crate::raw;

const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// `GET /images/{reference}/json`, the part that decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// `sha256:…`.
    pub id: String,
    /// `name@sha256:…`, one per repository it was pulled from.
    pub repo_digests: Vec<String>,
    pub os: String,
    /// As Go names it: `amd64`.
    pub architecture: String,
    pub raw: Value,
}

impl Engine {
    /// The local image that a name, digest or id means; not found if it is absent.
    pub async fn inspect_image(&self, reference: &str) -> Result<Image, Error> {
        let raw = self
            .json(
                &Call::get(format!("/images/{}/json", segment(reference))),
                self.limits().read,
            )
            .await?;
        Ok(Image {
            id: raw::text(&raw, "/Id"),
            repo_digests: raw::texts(&raw, "/RepoDigests"),
            os: raw::text(&raw, "/Os"),
            architecture: raw::text(&raw, "/Architecture"),
            raw,
        })
    }

    /// Pulls an image and returns when it is here. Without tag or digest it is `latest` (the engine would take all tags).
    /// `registry_auth` is the client's own header value, passed on unread. Dropping the future ends the pull.
    pub async fn pull_image(
        &self,
        reference: &str,
        registry_auth: Option<&str>,
    ) -> Result<(), Error> {
        let mut call = Call::post("/images/create").query("fromImage", reference);
        if !names_a_version(reference) {
            call = call.query("tag", "latest");
        }
        if let Some(auth) = registry_auth {
            let value = secret_header(auth, &call)?;
            call = call.header(REGISTRY_AUTH, value);
        }
        let name = call.to_string();
        let mut progress = self.open(&call).await?.into_body().into_data_stream();
        let mut lines = Lines::default();
        while let Some(chunk) = progress
            .try_next()
            .await
            .map_err(|error| Error::broken(&name, error))?
        {
            lines.push(&chunk)?;
        }
        lines.finish()
    }
}

/// The part after the last slash has a tag or a digest (a colon before it belongs to the registry's port).
fn names_a_version(reference: &str) -> bool {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    name.contains([':', '@'])
}

/// A header value that no debug print shows.
fn secret_header(auth: &str, call: &Call) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(auth).map_err(|_| {
        Error::protocol(
            &call.to_string(),
            "the registry credential is not a header value",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The progress of a pull: JSON lines, of which only a failure matters. The engine has said 200 by then, so this is the
/// one place where it tells of it.
#[derive(Default)]
struct Lines {
    pending: BytesMut,
}

impl Lines {
    fn push(&mut self, chunk: &Bytes) -> Result<(), Error> {
        self.pending.extend_from_slice(chunk);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            check(&self.pending.split_to(end + 1))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        check(&self.pending)
    }
}

fn check(line: &[u8]) -> Result<(), Error> {
    let Ok(told) = serde_json::from_slice::<Value>(line) else {
        return Ok(());
    };
    let failure = ["/errorDetail/message", "/error"].map(|pointer| raw::text(&told, pointer));
    match failure.into_iter().find(|message| !message.is_empty()) {
        Some(message) => Err(Error::Failed { message }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_the_registry_is_not_a_tag() {
        assert!(!names_a_version("localhost:5000/app"));
        assert!(!names_a_version("app"));
        assert!(names_a_version("localhost:5000/app:1"));
        assert!(names_a_version("app@sha256:00"));
    }

    #[test]
    fn a_failure_is_heard_however_the_lines_are_cut() {
        let stream = b"{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"no space\"},\"error\":\"no space\"}\r\n";
        for cut in 0..stream.len() {
            let mut lines = Lines::default();
            let (first, second) = stream.split_at(cut);
            let heard = [first, second]
                .into_iter()
                .try_for_each(|part| lines.push(&Bytes::copy_from_slice(part)));
            let heard = heard.and_then(|()| lines.finish());
            assert_eq!(heard.unwrap_err().message(), "no space", "cut at {cut}");
        }
    }
}
