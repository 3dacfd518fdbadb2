//! Whoever carries packets for the holder: the plane, or a fake in tests.

use std::net::IpAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::id::{NetworkId, NodeId, RawId};

use crate::plane::Joined;
use crate::port::{BoundPort, HostPort};

/// What a node's part of the swarm's networks stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub node: NodeId,
    /// Where its VXLAN frames come from.
    pub data_path: IpAddr,
    /// The UDP port that they go to.
    pub data_path_port: u16,
}

/// Errors are sentences: they end in an engine's message or in a log.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Takes facts over; in force on return.
    async fn tell(&mut self, diff: &FactDiff, complete: bool) -> Result<(), String>;
    /// The MAC address that goes with an address.
    fn mac(&self, network: NetworkId, address: IpAddr) -> String;
    async fn join(&mut self, network: NetworkId, address: IpAddr) -> Result<Joined, String>;
    /// What has not joined is fine.
    async fn leave(&mut self, network: NetworkId, address: IpAddr) -> Result<(), String>;
    async fn publish(
        &mut self,
        network: NetworkId,
        address: IpAddr,
        ports: &[HostPort],
    ) -> Result<Vec<BoundPort>, String>;
    async fn revoke(&mut self, network: NetworkId, address: IpAddr) -> Result<(), String>;
    /// How many flows to the owner's endpoint live.
    async fn flows(&mut self, network: NetworkId, owner: RawId) -> Result<usize, String>;
    /// Ends them all: their clients are told at their next packet.
    async fn reset(&mut self, network: NetworkId, owner: RawId) -> Result<(), String>;
    /// The network's namespace, once it is there.
    fn namespace(&self, network: NetworkId) -> Option<PathBuf>;
    fn warnings(&self) -> Vec<String>;
    /// Takes everything away.
    async fn clear(&mut self) -> Result<(), String>;
}

/// Makes the carrier once it is known what it stands on.
#[async_trait]
pub trait Opener: Send + Sync {
    async fn open(&self, settings: &Settings) -> Result<Box<dyn Carrier>, String>;
}
