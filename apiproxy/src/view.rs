//! Objects as Docker's clients see them.
//!
//! Specs are Docker's already; here the rest of each object is laid around them: order of keys, what is left out and what is
//! `null`, as Go prints Docker's own types. Nothing is decided here, and nothing secret passes: what must not be shown has
//! no field.

mod attachment;
mod convergence;
mod endpoint;
mod network;
mod node;
mod payload;
mod service;
mod status;
mod swarm;
mod task;
#[cfg(test)]
mod tests;

use serde::Serialize;
use swarmrs_types::Timestamp;
use swarmrs_types::object::Meta;

pub use convergence::{Convergence, convergence};
pub use network::{Network, containers, network, node_local, of_twin, peers, services};
pub use node::{Node, Rank, node};
pub use payload::{Config, Secret, config, secret};
pub use service::{Service, ServiceOptions, service};
pub use status::{Seen, health, status};
pub use swarm::{ClusterInfo, Swarm, cluster_info, swarm};
pub use task::{Task, task};

/// What every object begins with.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Head<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    version: Version,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> Head<'a> {
    fn new(id: &'a str, meta: Meta) -> Self {
        Self {
            id,
            version: Version {
                index: meta.version,
            },
            created_at: meta.created_at,
            updated_at: meta.updated_at,
        }
    }
}

#[derive(Debug, Serialize)]
struct Version {
    #[serde(rename = "Index", skip_serializing_if = "is_zero")]
    index: u64,
}

/// Prints as `{}`.
#[derive(Debug, Serialize)]
struct Empty {}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
