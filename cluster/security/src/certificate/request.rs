//! A certificate signing request: a public key, and the proof that its sender has the private one.
//!
//! Subject, names and usages that a request may ask for are not even kept.

use crate::Error;
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// A request whose signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    pem: String,
    public_key: SubjectPublicKeyInfo,
}

impl CertificateRequest {
    /// Reads a request in PEM and checks that it is signed by the key it is for.
    ///
    /// Only keys on P-256 are accepted: every node makes one, and a CA that signs whatever it is
    /// sent would let a weak key in.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| Error::Request(error.to_string()))?;
        let request = match X509CertificationRequest::from_der(&der) {
            Ok(([], request)) => request,
            Ok(_) => return Err(Error::Request("trailing bytes".into())),
            Err(error) => return Err(Error::Request(error.to_string())),
        };
        request
            .verify_signature()
            .map_err(|_| Error::Request("not signed by its own key".into()))?;
        let public_key =
            SubjectPublicKeyInfo::from_der(request.certification_request_info.subject_pki.raw)
                .map_err(|error| Error::Request(error.to_string()))?;
        if public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(Error::Request("key is not ECDSA on P-256".into()));
        }
        Ok(Self {
            pem: pem.to_owned(),
            public_key,
        })
    }

    /// The request as PEM, as it was read.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The key to be certified.
    pub(crate) fn public_key(&self) -> &SubjectPublicKeyInfo {
        &self.public_key
    }
}
