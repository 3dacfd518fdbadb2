//! Swarm-scoped networks.

use super::{Meta, Unknown};
use crate::id::NetworkId;
use serde::{Deserialize, Serialize};

/// One network of the swarm. Only the predefined ones of each node exist so far: `bridge`, `host`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub id: NetworkId,
    #[serde(default)]
    pub meta: Meta,
    pub name: String,
    pub driver: String,
    #[serde(flatten)]
    pub unknown: Unknown,
}
