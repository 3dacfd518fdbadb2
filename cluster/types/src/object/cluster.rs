//! The swarm itself.

use super::{Meta, Unknown};
use crate::SecretText;
use crate::id::ClusterId;
use crate::spec::SwarmSpec;
use serde::{Deserialize, Serialize};

/// The one cluster object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    pub id: ClusterId,
    #[serde(default)]
    pub meta: Meta,
    pub spec: SwarmSpec,
    pub root_ca: RootCa,
    pub join_tokens: JoinTokens,
    /// What a restarted manager must be told (`SWMKEY-1-…`); there if and only if the spec locks
    /// managers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock_key: Option<SecretText>,
    /// As the user gave them; empty means the default.
    pub default_addr_pool: Vec<String>,
    /// 0 means the default.
    pub subnet_size: u32,
    /// 0 means the default.
    pub data_path_port: u32,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The certificate authority of the swarm. The key is here and nowhere else; the log is sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootCa {
    /// PEM.
    pub certificate: String,
    /// PEM, PKCS#8.
    pub key: SecretText,
}

impl std::fmt::Debug for RootCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootCa(..)")
    }
}

/// What admits a node, by role.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTokens {
    pub worker: String,
    pub manager: String,
}

impl std::fmt::Debug for JoinTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinTokens(..)")
    }
}
