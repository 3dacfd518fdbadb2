//! Who may speak: the cluster's root CA, the certificates of its nodes, join tokens, the unlock key,
//! and the sealing of what is written to disk.
//!
//! A node is what its certificate says: its id is the subject's common name, its role the
//! organisational unit, its cluster the organisation. Everything else here exists to hand that
//! certificate out, to check it and to keep it.
//!
//! ```text
//!   RootCa::create ──► RootCert ──► RootDigest ──┐
//!        │                                       ├──► JoinToken  SWMTKN-1-<digest>-<secret>
//!        │                          16 random ───┘        │ a joining node checks the root it fetched
//!        │                                                ▼ against the digest, then sends
//!        │  issue(request, subject)              CertificateRequest ◄── PrivateKey::generate
//!        ▼                                                │
//!   NodeCertificate ◄─────────────────────────────────────┘
//!        │ identity(): node, role, cluster      verify(root): the chain, and who issued it
//!        ▼
//!   Keystore   the node's folder: root, certificate, key, data key
//!      │ unlock(UnlockKey  SWMKEY-1-<base64>, if one was agreed on)
//!      ▼
//!   Keys ──► DataKey ──► Sealer   bytes at rest: the store, the node's private key
//! ```
//!
//! While one root takes another's place, the old one certifies the new one's name and key
//! ([`RootCa::cross_sign`]), and that goes with each certificate the new one issues ([`RootCa::below`]): it is
//! believed by whoever trusts either. What a user brings as a root is judged by [`Candidate::judge`].
//!
//! Formats that Docker's users hold in their hands (tokens, unlock keys, PEM, the issuer's subject
//! in `TLSInfo`) are Docker's, byte for byte. Formats only we read carry a version of ours: one
//! from a newer release is refused by name.
//!
//! This crate draws randomness from the kernel and reads and writes the keystore's files. It reads
//! no clock: whoever issues or verifies says what time it is. Secrets are wiped from memory when
//! they are dropped and never appear in `Debug` output; the copy of a private key that the signing
//! library makes while it signs is out of our reach.

mod error;
mod random;

pub mod ca;
pub mod certificate;
pub mod key;
pub mod keystore;
pub mod seal;
pub mod token;
pub mod unlock;

pub use ca::fit::{Candidate, Unfit};
pub use ca::{RootCa, Subject};
pub use certificate::request::CertificateRequest;
pub use certificate::root::{RootCert, RootDigest};
pub use certificate::{Identity, Issuer, NodeCertificate, Role, verify_chain};
pub use error::Error;
pub use key::PrivateKey;
pub use keystore::{Exposed, Keys, Keystore, Lock, NodeCredentials};
pub use seal::{DataKey, Sealer};
pub use token::JoinToken;
pub use unlock::UnlockKey;
