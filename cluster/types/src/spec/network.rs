//! Networks as users write them, and how tasks attach to them.

use super::{Labels, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The body of `POST /networks/create` of the Engine API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSpec {
    pub name: String,
    /// Empty: `overlay` for a network of the swarm. Filled in once stored.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// `swarm`, `local` or `global`; empty: the driver's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// None: yes.
    #[serde(rename = "EnableIPv4", skip_serializing_if = "Option::is_none")]
    pub enable_ipv4: Option<bool>,
    /// None: no.
    #[serde(rename = "EnableIPv6", skip_serializing_if = "Option::is_none")]
    pub enable_ipv6: Option<bool>,
    #[serde(rename = "IPAM", skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
    /// No way out of it.
    #[serde(skip_serializing_if = "is_default")]
    pub internal: bool,
    /// Containers of users may be on it.
    #[serde(skip_serializing_if = "is_default")]
    pub attachable: bool,
    /// It carries published ports.
    #[serde(skip_serializing_if = "is_default")]
    pub ingress: bool,
    /// It is no network, only settings for others of this node.
    #[serde(skip_serializing_if = "is_default")]
    pub config_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_from: Option<ConfigFrom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Old clients send it; nobody heeds it any more.
    #[serde(skip_serializing)]
    pub check_duplicate: bool,
}

/// Where a network's addresses come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipam {
    /// Empty: `default`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<IpamConfig>,
}

/// One subnet as asked for: CIDR, CIDR, address, addresses by host name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpamConfig {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subnet: String,
    /// Addresses are given from this part of the subnet.
    #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty")]
    pub ip_range: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub auxiliary_addresses: BTreeMap<String, String>,
}

/// Names the config-only network that settings are taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigFrom {
    pub network: String,
}

/// One network a task is attached to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkAttachmentConfig {
    /// Id or name as the user wrote it; an id once the service is stored.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
}
