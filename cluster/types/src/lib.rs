//! What exists in a swarm: ids, specs, objects, task states, faults, and what a node is told.
//!
//! ```text
//!   client JSON ──json──▶ spec ──core──▶ object ──apiproxy/view──▶ Docker JSON
//!                                          │
//!                                          └──core::dispatcher──▶ assignment ──▶ a node
//!                                                     report ◀── task status ──┘
//! ```
//!
//! *Specs* are what users write. They have one family, in Docker's JSON: Go's field order, Go's
//! `omitempty`, keys matched without case. *Objects* are ours: what the cluster agreed on around a
//! spec. Nothing here decides, waits, reads a clock or draws an id.

pub mod assignment;
pub mod default;
pub mod disconnect;
pub mod endpoint;
pub mod fault;
pub mod feature;
pub mod filter;
pub mod id;
pub mod json;
pub mod measure;
pub mod object;
pub mod reference;
pub mod report;
pub mod secret;
pub mod spec;
pub mod sum;
pub mod task_state;
pub mod time;

pub use fault::{Code, Fault, Origin};
pub use id::{
    AttachmentId, ClusterId, ConfigId, Kind, NetworkId, NodeId, RawId, SecretId, ServiceId, TaskId,
};
pub use secret::SecretText;
pub use task_state::TaskState;
pub use time::{ClusterTime, Nanos, Timestamp};
