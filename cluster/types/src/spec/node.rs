//! What is wanted of a node, and what a node says it is.

use super::{Labels, Platform, Resources, words};
use serde::{Deserialize, Serialize};

words! {
    /// What a node may do in the swarm.
    Role { Worker = "worker", Manager = "manager" }
}

words! {
    /// Whether a node takes tasks: `pause` takes no new ones, `drain` keeps none.
    Availability { Active = "active", Pause = "pause", Drain = "drain" }
}

impl Default for Role {
    fn default() -> Self {
        Role::Other(String::new())
    }
}

impl Default for Availability {
    fn default() -> Self {
        Availability::Other(String::new())
    }
}

/// `NodeSpec` of the Engine API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeSpec {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub labels: Labels,
    /// The desired role.
    pub role: Role,
    pub availability: Availability,
}

/// What a node reports of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeDescription {
    #[serde(rename = "Hostname", skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    #[serde(rename = "Platform")]
    pub platform: Platform,
    #[serde(rename = "Resources")]
    pub resources: Resources,
    #[serde(rename = "Engine")]
    pub engine: EngineDescription,
    #[serde(rename = "TLSInfo")]
    pub tls_info: TlsInfo,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EngineDescription {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub engine_version: String,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PluginDescription>,
}

/// Sorted by type, then name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PluginDescription {
    #[serde(rename = "Type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Whom a node trusts and who issued its certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TlsInfo {
    /// The root certificate, PEM.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trust_root: String,
    /// Base64 of the issuer's subject, DER.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cert_issuer_subject: String,
    /// Base64 of the issuer's public key info, DER.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cert_issuer_public_key: String,
}
