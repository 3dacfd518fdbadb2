//! What a node is told of the swarm's networks: enough to carry packets and to answer for names, and no more.
//!
//! ```text
//!   core state ──core::dispatcher::endpoints──▶ facts of one node ──session──▶ network plane
//! ```
//!
//! A node is told of the networks it has endpoints on, of every endpoint and service of those networks wherever
//! they are, and of the nodes they are on. A fact is whole: a newer one of the same key replaces it.

mod facts;

pub use facts::Facts;

use crate::id::{NetworkId, NodeId, RawId, ServiceId};
use crate::spec::PortConfig;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One thing a node is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Network(Overlay),
    Peer(Peer),
    Endpoint(Endpoint),
    Service(Balanced),
}

impl Fact {
    /// Its name among the facts.
    pub fn key(&self) -> FactKey {
        match self {
            Fact::Network(network) => FactKey::Network(network.id),
            Fact::Peer(peer) => FactKey::Peer(peer.node),
            Fact::Endpoint(endpoint) => FactKey::Endpoint(endpoint.network, endpoint.owner),
            Fact::Service(service) => FactKey::Service(service.network, service.service),
        }
    }
}

/// Names a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKey {
    Network(NetworkId),
    Peer(NodeId),
    /// By network and owner.
    Endpoint(NetworkId, RawId),
    Service(NetworkId, ServiceId),
}

/// What changed of a node's facts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FactDiff {
    /// New, or different.
    pub put: Vec<Fact>,
    /// No more so.
    pub remove: Vec<FactKey>,
}

impl FactDiff {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.remove.is_empty()
    }
}

/// A network of the swarm as a node builds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlay {
    pub id: NetworkId,
    pub name: String,
    /// In the order they were asked for; IPv4 first.
    pub segments: Vec<Segment>,
    /// No way out of it.
    pub internal: bool,
    /// The network that published ports are carried on.
    pub ingress: bool,
    /// Containers that are no task's may be on it.
    pub attachable: bool,
    /// Of the links in containers; 0: what the underlay leaves.
    pub mtu: u32,
    pub encrypted: bool,
    pub labels: BTreeMap<String, String>,
    /// As the user gave them.
    pub options: BTreeMap<String, String>,
}

/// One subnet of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub subnet: IpNet,
    /// The same on every node.
    pub gateway: IpAddr,
    /// VXLAN network identifier, 24 bits.
    pub vni: u32,
}

/// A node that carries one of the networks; the told node itself is one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub node: NodeId,
    /// Unique in the swarm, from 1: what packets and connections of the node are marked with.
    pub index: u16,
    /// Where its VXLAN frames come from and go to.
    pub data_path: IpAddr,
    /// Its own address on the ingress network.
    pub ingress: Option<IpNet>,
}

/// One member of a network: a task, or a container that a user attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub network: NetworkId,
    /// The task's id, or the attachment's.
    pub owner: RawId,
    pub node: NodeId,
    /// The container's name.
    pub name: String,
    /// What else it answers to on this network, besides its service's names.
    pub aliases: Vec<String>,
    /// With the subnet's prefix; IPv4 first.
    pub addresses: Vec<IpNet>,
    pub service: Option<ServiceId>,
    /// Whether it takes new connections for its service and is found by names.
    pub ready: bool,
    /// Whether its way out is through this network; of an owner's endpoints one at most.
    pub gateway: bool,
    /// Name servers that the user named for it: asked in place of the host's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<IpAddr>,
    /// Of a container that a user attached, how its node names it: only that node is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// A service on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Balanced {
    pub network: NetworkId,
    pub service: ServiceId,
    pub name: String,
    pub aliases: Vec<String>,
    /// None: its names resolve to its endpoints.
    pub vip: Option<IpAddr>,
    /// Ports published on every node; only on the ingress network.
    pub ports: Vec<PortConfig>,
}
