//! Objects: what the cluster agreed on around a spec.
//!
//! These are ours, not Docker's: `apiproxy/view` lays Docker's shape around them. In the log, in
//! snapshots and between nodes they are JSON; fields a release does not know are kept in
//! [`Unknown`] and written back, so that a mixed cluster loses nothing.

mod attachment;
mod cluster;
mod network;
mod node;
mod payload;
mod service;
mod task;

pub use attachment::*;
pub use cluster::*;
pub use network::*;
pub use node::*;
pub use payload::*;
pub use service::*;
pub use task::*;

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Fields of a newer release.
pub type Unknown = serde_json::Map<String, serde_json::Value>;

/// What every object carries. Stamped when the entry that wrote it is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The Raft index of the entry that wrote this version: `Version.Index` of the API.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
