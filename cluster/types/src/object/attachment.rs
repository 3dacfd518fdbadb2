//! Attachments: what a container that is no task's asks for and was given on a network of the swarm.

use super::{Meta, Unknown};
use crate::id::{AttachmentId, NetworkId, NodeId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The lease of one container on one network. It ends when the container is removed or disconnected,
/// or its node leaves; not when the container stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    pub id: AttachmentId,
    #[serde(default)]
    pub meta: Meta,
    pub node: NodeId,
    /// The container as its node names it: one container keeps one name for all its attachments.
    pub container: String,
    /// The container's name, which others on the network find it by.
    pub name: String,
    pub network: NetworkId,
    /// With the subnet's prefix; IPv4 first.
    pub addresses: Vec<IpNet>,
    pub aliases: Vec<String>,
    /// Whether the container's way out is through this network.
    pub gateway: bool,
    /// Whether the container runs. One that does not keeps its addresses, and does not keep its
    /// network from being removed.
    pub active: bool,
    /// Name servers that the user named for it: asked in place of the host's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<IpAddr>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What a node asks for one of its containers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachRequest {
    /// The container as its node names it: the same for all its attachments.
    pub container: String,
    /// What others find it by.
    pub name: String,
    /// Id or name of the network.
    pub network: String,
    /// Addresses that the user wants; of a family without one any will do.
    pub addresses: Vec<IpAddr>,
    pub aliases: Vec<String>,
    /// Whether this network may be the container's way out.
    pub gateway: bool,
    /// Whether it runs, or is about to.
    pub active: bool,
    /// Name servers that the user named for the container.
    pub resolvers: Vec<IpAddr>,
}

/// One network that a task is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    pub network: NetworkId,
    /// With the subnet's prefix, IPv4 first; none on a network that is each engine's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
    /// What the task's service answers to on this network besides its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}
