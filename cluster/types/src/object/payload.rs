//! Secrets and configs.

use super::{Meta, Unknown};
use crate::id::{ConfigId, SecretId};
use crate::spec::{ConfigSpec, SecretSpec};
use serde::{Deserialize, Serialize};

/// One secret. Only its labels ever change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    pub id: SecretId,
    #[serde(default)]
    pub meta: Meta,
    pub spec: SecretSpec,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// One config. Only its labels ever change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub id: ConfigId,
    #[serde(default)]
    pub meta: Meta,
    pub spec: ConfigSpec,
    #[serde(flatten)]
    pub unknown: Unknown,
}
