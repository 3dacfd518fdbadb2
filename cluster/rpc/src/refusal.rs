//! An answer that is a no.

use crate::codec::Malformed;
use serde::{Deserialize, Serialize};
use std::fmt;
use swarmrs_types::{Code, Fault};

/// Why a peer does not do what it was asked. The fault crosses the wire whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub reason: Reason,
    pub fault: Fault,
}

/// Who refused: the service that was asked, or what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The service: the fault is its own.
    Service,
    /// The method needs a certificate.
    NoCertificate,
    /// The certificate has run out since the connection was made.
    Expired,
    /// The certificate is of a root that has been replaced since the connection was made.
    Untrusted,
    /// The certificate is of another cluster.
    Cluster,
    /// The method is not for this role.
    Role,
    /// The node was removed from the cluster.
    NotMember,
    /// There is no such method here.
    UnknownMethod,
    /// The body is not what the method takes, or more than it takes.
    Malformed,
    /// The body did not arrive in time.
    Slow,
    /// What is asked for cannot be had now, and for no fault of the one that asks: it is to ask again.
    Later,
    /// A reason of a newer release.
    #[serde(other)]
    Other,
}

impl Refusal {
    /// With a fault of the manager.
    pub fn new(reason: Reason, code: Code, text: impl Into<String>) -> Self {
        Refusal {
            reason,
            fault: Fault::manager(code, text),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal {
            reason: Reason::Service,
            fault,
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        let text = malformed.to_string();
        Refusal::new(Reason::Malformed, Code::InvalidArgument, text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_a_newer_release_is_still_a_refusal() {
        let json = r#"{"reason":"phase_of_the_moon","fault":{"code":"Unavailable","origin":"Manager","text":"later"},"x":1}"#;
        let refusal: Refusal = serde_json::from_str(json).unwrap();
        assert_eq!(refusal.reason, Reason::Other);
        assert_eq!(refusal.fault, Fault::manager(Code::Unavailable, "later"));
    }
}
