//! The cluster's certificate authority: makes the root, issues the nodes' certificates.

mod profile;

use crate::{CertificateRequest, Error, NodeCertificate, PrivateKey, Role, RootCert};
use rcgen::Issuer;
use std::time::{Duration, SystemTime};

/// The root's common name, also the server name under which a manager issues certificates.
pub const CA_NAME: &str = "swarm-ca";

/// A root lives 20 years of 365 days (swarmkit `ca/certificates.go`).
pub const ROOT_VALIDITY: Duration = Duration::from_secs(630_720_000);

/// A node's certificate lives 90 days unless the cluster's spec says otherwise (swarmkit
/// `ca/certificates.go`).
pub const DEFAULT_NODE_VALIDITY: Duration = Duration::from_secs(2160 * 3600);

/// No certificate lives shorter than this (swarmkit `ca/certificates.go`).
pub const MIN_NODE_VALIDITY: Duration = Duration::from_secs(3600);

/// Certificates begin this long before they are issued, so that a node whose clock is behind
/// accepts them at once.
pub const BACKDATE: Duration = Duration::from_secs(3600);

/// What the authority certifies about a node. Whatever the node itself asks for is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The node's id.
    pub node_id: &'a str,
    /// The role the node is given.
    pub role: Role,
    /// The cluster's id.
    pub cluster_id: &'a str,
}

/// A root certificate with its private key.
///
/// Lives in the cluster's replicated state; on a node's disk only the certificate is kept.
#[derive(Clone, Debug)]
pub struct RootCa {
    cert: RootCert,
    key: PrivateKey,
}

impl RootCa {
    /// Makes a new self-signed root with a new key, valid from [`BACKDATE`] before `now`.
    pub fn create(now: SystemTime) -> Result<Self, Error> {
        let key = PrivateKey::generate()?;
        let certificate = profile::root(now)?
            .self_signed(&*key.pair()?)
            .map_err(Error::Sign)?;
        Ok(Self {
            cert: RootCert::from_pem(&certificate.pem())?,
            key,
        })
    }

    /// Takes up an existing root; the key must be that of a certificate in the bundle.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let cert = RootCert::from_pem(cert_pem)?;
        let key = PrivateKey::from_pem(key_pem)?;
        if cert.with_key(key.public_key_der()).is_none() {
            return Err(Error::KeyMismatch);
        }
        Ok(Self { cert, key })
    }

    /// The certificate, for everyone to see.
    pub fn cert(&self) -> &RootCert {
        &self.cert
    }

    /// The private key as PEM. A secret.
    pub fn key_pem(&self) -> &str {
        self.key.pem()
    }

    /// Issues a certificate for the request's key, valid until `validity` after `now`.
    ///
    /// Subject, names and usages are those of `subject`, never the request's. A validity below
    /// [`MIN_NODE_VALIDITY`] means [`DEFAULT_NODE_VALIDITY`], as in swarmkit: the API refuses such
    /// a value, so it can only be unset. No certificate outlives the root.
    pub fn issue(
        &self,
        request: &CertificateRequest,
        subject: &Subject<'_>,
        validity: Duration,
        now: SystemTime,
    ) -> Result<NodeCertificate, Error> {
        let (der, root_end) = self
            .cert
            .with_key(self.key.public_key_der())
            .ok_or(Error::KeyMismatch)?;
        if root_end <= now {
            return Err(Error::RootExpired);
        }
        let end = (now + effective(validity)).min(root_end);
        let pair = self.key.pair()?;
        let issuer = Issuer::from_ca_cert_der(der, &*pair).map_err(Error::Sign)?;
        let certificate = profile::node(subject, now, end)?
            .signed_by(request.public_key(), &issuer)
            .map_err(Error::Sign)?;
        NodeCertificate::from_pem(&certificate.pem())
    }
}

fn effective(validity: Duration) -> Duration {
    if validity < MIN_NODE_VALIDITY {
        DEFAULT_NODE_VALIDITY
    } else {
        validity
    }
}
