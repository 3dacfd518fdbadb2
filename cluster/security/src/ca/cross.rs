//! One authority certified by another: the second's own certificate with the first's name and signature on it.
//!
//! It is written from the parts of the original, byte for byte: a path is found by comparing the bytes of names, and
//! a name that is read and written again may come out in other bytes.
//!
//! ```text
//!   TBSCertificate ::= [0] version · serial · algorithm · issuer · validity · subject · key · … · [3] extensions
//!                            ours      ours       ours      └───────── the original's ────────────────────────┘
//! ```

use crate::certificate::{decode, encode, parse};
use crate::{Error, PrivateKey, random};
use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SigningKey,
};
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

/// The algorithms of signatures, as certificates name them.
const ECDSA_SHA256: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
const ECDSA_SHA384: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03,
];
const RSA_SHA256: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00,
];

/// `original`, certified by the owner of `signer` and `key`. All are DER; the answer is PEM.
pub(super) fn sign(original: &[u8], signer: &[u8], key: &PrivateKey) -> Result<String, Error> {
    let pair = key.pair()?;
    let algorithm = algorithm(&pair)?;
    let serial = random::bytes::<19>()?;
    let mut body = V3.to_vec();
    // A leading 1 makes it positive and never shorter.
    body.extend(tlv(INTEGER, &[&[1], serial.as_slice()].concat()));
    body.extend_from_slice(algorithm);
    body.extend_from_slice(parse(signer)?.subject().as_raw());
    body.extend(kept(original)?);
    let body = tlv(SEQUENCE, &body);
    let signature = pair.sign(&body).map_err(Error::Sign)?;
    let signature = tlv(BIT_STRING, &[&[0], signature.as_slice()].concat());
    let whole = [body, algorithm.to_vec(), signature].concat();
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
    let first = |mut parts: Box<dyn Iterator<Item = &AttributeTypeAndValue<'_>> + '_>| {
        parts
            .next()
            .and_then(|part| part.as_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let (common_name, unit, organisation) = (
        first(Box::new(name.iter_common_name())),
        first(Box::new(name.iter_organizational_unit())),
        first(Box::new(name.iter_organization())),
    );
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
        unit,
        organisation,
    })
}

fn algorithm(pair: &KeyPair) -> Result<&'static [u8], Error> {
    let known = [
        (&PKCS_ECDSA_P256_SHA256, ECDSA_SHA256),
        (&PKCS_ECDSA_P384_SHA384, ECDSA_SHA384),
        (&PKCS_RSA_SHA256, RSA_SHA256),
    ];
    let found = known
        .into_iter()
        .find(|(kind, _)| *kind == pair.algorithm());
    let (_, written) = found.ok_or(Error::Sign(rcgen::Error::UnsupportedSignatureAlgorithm))?;
    Ok(written)
}

/// What stays of the original: validity, subject, key, extensions.
fn kept(original: &[u8]) -> Result<Vec<u8>, Error> {
    let mut parts = children(content(content_of_first(original)?)?)?
        .into_iter()
        .peekable();
    parts.next_if(|part| part.first() == Some(&VERSION));
    let mut kept = Vec::new();
    // Serial, algorithm and issuer are ours to say.
    for part in parts.skip(3) {
        match part.first() {
            Some(&EXTENSIONS) => {
                let list = content(content(part)?)?;
                let mut ours = children(list)?;
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

/// The first element inside of an element, as it stands there.
fn content_of_first(element: &[u8]) -> Result<&[u8], Error> {
    children(content(element)?)?
        .first()
        .copied()
        .ok_or_else(malformed)
}

/// What is inside of an element.
fn content(element: &[u8]) -> Result<&[u8], Error> {
    let (head, length) = measure(element)?;
    Ok(&element[head..head + length])
}

/// The elements that stand side by side.
fn children(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (head, length) = measure(bytes)?;
        let (one, rest) = bytes.split_at(head + length);
        found.push(one);
        bytes = rest;
    }
    Ok(found)
}

/// Lengths of an element's head and of its content, both within the bytes.
fn measure(bytes: &[u8]) -> Result<(usize, usize), Error> {
    let first = *bytes.get(1).ok_or_else(malformed)?;
    let (head, length) = match first {
        short @ 0..0x80 => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            let digits = bytes.get(2..2 + count).filter(|_| (1..=4).contains(&count));
            let digits = digits.ok_or_else(malformed)?;
            let length = digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (2 + count, length)
        }
    };
    match bytes.len() >= head + length {
        true => Ok((head, length)),
        false => Err(malformed()),
    }
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

fn malformed() -> Error {
    Error::Certificate("not in DER".into())
}
