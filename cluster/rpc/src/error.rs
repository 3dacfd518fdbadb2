//! Why a call has no answer.

use crate::codec::Malformed;
use crate::{Method, Refusal};
use std::fmt;
use std::io;
use std::time::Duration;
use swarmrs_security::RootDigest;

/// What became of a call instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The machine says that nobody listens: the process is gone. Known at once; nothing was asked.
    #[error("connection refused by {0}")]
    ConnectionRefused(String),
    /// No connection came about; nothing was asked.
    #[error("cannot reach {address}: {reason}")]
    Unreachable { address: String, reason: String },
    /// One end did not accept the other's certificate, or does not speak TLS; nothing was asked.
    #[error("no trust between us and {address}: {reason}")]
    Tls { address: String, reason: String },
    /// The root that the peer shows is not the one of the join token. Docker's text.
    #[error("remote CA does not match fingerprint. Expected: {expected}")]
    WrongRoot {
        expected: RootDigest,
        found: RootDigest,
    },
    /// No answer yet; whether it was done is not known.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection or the stream ended before the answer; whether it was done is not known.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The peer says no.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer's answer makes no sense.
    #[error("malformed answer: {0}")]
    Malformed(#[from] Malformed),
    /// What we were about to send is more than the method takes; nothing was asked.
    #[error("{length} bytes are more than {} takes", method.name())]
    TooLong { method: Method, length: usize },
}

impl CallError {
    /// What an error of the connection below means while there is no connection yet.
    pub(crate) fn connecting(address: &str, error: &io::Error) -> Self {
        match error.kind() {
            // The TLS library's errors have this kind; behind HTTP/2, of which nothing else has it, only kind and text
            // are left.
            io::ErrorKind::InvalidData => CallError::distrust(address, error),
            io::ErrorKind::ConnectionRefused => CallError::ConnectionRefused(address.to_owned()),
            _ => CallError::unreachable(address, error),
        }
    }

    pub(crate) fn unreachable(address: &str, reason: impl fmt::Display) -> Self {
        CallError::Unreachable {
            address: address.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn distrust(address: &str, reason: impl fmt::Display) -> Self {
        CallError::Tls {
            address: address.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// No connection came about in time.
    pub(crate) fn not_within(address: &str, within: Duration) -> Self {
        CallError::unreachable(address, format_args!("no connection within {within:?}"))
    }

    /// What an error of HTTP/2 means once there is a connection.
    pub(crate) fn lost(error: &h2::Error) -> Self {
        CallError::Lost(match error.get_io() {
            Some(io) => io.to_string(),
            None => error.to_string(),
        })
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        CallError::Refused(refusal)
    }
}
