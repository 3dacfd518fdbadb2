//! The way from swarmrsd to what carries its packets.

pub mod absent;
pub mod client;
pub mod launch;
pub mod lifeline;

use std::time::Duration;

use async_trait::async_trait;
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::id::{NetworkId, RawId};

use crate::port::BoundPort;

pub use absent::Absent;
pub use client::Handle;
pub use launch::Launch;
pub use lifeline::Held;

/// Why something was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its own words.
    #[error("{0}")]
    Refused(String),
    #[error("the process that holds this node's networks does not answer: {0}")]
    Away(#[source] std::io::Error),
    #[error("the process that holds this node's networks speaks version {0} of our language")]
    Version(u32),
    #[error("this node is in no swarm")]
    Alone,
    #[error("the process that holds this node's networks does not start: {0}")]
    Launch(String),
}

/// What carries a node's packets, as its agent and its API see it.
#[async_trait]
pub trait Plane: Send + Sync + 'static {
    /// Takes facts over; returns when they are in force on this node. A complete message says with its silence what is no
    /// more.
    async fn tell(&self, diff: FactDiff, complete: bool) -> Result<(), Error>;

    /// Returns when no flow to the endpoint lives any more, or after `limit`; then live ones are reset.
    async fn drain(&self, network: NetworkId, owner: RawId, limit: Duration) -> Result<(), Error>;

    /// Ports that were published for containers on our networks: the engine does not know them.
    async fn ports(&self) -> Result<Vec<BoundPort>, Error>;

    /// What is wrong or worth a warning: a taken VNI, a taken port, a kernel without what is needed.
    async fn warnings(&self) -> Result<Vec<String>, Error>;

    /// Leaving the swarm: rules, links, namespaces, state and the holder go.
    async fn clear(&self) -> Result<(), Error>;
}
