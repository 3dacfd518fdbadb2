//! Why a call has no answer.

use crate::codec::Malformed;
use crate::{Method, Refusal};
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
    /// Whether it is certain that the peer has not begun to do what it was asked.
    pub fn nothing_was_done(&self) -> bool {
        match self {
            CallError::ConnectionRefused(_)
            | CallError::Unreachable { .. }
            | CallError::Tls { .. }
            | CallError::WrongRoot { .. }
            | CallError::TooLong { .. } => true,
            CallError::TimedOut(_)
            | CallError::Lost(_)
            | CallError::Refused(_)
            | CallError::Malformed(_) => false,
        }
    }

    /// What an error of the connection below means while there is no connection yet.
    pub(crate) fn connecting(address: &str, error: &io::Error) -> Self {
        let address = address.to_owned();
        if let Some(reason) = tls_reason(error) {
            return CallError::Tls { address, reason };
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => CallError::ConnectionRefused(address),
            _ => CallError::Unreachable {
                address,
                reason: error.to_string(),
            },
        }
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

/// The TLS library's errors have this kind; behind HTTP/2, of which nothing else has it, only kind and text are left.
fn tls_reason(error: &io::Error) -> Option<String> {
    (error.kind() == io::ErrorKind::InvalidData).then(|| error.to_string())
}
