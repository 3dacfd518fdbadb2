//! A refusal the user reads.
//!
//! The text is written where the decision is made, letter for letter as Docker says it where
//! clients match on it. [`Origin`] tells whether Docker's manager (swarmkit) or its daemon would
//! have said it: manager faults reach the client as `rpc error: code = X desc = Y`, and only the
//! API's error mapping puts that around them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The class of a fault, named as gRPC names its codes (the manager's errors carry them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// HTTP 400.
    InvalidArgument,
    /// HTTP 404.
    NotFound,
    /// HTTP 409.
    AlreadyExists,
    /// HTTP 403.
    PermissionDenied,
    /// HTTP 400: the request is well formed, the state does not allow it.
    FailedPrecondition,
    /// HTTP 501.
    Unimplemented,
    /// HTTP 503.
    Unavailable,
    /// HTTP 401.
    Unauthenticated,
    /// HTTP 500: a deadline passed.
    DeadlineExceeded,
    /// HTTP 500: the manager's untyped errors, among them `update out of sequence`.
    Unknown,
    /// HTTP 500: ours.
    Internal,
}

/// Who would have said it in Docker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The daemon's HTTP layer or cluster adapter: the text stands alone.
    Daemon,
    /// The manager, over its RPC: the text is wrapped in `rpc error: …`.
    Manager,
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub code: Code,
    pub origin: Origin,
    pub text: String,
}

impl Fault {
    /// A fault of the daemon's own.
    pub fn daemon(code: Code, text: impl Into<String>) -> Self {
        Fault {
            code,
            origin: Origin::Daemon,
            text: text.into(),
        }
    }

    /// A fault of the manager.
    pub fn manager(code: Code, text: impl Into<String>) -> Self {
        Fault {
            code,
            origin: Origin::Manager,
            text: text.into(),
        }
    }

    /// 400 by the daemon.
    pub fn invalid(text: impl Into<String>) -> Self {
        Fault::daemon(Code::InvalidArgument, text)
    }

    /// 404 by the daemon.
    pub fn not_found(text: impl Into<String>) -> Self {
        Fault::daemon(Code::NotFound, text)
    }

    /// 404 by the daemon: no object of the kind (`network`, `service`, …) has that id or name. Clients match on the words.
    pub fn no_such(kind: impl fmt::Display, term: &str) -> Self {
        Fault::not_found(format!("{kind} {term} not found"))
    }

    /// 501 by the daemon: a part of the contract this release does not have.
    pub fn not_built(what: impl fmt::Display) -> Self {
        Fault::daemon(
            Code::Unimplemented,
            format!("{what} is not available in this release of swarmrs"),
        )
    }

    /// 503 by the daemon.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Fault::daemon(Code::Unavailable, text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}
