//! One authority certified by another: the second's own certificate with the first's name and signature on it.
//!
//! It is written from the parts of the original, byte for byte: a path is found by comparing the bytes of names, and
//! a name that is read and written again may come out in other bytes.
//!
//! ```text
//!   TBSCertificate ::= [0] version · serial · algorithm · issuer · validity · subject · key · … · [3] extensions
//!                            ours      ours       ours      └───────── the original's ────────────────────────┘
//! ```

use super::profile;
use crate::certificate::{decode, encode, parse};
use crate::{Error, PrivateKey};
use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SigningKey,
};
use rustls_pki_types::AlgorithmIdentifier;
use rustls_pki_types::alg_id::{ECDSA_SHA256, ECDSA_SHA384, RSA_PKCS1_SHA256};
use std::fmt::Display;
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::x509::AttributeTypeAndValue;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`: the version. `[3] EXPLICIT`: the extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// Version 3.
const V3: [u8; 5] = [VERSION, 3, INTEGER, 1, 2];
/// Object identifier 2.5.29.35, the extension that names the key of the signer: the original's own.
const AUTHORITY_KEY: [u8; 5] = [0x06, 3, 0x55, 0x1d, 0x23];

/// `original`, certified by the owner of `signer` and `key`. All are DER; the answer is PEM.
pub(super) fn sign(original: &[u8], signer: &[u8], key: &PrivateKey) -> Result<String, Error> {
    let pair = key.pair()?;
    let algorithm = tlv(SEQUENCE, &algorithm(&pair)?);
    let mut body = V3.to_vec();
    body.extend(tlv(INTEGER, profile::serial()?.as_ref()));
    body.extend_from_slice(&algorithm);
    body.extend_from_slice(parse(signer)?.subject().as_raw());
    body.extend(kept(original)?);
    let body = tlv(SEQUENCE, &body);
    let signature = pair.sign(&body).map_err(Error::Sign)?;
    let signature = tlv(BIT_STRING, &[&[0], signature.as_slice()].concat());
    let whole = [body, algorithm, signature].concat();
    Ok(encode(&tlv(SEQUENCE, &whole)))
}

/// An authority's name, and its request in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrossRequest {
    /// PEM.
    pub request: String,
    /// Parts of the name that are not there are empty.
    pub common_name: String,
    /// Organisational unit.
    pub unit: String,
    /// Organisation.
    pub organisation: String,
}

pub(super) fn request(cert: &str, key: &PrivateKey) -> Result<CrossRequest, Error> {
    let ders = decode(cert)?;
    let certificate = parse(&ders[0])?;
    let name = certificate.subject();
    let common_name = text(name.iter_common_name().next());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // As our own roots are called: names are compared by their bytes.
    let value = match PrintableString::try_from(common_name.as_str()) {
        Ok(plain) => DnValue::PrintableString(plain),
        Err(_) => DnValue::Utf8String(common_name.clone()),
    };
    params.distinguished_name.push(DnType::CommonName, value);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let request = params
        .serialize_request(&*key.pair()?)
        .and_then(|request| request.pem());
    Ok(CrossRequest {
        request: request.map_err(Error::Sign)?,
        common_name,
        unit: text(name.iter_organizational_unit().next()),
        organisation: text(name.iter_organization().next()),
    })
}

fn text(part: Option<&AttributeTypeAndValue<'_>>) -> String {
    let text = part.and_then(|part| part.as_str().ok());
    text.unwrap_or_default().to_owned()
}

fn algorithm(pair: &KeyPair) -> Result<AlgorithmIdentifier, Error> {
    let known = [
        (&PKCS_ECDSA_P256_SHA256, ECDSA_SHA256),
        (&PKCS_ECDSA_P384_SHA384, ECDSA_SHA384),
        (&PKCS_RSA_SHA256, RSA_PKCS1_SHA256),
    ];
    let found = known
        .into_iter()
        .find(|(kind, _)| *kind == pair.algorithm());
    let (_, written) = found.ok_or(Error::Sign(rcgen::Error::UnsupportedSignatureAlgorithm))?;
    Ok(written)
}

/// What stays of the original: validity, subject, key, extensions.
fn kept(original: &[u8]) -> Result<Vec<u8>, Error> {
    let original = parse(original)?;
    let parts = inside(original.tbs_certificate.as_ref())?;
    let mut parts = parts.into_iter().peekable();
    parts.next_if(|part| part.first() == Some(&VERSION));
    let mut kept = Vec::new();
    // Serial, algorithm and issuer are ours to say.
    for part in parts.skip(3) {
        match part.first() {
            Some(&EXTENSIONS) => {
                let mut ours = inside(content(part)?)?;
                ours.retain(|extension| {
                    !content(extension).is_ok_and(|it| it.starts_with(&AUTHORITY_KEY))
                });
                kept.extend(tlv(EXTENSIONS, &tlv(SEQUENCE, &ours.concat())));
            }
            _ => kept.extend_from_slice(part),
        }
    }
    Ok(kept)
}

/// The elements inside of an element, each as it stands there.
fn inside(element: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut bytes = content(element)?;
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (rest, _) = Any::from_der(bytes).map_err(malformed)?;
        found.push(&bytes[..bytes.len() - rest.len()]);
        bytes = rest;
    }
    Ok(found)
}

/// What is inside of an element.
fn content(element: &[u8]) -> Result<&[u8], Error> {
    let (_, element) = Any::from_der(element).map_err(malformed)?;
    Ok(element.data)
}

fn malformed(error: impl Display) -> Error {
    Error::Certificate(error.to_string())
}

/// An element in DER.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ 0..0x80) => element.push(short),
        _ => {
            let digits = content.len().to_be_bytes();
            let digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
            // At most eight.
            element.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            element.extend(digits);
        }
    }
    element.extend_from_slice(content);
    element
}
