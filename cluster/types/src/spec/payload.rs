//! Secrets and configs: named bytes that tasks are given as files.

use super::{Driver, Labels};
use serde::{Deserialize, Serialize};

mod data;

pub use data::Data;

/// `SecretSpec` of the Engine API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecretSpec {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub labels: Labels,
    #[serde(skip_serializing_if = "Data::is_empty")]
    pub data: Data,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<Driver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templating: Option<Driver>,
}

/// `ConfigSpec` of the Engine API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigSpec {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub labels: Labels,
    #[serde(skip_serializing_if = "Data::is_empty")]
    pub data: Data,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templating: Option<Driver>,
}
