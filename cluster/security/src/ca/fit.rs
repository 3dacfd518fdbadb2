//! Whether a certificate that a user brings can be the swarm's root.
//!
//! What is refused, in which order and in which words is Docker's (swarmkit `ca/certificates.go` and
//! `manager/controlapi/ca_rotation.go`). One more is refused: what this release could not sign with or write down
//! again is found by trying it.

use super::{RootCa, Subject};
use crate::certificate::{decode, encode, parse, system_time};
use crate::{Error, PrivateKey, Role, RootCert};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

/// A root that ends sooner is none (swarmkit `minRootExpiration`).
const LEAST_LEFT: Duration = Duration::from_secs(8760 * 3600);

/// Why a certificate cannot be the root. The texts are Docker's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// No certificate can be read there. In the words of Docker's certificate library.
    #[error(
        "invalid root certificates: {{\"code\":1003,\"message\":\"Failed to parse certificate\"}}"
    )]
    Unreadable(#[source] Error),
    /// By its usual name.
    #[error("unsupported signature algorithm: {0}")]
    Signature(String),
    /// Not valid at this time.
    #[error(
        "error while validating Root CA Certificate: x509: certificate has expired or is not yet valid: \
         current time {now} is {when}"
    )]
    Time {
        /// The present.
        now: String,
        /// `before` or `after` which moment.
        when: String,
    },
    /// The key cannot be read. Likewise.
    #[error("malformed private key: {{\"code\":2003,\"message\":\"Failed to parse private key\"}}")]
    Key(#[source] Error),
    /// An RSA key that is too short.
    #[error("unsupported RSA key parameters")]
    Rsa,
    /// An elliptic curve that is not one of NIST's.
    #[error("unsupported ECDSA key parameters")]
    Curve,
    /// Neither RSA nor ECDSA.
    #[error("unknown or unsupported certificate public key algorithm")]
    Algorithm,
    /// The key is another one's.
    #[error("certificate key mismatch")]
    Mismatch,
    /// More than one certificate.
    #[error("the desired CA certificate cannot contain multiple certificates")]
    Several,
    /// Less than a year is left of it.
    #[error("CA certificate expires too soon")]
    TooSoon,
    /// It may not issue certificates.
    #[error(
        "unable to generate a cross-signed certificate for root rotation: certificate not a CA"
    )]
    NoCa,
    /// Certificates that it issued are not believed.
    #[error("certificates that this CA issues would not be valid here: {0}")]
    Useless(String),
}

/// A certificate that can be the root, alone or with its key.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its PEM is written anew: what stood around it is gone.
    pub cert: RootCert,
    /// None: somebody else issues with it.
    pub key: Option<PrivateKey>,
}

impl Candidate {
    /// Looks at a certificate in PEM, and at a key in PEM if one goes with it.
    pub fn judge(cert: &str, key: Option<&str>, now: SystemTime) -> Result<Self, Unfit> {
        let ders = decode(cert).map_err(Unfit::Unreadable)?;
        let parsed: Result<Vec<_>, _> = ders.iter().map(|der| parse(der)).collect();
        let parsed = parsed.map_err(Unfit::Unreadable)?;
        for certificate in &parsed {
            signature(certificate)?;
            in_time(certificate, now)?;
        }
        let key = key.map(|key| matching(&parsed[0], key)).transpose()?;
        let [certificate] = &parsed[..] else {
            return Err(Unfit::Several);
        };
        if system_time(certificate.validity().not_after) < now + LEAST_LEFT {
            return Err(Unfit::TooSoon);
        }
        if !certificate.is_ca() {
            return Err(Unfit::NoCa);
        }
        let cert = RootCert::from_pem(&encode(&ders[0])).map_err(Unfit::Unreadable)?;
        Ok(Self { cert, key })
    }

    /// With its key, as an authority.
    pub fn authority(&self) -> Result<Option<RootCa>, Error> {
        let key = self.key.as_ref();
        key.map(|key| RootCa::from_pem(self.cert.pem(), key.pem()))
            .transpose()
    }
}

/// Whether certificates of `ca` will be believed by whoever trusts its own root, and by whoever trusts `before` as long
/// as it takes that one's place: one is issued and looked at.
pub fn try_out(ca: &RootCa, before: Option<&RootCert>, now: SystemTime) -> Result<(), Unfit> {
    let useless = |error: Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Unfit::Useless(format!("{error}{}", cause.unwrap_or_default()))
    };
    let subject = Subject {
        node_id: "probe",
        role: Role::Worker,
        cluster_id: "probe",
    };
    let request = PrivateKey::generate()
        .and_then(|key| key.request())
        .map_err(useless)?;
    let day = Duration::from_secs(24 * 3600);
    let probe = ca.issue(&request, &subject, day, now).map_err(useless)?;
    for root in [Some(ca.cert()), before].into_iter().flatten() {
        probe.verify(root, now).map_err(useless)?;
    }
    Ok(())
}

/// The PEM text of certificates, written anew: what is compared. What cannot be read stays as it is.
pub fn normal(pem: &str) -> String {
    match decode(pem) {
        Ok(ders) => ders.iter().map(|der| encode(der)).collect(),
        Err(_) => pem.to_owned(),
    }
}

fn signature(certificate: &X509Certificate<'_>) -> Result<(), Unfit> {
    match certificate
        .signature_algorithm
        .algorithm
        .to_id_string()
        .as_str()
    {
        "1.2.840.113549.1.1.11"
        | "1.2.840.113549.1.1.12"
        | "1.2.840.113549.1.1.13"
        | "1.2.840.10045.4.3.2"
        | "1.2.840.10045.4.3.3"
        | "1.2.840.10045.4.3.4" => Ok(()),
        other => Err(Unfit::Signature(usual_name(other).to_owned())),
    }
}

/// What Go calls a signature algorithm.
fn usual_name(id: &str) -> &str {
    match id {
        "1.2.840.113549.1.1.2" => "MD2-RSA",
        "1.2.840.113549.1.1.4" => "MD5-RSA",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "SHA1-RSA",
        "1.2.840.113549.1.1.10" => "SHA256-RSAPSS",
        "1.2.840.10040.4.3" => "DSA-SHA1",
        "2.16.840.1.101.3.4.3.2" => "DSA-SHA256",
        "1.2.840.10045.4.1" => "ECDSA-SHA1",
        "1.3.101.112" => "Ed25519",
        unknown => unknown,
    }
}

fn in_time(certificate: &X509Certificate<'_>, now: SystemTime) -> Result<(), Unfit> {
    let validity = certificate.validity();
    let (begin, end) = (
        system_time(validity.not_before),
        system_time(validity.not_after),
    );
    let when = match (now < begin, now > end) {
        (true, _) => format!("before {}", shown(begin)),
        (false, true) => format!("after {}", shown(end)),
        (false, false) => return Ok(()),
    };
    Err(Unfit::Time {
        now: shown(now),
        when,
    })
}

fn shown(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time).replace_nanosecond(0);
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_default()
}

/// The key, if it is the certificate's and of a kind that is strong enough.
fn matching(certificate: &X509Certificate<'_>, key: &str) -> Result<PrivateKey, Unfit> {
    let public = certificate.public_key();
    // First what it is for: a key that is too weak cannot even be read here.
    match public.parsed() {
        Ok(PublicKey::RSA(rsa)) if rsa.key_size() < 2048 => return Err(Unfit::Rsa),
        Ok(PublicKey::RSA(_)) => {}
        Ok(PublicKey::EC(_)) => curve(certificate)?,
        _ => return Err(Unfit::Algorithm),
    }
    let key = PrivateKey::from_any_pem(key).map_err(Unfit::Key)?;
    match key.public_key_der() == public.raw {
        true => Ok(key),
        false => Err(Unfit::Mismatch),
    }
}

fn curve(certificate: &X509Certificate<'_>) -> Result<(), Unfit> {
    let parameters = certificate.public_key().algorithm.parameters.as_ref();
    let curve = parameters
        .and_then(|it| it.as_oid().ok())
        .map(|oid| oid.to_id_string());
    match curve.as_deref() {
        // P-256, P-384, P-521.
        Some("1.2.840.10045.3.1.7" | "1.3.132.0.34" | "1.3.132.0.35") => Ok(()),
        _ => Err(Unfit::Curve),
    }
}
