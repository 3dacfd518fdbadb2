//! How a newcomer learns the cluster's root.

use super::Client;
use crate::message::join::Root;
use crate::tls::Credentials;
use crate::{CallError, Method, Purpose, from_json};
use bytes::Bytes;
use std::time::Duration;
use swarmrs_security::{RootCert, RootDigest};

/// Takes the root from whoever answers at `address`, and believes it if its digest is the one of the join token.
///
/// From then on the newcomer connects with [`Credentials::anonymous`].
///
/// # Errors
/// [`CallError::WrongRoot`] if the digest is another one.
pub async fn fetch_root(
    address: &str,
    expected: RootDigest,
    within: Duration,
) -> Result<RootCert, CallError> {
    let credentials = Credentials::believing_anybody();
    let credentials = credentials.map_err(|error| CallError::distrust(address, error))?;
    let client = Client::new(address, credentials, Purpose::General);
    let answer = client.call(Method::RootCertificate, Bytes::new(), within);
    let root: Root = from_json(&answer.await?)?;
    let found = RootDigest::of(root.pem.as_bytes());
    if found != expected {
        return Err(CallError::WrongRoot { expected, found });
    }
    RootCert::from_pem(&root.pem).map_err(|error| CallError::distrust(address, error))
}
