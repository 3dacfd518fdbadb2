//! The forms in which a user's private key comes: PKCS#8, and the older ones of OpenSSL, which are put into it.
//!
//! ```text
//!   EC PRIVATE KEY    SEC 1     names its curve, or the certificate does
//!   RSA PRIVATE KEY   PKCS#1
//! ```

use crate::Error;
use crate::ca::tlv;
use rustls_pki_types::alg_id::{ECDSA_P256, ECDSA_P384, RSA_ENCRYPTION};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{AlgorithmIdentifier, PrivateKeyDer};
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384};
use zeroize::Zeroizing;

/// The key of a PEM text as PKCS#8. What stands around it (`EC PARAMETERS`) is passed over.
pub(super) fn pkcs8(pem: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unreadable = || Error::Key(rcgen::Error::CouldNotParseKeyPair);
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable())?;
    match &*Zeroizing::new(key) {
        PrivateKeyDer::Pkcs8(key) => Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec())),
        PrivateKeyDer::Pkcs1(key) => Ok(wrapped(RSA_ENCRYPTION, key.secret_pkcs1_der())),
        PrivateKeyDer::Sec1(key) => {
            let der = key.secret_sec1_der();
            Ok(wrapped(curve(der).ok_or_else(unreadable)?, der))
        }
        _ => Err(unreadable()),
    }
}

/// The algorithm of the curve that the key names, as far as we sign on it.
fn curve(der: &[u8]) -> Option<AlgorithmIdentifier> {
    let names = |curve: &[u8]| der.windows(curve.len()).any(|part| part == curve);
    let known = [(OID_EC_P256, ECDSA_P256), (OID_NIST_EC_P384, ECDSA_P384)];
    let found = known.into_iter().find(|(curve, _)| names(curve.as_bytes()));
    found.map(|(_, algorithm)| algorithm)
}

/// `PrivateKeyInfo ::= version 0 · algorithm · OCTET STRING`.
fn wrapped(algorithm: AlgorithmIdentifier, key: &[u8]) -> Zeroizing<Vec<u8>> {
    const VERSION: [u8; 3] = [0x02, 1, 0];
    let algorithm = tlv(0x30, &algorithm);
    let key = Zeroizing::new(tlv(0x04, key));
    let body = Zeroizing::new([&VERSION, algorithm.as_slice(), &key].concat());
    Zeroizing::new(tlv(0x30, &body))
}
