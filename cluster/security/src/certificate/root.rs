//! The root that a cluster trusts, without its private key.
//!
//! Usually one self-signed certificate; a bundle while several are trusted. The PEM text is kept as
//! it came, for the digest in a join token is taken over exactly these bytes.

use super::{Issuer, decode, parse, system_time};
use crate::Error;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::time::SystemTime;
use webpki::anchor_from_trusted_cert;

/// The trusted certificate or bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCert {
    pem: String,
    /// Never empty.
    certificates: Vec<Trusted>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Trusted {
    der: CertificateDer<'static>,
    issuer: Issuer,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl RootCert {
    /// Reads one or more CA certificates in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let certificates = decode(pem)?
            .into_iter()
            .map(Trusted::read)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            pem: pem.to_owned(),
            certificates,
        })
    }

    /// This bundle and another, trusted alike.
    pub fn and(&self, other: &RootCert) -> Self {
        let certificates = self.certificates.iter().chain(&other.certificates);
        let gap = if self.pem.ends_with('\n') { "" } else { "\n" };
        Self {
            pem: format!("{}{gap}{}", self.pem, other.pem),
            certificates: certificates.cloned().collect(),
        }
    }

    /// The PEM text, byte for byte as it came: `TrustRoot` of the API.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificates as DER, as TLS wants its trusted roots.
    pub fn certificates_der(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.certificates.iter().map(|trusted| &trusted.der)
    }

    /// The digest that join tokens carry.
    pub fn digest(&self) -> RootDigest {
        RootDigest::of(self.pem.as_bytes())
    }

    /// Name and key of the root; of a bundle, of its first certificate.
    pub fn issuer(&self) -> &Issuer {
        &self.certificates[0].issuer
    }

    /// Last moment of validity of the first certificate.
    pub fn not_after(&self) -> SystemTime {
        self.certificates[0].not_after
    }

    /// The certificate of the bundle that holds this public key, with its end of validity.
    pub(crate) fn with_key(
        &self,
        public_key: &[u8],
    ) -> Option<(&CertificateDer<'static>, SystemTime)> {
        self.certificates
            .iter()
            .find(|trusted| trusted.issuer.public_key == public_key)
            .map(|trusted| (&trusted.der, trusted.not_after))
    }

    /// The certificates that may be trusted at the time `now`, as DER.
    ///
    /// Path builders take anchors as given and ignore their dates, hence the filter.
    pub fn valid_der(&self, now: SystemTime) -> impl Iterator<Item = &CertificateDer<'static>> {
        let valid =
            move |trusted: &&Trusted| (trusted.not_before..=trusted.not_after).contains(&now);
        self.certificates
            .iter()
            .filter(valid)
            .map(|trusted| &trusted.der)
    }

    /// [`RootCert::valid_der`], as the path builder wants them.
    pub(super) fn anchors(&self, now: SystemTime) -> Result<Vec<TrustAnchor<'_>>, Error> {
        self.valid_der(now)
            .map(|der| anchor_from_trusted_cert(der).map_err(Error::Untrusted))
            .collect()
    }
}

impl Trusted {
    fn read(der: CertificateDer<'static>) -> Result<Self, Error> {
        let certificate = parse(&der)?;
        if !certificate.is_ca() {
            return Err(Error::Certificate("not a CA certificate".into()));
        }
        Ok(Self {
            issuer: Issuer {
                subject: certificate.subject().as_raw().to_vec(),
                public_key: certificate.public_key().raw.to_vec(),
            },
            not_before: system_time(certificate.validity().not_before),
            not_after: system_time(certificate.validity().not_after),
            der,
        })
    }
}

/// SHA-256 of a root's PEM text. Shown as hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootDigest([u8; 32]);

impl RootDigest {
    /// The digest of these PEM bytes.
    pub fn of(pem: &[u8]) -> Self {
        Self(Sha256::digest(pem).into())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RootDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootDigest({self})")
    }
}
