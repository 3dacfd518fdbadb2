//! Certificates of nodes: what they say, and whether to believe it.
//!
//! Reading and believing are two steps. [`Identity`] and [`NodeCertificate`] only read;
//! [`NodeCertificate::verify`] decides. A peer's certificate that arrived over TLS has been
//! verified by the handshake, so there [`Identity::from_der`] is enough.

pub mod request;
pub mod root;

use crate::{CertificateRequest, Error, PrivateKey, RootCert};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::PublicKeyData as _;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;
use x509_parser::x509::AttributeTypeAndValue;

/// The role that a certificate grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May run tasks.
    Worker,
    /// May also hold and change the cluster's state.
    Manager,
}

impl Role {
    /// The organisational unit that stands for the role, also the server name that clients verify.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "swarm-worker",
            Self::Manager => "swarm-manager",
        }
    }

    fn from_unit(unit: &str) -> Option<Self> {
        [Self::Worker, Self::Manager]
            .into_iter()
            .find(|role| role.as_str() == unit)
    }
}

/// What a node's certificate says about the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The node's id: the subject's common name.
    pub node_id: String,
    /// The node's role: the organisational unit.
    pub role: Role,
    /// The cluster's id: the organisation.
    pub cluster_id: String,
    /// First moment of validity.
    pub not_before: SystemTime,
    /// Last moment of validity.
    pub not_after: SystemTime,
    /// The issuer's name as DER, as the certificate states it.
    pub issuer_subject: Vec<u8>,
    /// The node's public key as DER `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
}

impl Identity {
    /// Reads one certificate in DER. Believes it: verify first.
    ///
    /// Each of common name, organisational unit and organisation must stand there exactly once, so
    /// that no two readers can take a different one of them.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let certificate = parse(der)?;
        let subject = certificate.subject();
        let unit = only("organisational unit", subject.iter_organizational_unit())?;
        let role = Role::from_unit(&unit)
            .ok_or_else(|| Error::Certificate(format!("no role is called {unit:?}")))?;
        Ok(Self {
            node_id: only("common name", subject.iter_common_name())?,
            role,
            cluster_id: only("organisation", subject.iter_organization())?,
            not_before: system_time(certificate.validity().not_before),
            not_after: system_time(certificate.validity().not_after),
            issuer_subject: certificate.issuer().as_raw().to_vec(),
            public_key: certificate.public_key().raw.to_vec(),
        })
    }
}

/// Who issued a certificate, in the two forms that Docker's `TLSInfo` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The issuer's name as DER `Name`.
    pub subject: Vec<u8>,
    /// The issuer's public key as DER `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
}

impl Issuer {
    /// `CertIssuerSubject`: padded standard base64 of the name.
    pub fn subject_base64(&self) -> String {
        STANDARD.encode(&self.subject)
    }

    /// `CertIssuerPublicKey`: padded standard base64 of the key.
    pub fn public_key_base64(&self) -> String {
        STANDARD.encode(&self.public_key)
    }
}

/// A node's certificate, with the intermediate certificates that lead to a root, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    pem: String,
    /// Never empty; the node's own certificate comes first.
    chain: Vec<CertificateDer<'static>>,
    identity: Identity,
}

impl NodeCertificate {
    /// Reads a chain in PEM, the node's own certificate first. Does not verify it.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let chain = decode(pem)?;
        Ok(Self {
            identity: Identity::from_der(&chain[0])?,
            pem: pem.to_owned(),
            chain,
        })
    }

    /// The chain as PEM, as it was read.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The chain as DER, the node's own certificate first, as TLS sends it.
    pub fn chain_der(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// What the certificate says.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether `key` is the private half of the certificate's key.
    pub fn belongs_to(&self, key: &PrivateKey) -> bool {
        self.identity.public_key == key.public_key_der()
    }

    /// Whether it is for the key that `request` was made with.
    pub fn answers(&self, request: &CertificateRequest) -> bool {
        self.identity.public_key == request.public_key().subject_public_key_info()
    }

    /// The time at which the certificate is to be looked at to learn who issued it: now, or, if its own time is
    /// over or to come, the nearest at which it is valid.
    pub fn moment(&self, now: SystemTime) -> SystemTime {
        let identity = &self.identity;
        now.min(identity.not_after).max(identity.not_before)
    }

    /// Checks that the chain leads to `root` at the time `now`; answers who issued the certificate.
    pub fn verify(&self, root: &RootCert, now: SystemTime) -> Result<Issuer, Error> {
        let public_key = verify_chain(&self.chain, root, now)?;
        Ok(Issuer {
            subject: self.identity.issuer_subject.clone(),
            public_key,
        })
    }
}

/// Checks that a chain, the node's own certificate first, leads to `root` at the time `now`; answers the issuer's key as
/// DER `SubjectPublicKeyInfo`.
pub fn verify_chain(
    chain: &[CertificateDer<'_>],
    root: &RootCert,
    now: SystemTime,
) -> Result<Vec<u8>, Error> {
    let (leaf, above) = chain
        .split_first()
        .ok_or_else(|| Error::Certificate("no certificate in the chain".into()))?;
    let anchors = root.anchors(now)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(Error::Untrusted)?;
    let path = leaf
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            above,
            UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default()),
            // Every certificate of ours is for both ends; a client's is what others rely on.
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(Error::Untrusted)?;
    Ok(path.issuer_spki().to_vec())
}

/// The certificates of a PEM text, at least one.
pub(crate) fn decode(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(Error::Certificate("no certificate in the PEM text".into()));
    }
    Ok(chain)
}

/// A certificate in PEM, as OpenSSL writes it.
pub(crate) fn encode(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in lines {
        pem.push_str(&line);
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Parses exactly one certificate.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Error> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(Error::Certificate("trailing bytes".into())),
        Err(error) => Err(Error::Certificate(error.to_string())),
    }
}

fn only<'a>(
    field: &str,
    mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
) -> Result<String, Error> {
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::Certificate(format!("not exactly one {field}")));
    };
    let text = value
        .as_str()
        .map_err(|_| Error::Certificate(format!("{field} is not text")))?;
    Ok(text.to_owned())
}

/// A certificate's time; one before 1970 counts as 1970, for nothing of ours is older.
pub(crate) fn system_time(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}
