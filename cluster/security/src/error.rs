//! What can go wrong in this crate.
//!
//! No variant carries a secret, so each may be logged as it is.

use std::io;
use std::path::PathBuf;

/// An error of this crate. The sentences a user reads are made from it further up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel gave no random bytes.
    #[error("cannot draw random bytes")]
    Random(#[source] getrandom::Error),

    /// Not of the form `SWMTKN-1-<digest>-<secret>`.
    #[error("invalid join token")]
    InvalidToken,

    /// A well-formed token of a cluster that demands FIPS mode, which we do not offer.
    #[error("join token belongs to a cluster in FIPS mode")]
    FipsToken,

    /// Not of the form `SWMKEY-1-<base64>`.
    #[error("invalid unlock key string")]
    InvalidUnlockKey,

    /// A well-formed string that holds a key of another length, which therefore opens nothing.
    #[error("unlock key has {found} bytes instead of {expected}")]
    UnlockKeyLength {
        /// Length that was given.
        found: usize,
        /// Length that a key has.
        expected: usize,
    },

    /// The keys are wrapped by the unlock key, and none was given.
    #[error("the keys are locked and need the unlock key")]
    Locked,

    /// Another unlock key than the one that was given wraps the keys.
    #[error("the unlock key does not open the keys")]
    WrongUnlockKey,

    /// A certificate that cannot be read or lacks what a certificate of ours says.
    #[error("cannot read certificate: {0}")]
    Certificate(String),

    /// A certificate signing request that cannot be read, does not prove possession of its key, or
    /// asks for a kind of key that we do not certify.
    #[error("cannot accept certificate request: {0}")]
    Request(String),

    /// A private key that cannot be made or read.
    #[error("cannot read private key")]
    Key(#[source] rcgen::Error),

    /// A private key that belongs to another certificate.
    #[error("private key does not belong to the certificate")]
    KeyMismatch,

    /// A name that may not stand in a certificate.
    #[error("{field} {found:?} cannot stand in a certificate")]
    Subject {
        /// Which name: `node id` or `cluster id`.
        field: &'static str,
        /// What was given.
        found: String,
    },

    /// The signing library refused.
    #[error("cannot sign")]
    Sign(#[source] rcgen::Error),

    /// The root is past its end, so nothing can be issued that anyone would trust.
    #[error("root certificate has expired")]
    RootExpired,

    /// The certificate does not lead to a trusted root, or not at this time.
    #[error("certificate is not trusted")]
    Untrusted(#[source] webpki::Error),

    /// Bytes that were not sealed with this key, or were changed since.
    #[error("cannot open sealed bytes: wrong key or damaged")]
    Unseal,

    /// Bytes that a newer release has sealed or written.
    #[error("{what} has format {found}, this release reads up to {known}")]
    NewerFormat {
        /// What was read, for a file with its path.
        what: String,
        /// Format found.
        found: u32,
        /// Newest format that this release reads.
        known: u32,
    },

    /// A file that we did not write, or that lost its content.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A file or folder whose content says something that cannot be.
    #[error("{path} is damaged: {source}")]
    Content {
        /// The file, or the folder if more than one can be the cause.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<Error>,
    },

    /// The file system refused.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
