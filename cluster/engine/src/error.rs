//! What can go wrong between us and the engine.
//!
//! The cases are those that a caller treats differently: no engine there, an engine that says no, one that is silent,
//! one that broke off in the middle. What dockerd says is kept as it said it: the agent puts it into a task's status.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::client::legacy;

use crate::version::{ApiVersion, MINIMUM_API};

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a call to the engine has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens on the engine's socket; the request was not sent.
    #[error("cannot reach the engine at unix://{}: {source}", socket.display())]
    Absent { socket: PathBuf, source: io::Error },
    /// The engine refused: its HTTP status and its own text.
    #[error("{message}")]
    Api { status: u16, message: String },
    /// The engine took the request and told of its failure later, inside the stream of its answer.
    #[error("{message}")]
    Failed { message: String },
    /// The engine is there and silent. Whether the call had an effect is unknown.
    #[error("the engine did not answer {call} within {limit:?}")]
    Timeout { call: String, limit: Duration },
    /// The connection broke, or a stream that has no end came to one. Whether the call had an effect is unknown.
    #[error("the engine's answer to {call} broke off: {source}")]
    Stream { call: String, source: BoxError },
    /// The engine said what this client cannot read, or we asked what cannot be written as a request.
    #[error("cannot speak with the engine ({call}): {reason}")]
    Protocol { call: String, reason: String },
    /// The engine is of a release that swarmrs does not drive.
    #[error("the engine at {} speaks API {api}, but {MINIMUM_API} or newer (Docker 20.10) is needed", socket.display())]
    TooOld { socket: PathBuf, api: ApiVersion },
}

impl Error {
    /// The engine knows no such object.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The engine's answer to a taken name, a container that runs, a network in use.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// The engine is not there: nobody listens, or it went away in the middle of an answer.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::Stream { .. })
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What the engine itself said, or our own words where it said nothing.
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// The engine was replaced by one that does not speak the version negotiated with the former. dockerd tells this by
    /// its text only: the status is a plain 400.
    pub(crate) fn refuses_version(&self) -> bool {
        matches!(self, Self::Api { status: 400, message } if message.starts_with("client version "))
    }

    pub(crate) fn broken(call: &str, source: impl Into<BoxError>) -> Self {
        Self::Stream {
            call: call.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn protocol(call: &str, reason: impl ToString) -> Self {
        Self::Protocol {
            call: call.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// The pool's error: only a failed dial is known to have sent nothing.
    pub(crate) fn from_pool(error: legacy::Error, call: &str, socket: &Path) -> Self {
        if !error.is_connect() {
            return Self::broken(call, error);
        }
        Self::Absent {
            socket: socket.to_owned(),
            source: dial_error(&error),
        }
    }

    pub(crate) fn from_bollard(error: bollard::errors::Error, call: &str, socket: &Path) -> Self {
        use bollard::errors::Error as Bollard;
        match error {
            Bollard::DockerResponseServerError {
                status_code,
                message,
            } => Self::Api {
                status: status_code,
                message,
            },
            Bollard::DockerStreamError { error } => Self::Failed { message: error },
            Bollard::HyperLegacyError { err } => Self::from_pool(err, call, socket),
            Bollard::HyperResponseError { err } => Self::broken(call, err),
            Bollard::IOError { err } => Self::broken(call, err),
            other => Self::protocol(call, other),
        }
    }
}

/// The system's error at the bottom of a failed dial, as a new value: sources can only be borrowed.
fn dial_error(error: &legacy::Error) -> io::Error {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return match io.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(io.kind(), io.to_string()),
            };
        }
        source = cause.source();
    }
    io::Error::other(error.to_string())
}
