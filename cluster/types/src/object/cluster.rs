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
    /// The authority that is to take its place, while nodes change over to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_rotation: Option<RootRotation>,
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
    /// The feature level that all managers have reached: see [`crate::feature`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub level: u32,
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Cluster {
    /// Who issues certificates by now: the authority there is, or the one that is to take its place. Empty in what a
    /// release wrote that knew no other authority than the first.
    pub fn issuer(&self) -> &CertIssuer {
        match &self.root_rotation {
            Some(next) => &next.issuer,
            None => &self.root_ca.issuer,
        }
    }
}

fn is_zero(level: &u32) -> bool {
    *level == 0
}

/// The certificate authority of the swarm. The key is here and nowhere else; the log is sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootCa {
    /// PEM.
    pub certificate: String,
    /// PEM, PKCS#8. Empty: somebody outside of the swarm issues its certificates.
    pub key: SecretText,
    #[serde(default, skip_serializing_if = "CertIssuer::is_empty")]
    pub issuer: CertIssuer,
}

/// An authority on its way to be the swarm's. Until it is, the one there is stands for it: nodes trust both.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRotation {
    /// PEM.
    pub certificate: String,
    /// As of [`RootCa`].
    pub key: SecretText,
    /// Its name and key, certified by the authority there is, in PEM: goes with each certificate that it issues.
    pub cross_signed: String,
    pub issuer: CertIssuer,
}

/// Who issues a certificate, as `TLSInfo` says it: DER in padded base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertIssuer {
    pub subject: String,
    pub public_key: String,
}

impl CertIssuer {
    pub fn is_empty(&self) -> bool {
        self.subject.is_empty() && self.public_key.is_empty()
    }
}

impl std::fmt::Debug for RootRotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootRotation(..)")
    }
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
