//! Versions of the Engine API.

use std::fmt;

/// The oldest API we drive: Docker 20.10, the first with what Swarm's container settings need (and Debian 12's engine).
pub const MINIMUM_API: ApiVersion = ApiVersion {
    major: 1,
    minor: 41,
};

/// A version of the Engine API, as in `/v1.41/…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    pub major: u16,
    pub minor: u16,
}

impl ApiVersion {
    /// Reads `1.41`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
