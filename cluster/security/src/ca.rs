//! The cluster's certificate authority: makes the root, issues the nodes' certificates.

mod cross;
pub mod fit;
mod profile;

pub use cross::CrossRequest;
pub(crate) use cross::tlv;

use crate::certificate::decode;
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

/// Certificates begin this long before they are issued, so that a node whose clock is an hour behind
/// accepts them at once. Ten minutes more than in swarmkit, where a clock that is an hour behind to the
/// second already fails.
pub const BACKDATE: Duration = Duration::from_secs(70 * 60);

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

impl Subject<'_> {
    /// The names under which the node may be dialled: its role, its id, and a manager as the CA.
    pub fn server_names(&self) -> Vec<&str> {
        let mut names = vec![self.role.as_str(), self.node_id];
        if self.role == Role::Manager {
            names.push(CA_NAME);
        }
        names
    }
}

/// A root certificate with its private key.
///
/// Lives in the cluster's replicated state; on a node's disk only the certificate is kept.
#[derive(Clone, Debug)]
pub struct RootCa {
    cert: RootCert,
    key: PrivateKey,
    /// PEM that follows each certificate it issues; empty unless it takes another's place just now.
    above: String,
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
            above: String::new(),
        })
    }

    /// Takes up an existing root; the key must be that of a certificate in the bundle.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let cert = RootCert::from_pem(cert_pem)?;
        let key = PrivateKey::from_pem(key_pem)?;
        if cert.with_key(key.public_key_der()).is_none() {
            return Err(Error::KeyMismatch);
        }
        Ok(Self {
            cert,
            key,
            above: String::new(),
        })
    }

    /// Lets `cross_signed` (PEM) follow each certificate that is issued, so that whoever trusts only the
    /// authority that signed it believes the certificate too.
    ///
    /// [`Error::KeyMismatch`] if it is not for this authority's name and key.
    pub fn below(self, cross_signed: &str) -> Result<Self, Error> {
        let above = RootCert::from_pem(cross_signed)?;
        if above.issuer() != self.cert.issuer() {
            return Err(Error::KeyMismatch);
        }
        Ok(Self {
            above: cross_signed.to_owned(),
            ..self
        })
    }

    /// Certifies name and key of another authority, for as long as its own certificate is valid. PEM.
    ///
    /// Of a bundle, those of its first certificate.
    pub fn cross_sign(&self, other: &RootCert) -> Result<String, Error> {
        let (der, _) = self
            .cert
            .with_key(self.key.public_key_der())
            .ok_or(Error::KeyMismatch)?;
        let other = decode(other.pem())?;
        cross::sign(&other[0], der, &self.key)
    }

    /// What another authority is asked to certify: this one's name and key.
    pub fn cross_request(&self) -> Result<CrossRequest, Error> {
        cross::request(self.cert.pem(), &self.key)
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
        NodeCertificate::from_pem(&format!("{}{}", certificate.pem(), self.above))
    }
}

fn effective(validity: Duration) -> Duration {
    if validity < MIN_NODE_VALIDITY {
        DEFAULT_NODE_VALIDITY
    } else {
        validity
    }
}
