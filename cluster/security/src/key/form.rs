//! The forms in which a user's private key comes: PKCS#8, and the older ones of OpenSSL, which are put into it.
//!
//! ```text
//!   EC PRIVATE KEY    SEC 1     names its curve, or the certificate does
//!   RSA PRIVATE KEY   PKCS#1
//! ```

use crate::Error;
use crate::ca::tlv;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

/// Object identifiers, with their tag and length.
const EC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22];
const RSA_KEY: &[u8] = &[
    0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// The key of a PEM text as PKCS#8 in PEM. What stands around it (`EC PARAMETERS`) is passed over.
pub(super) fn pkcs8(pem: &str) -> Result<Zeroizing<String>, Error> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes());
    let unreadable = || Error::Key(rcgen::Error::CouldNotParseKeyPair);
    let der = match key.map_err(|_| unreadable())? {
        PrivateKeyDer::Pkcs8(key) => Zeroizing::new(key.secret_pkcs8_der().to_vec()),
        PrivateKeyDer::Pkcs1(key) => wrapped(RSA_KEY, key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => {
            let der = key.secret_sec1_der();
            wrapped(&[EC_KEY, curve(der).ok_or_else(unreadable)?].concat(), der)
        }
        _ => return Err(unreadable()),
    };
    Ok(armoured(&der))
}

/// The curve that the key names, as far as we sign on it.
fn curve(der: &[u8]) -> Option<&'static [u8]> {
    let names = |curve: &&'static [u8]| der.windows(curve.len()).any(|part| part == *curve);
    [P256, P384].into_iter().find(names)
}

/// `PrivateKeyInfo ::= version 0 · algorithm · OCTET STRING`.
fn wrapped(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    const VERSION: [u8; 3] = [0x02, 1, 0];
    let algorithm = tlv(0x30, algorithm);
    let key = Zeroizing::new(tlv(0x04, key));
    let body = Zeroizing::new([&VERSION, algorithm.as_slice(), &key].concat());
    Zeroizing::new(tlv(0x30, &body))
}

fn armoured(der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(String::with_capacity(text.len() * 2));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
