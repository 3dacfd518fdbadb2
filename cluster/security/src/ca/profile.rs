//! What stands in our certificates.

use super::{BACKDATE, CA_NAME, ROOT_VALIDITY, Subject};
use crate::{Error, random};
use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, SerialNumber,
};
use std::time::SystemTime;
use time::OffsetDateTime;

/// A self-signed root named [`CA_NAME`].
///
/// Its path length is not limited: during a rotation the old root signs the new one.
pub(super) fn root(now: SystemTime) -> Result<CertificateParams, Error> {
    let begin = now - BACKDATE;
    let mut params = valid(begin, begin + ROOT_VALIDITY)?;
    params.distinguished_name = name(&[(DnType::CommonName, CA_NAME)])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A node's certificate, for both ends of a connection.
pub(super) fn node(
    subject: &Subject<'_>,
    now: SystemTime,
    end: SystemTime,
) -> Result<CertificateParams, Error> {
    check("node id", subject.node_id)?;
    check("cluster id", subject.cluster_id)?;
    let mut params = valid(now - BACKDATE, end)?;
    // In the order in which Go writes a name.
    params.distinguished_name = name(&[
        (DnType::OrganizationName, subject.cluster_id),
        (DnType::OrganizationalUnitName, subject.role.as_str()),
        (DnType::CommonName, subject.node_id),
    ])?;
    params.subject_alt_names = server_names(subject)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}

fn server_names(subject: &Subject<'_>) -> Result<Vec<SanType>, Error> {
    subject
        .server_names()
        .into_iter()
        .map(|name| Ok(SanType::DnsName(name.try_into().map_err(Error::Sign)?)))
        .collect()
}

/// Only what an id can be made of: a name from outside must not smuggle in a wildcard, a dot or a
/// second name.
fn check(field: &'static str, id: &str) -> Result<(), Error> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Error::Subject {
        field,
        found: id.to_owned(),
    })
}

/// A name of printable strings. The library's default, UTF-8 strings, would be as valid, but the
/// API shows the root's name as bytes, and Docker's are these.
fn name(parts: &[(DnType, &str)]) -> Result<DistinguishedName, Error> {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        let value = PrintableString::try_from(*value).map_err(Error::Sign)?;
        name.push(kind.clone(), DnValue::PrintableString(value));
    }
    Ok(name)
}

fn valid(begin: SystemTime, end: SystemTime) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from(begin);
    params.not_after = OffsetDateTime::from(end);
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// A random serial number of 20 bytes, the most that is allowed. The top bits are fixed so that it
/// is positive and never shorter. The library's default, a hash of the key, would give a renewed
/// certificate the number of the one it replaces.
pub(super) fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = random::bytes::<20>()?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(bytes.as_slice()))
}
