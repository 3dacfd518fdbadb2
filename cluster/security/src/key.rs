//! A private key, of a node or of a root CA.
//!
//! Kept as PKCS#8 PEM, the form in which it is stored, and parsed at each use: keys are used a few
//! times a quarter, and a text is wiped reliably while a parsed key is not.

mod form;

use crate::Error;
use crate::certificate::request::CertificateRequest;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData};
use std::fmt;
use zeroize::Zeroizing;

/// A private key with its public half.
#[derive(Clone)]
pub struct PrivateKey {
    pem: Zeroizing<String>,
    public_key: Vec<u8>,
}

impl PrivateKey {
    /// Makes a new ECDSA key on P-256, the only kind that swarm makes itself.
    pub fn generate() -> Result<Self, Error> {
        let pair = KeyPair::generate().map_err(Error::Key)?;
        Ok(Self::of(&Zeroizing::new(pair)))
    }

    /// Reads a key from PKCS#8 PEM (`PRIVATE KEY`); any kind that the TLS library signs with.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let pair = parse(pem)?;
        Ok(Self {
            pem: Zeroizing::new(pem.to_owned()),
            public_key: pair.subject_public_key_info(),
        })
    }

    /// Reads a key that a user brings, in whichever form OpenSSL wrote it: PKCS#8, PKCS#1 (RSA) or SEC 1.
    pub fn from_any_pem(pem: &str) -> Result<Self, Error> {
        let pair = KeyPair::try_from(form::pkcs8(pem)?.as_slice()).map_err(Error::Key)?;
        Ok(Self::of(&Zeroizing::new(pair)))
    }

    fn of(pair: &KeyPair) -> Self {
        Self {
            pem: Zeroizing::new(pair.serialize_pem()),
            public_key: pair.subject_public_key_info(),
        }
    }

    /// The key as PKCS#8 PEM. A secret.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The key as PKCS#8 DER, as TLS wants it. A secret.
    pub fn pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(Zeroizing::new(self.pair()?.serialize_der()))
    }

    /// The public half as DER `SubjectPublicKeyInfo`.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key
    }

    /// Makes a certificate signing request for this key.
    ///
    /// It asks for nothing: whoever signs decides on subject, names and usages.
    pub fn request(&self) -> Result<CertificateRequest, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params
            .serialize_request(&*self.pair()?)
            .and_then(|request| request.pem())
            .map_err(Error::Sign)?;
        CertificateRequest::from_pem(&request)
    }

    /// The parsed key, to sign with.
    pub(crate) fn pair(&self) -> Result<Zeroizing<KeyPair>, Error> {
        parse(&self.pem)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(secret)")
    }
}

fn parse(pem: &str) -> Result<Zeroizing<KeyPair>, Error> {
    KeyPair::from_pem(pem)
        .map(Zeroizing::new)
        .map_err(Error::Key)
}
