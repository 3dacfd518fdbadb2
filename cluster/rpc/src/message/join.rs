//! What a newcomer and its manager say, and a node whose certificate is to be renewed.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use swarmrs_types::SecretText;
use swarmrs_types::spec::Availability;

/// Answer to [`RootCertificate`](crate::Method::RootCertificate), whose body is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// The roots in PEM, byte for byte what the digest in join tokens was taken over.
    pub pem: String,
}

/// How a newcomer asks for a certificate ([`Issue`](crate::Method::Issue)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IssueRequest {
    /// The certificate signing request in PEM.
    pub request: String,
    /// The join token: which role it stands for is the cluster's to say.
    pub token: SecretText,
    /// The newcomer's name, as its host calls itself.
    pub name: String,
    pub availability: Availability,
    pub addresses: Addresses,
}

/// Where a newcomer wants to be found; an empty one is left to the manager that hears it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Addresses {
    /// `host:port` for managers and agents.
    pub advertise: String,
    /// The address alone of what it sends between containers.
    pub data_path: String,
}

/// What a newcomer gets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Issued {
    pub node_id: String,
    pub cluster_id: String,
    /// The node's chain in PEM, its own certificate first. It says the role.
    pub certificate: String,
    /// The roots to trust from now on, in PEM.
    pub roots: String,
    /// The root that is to take their place and is trusted as well, in PEM; none: empty.
    pub next_root: String,
    /// Where managers are, `host:port`, the one that answers first.
    pub managers: Vec<ManagerAddress>,
    /// Where the manager that answers saw the newcomer.
    pub seen_at: Option<IpAddr>,
    /// The port of what the swarm's containers send each other; 0: the usual one.
    pub data_path_port: u16,
}

/// One manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagerAddress {
    pub node_id: String,
    /// `host:port`.
    pub address: String,
}

/// How a node asks for its next certificate ([`Renew`](crate::Method::Renew)). Role and id are the cluster's to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RenewRequest {
    /// The certificate signing request in PEM.
    pub request: String,
}

/// A node's next certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Renewed {
    pub certificate: String,
    /// The roots to trust from now on, in PEM.
    pub roots: String,
    /// The root that is to take their place and is trusted as well, in PEM; none: empty.
    pub next_root: String,
    pub managers: Vec<ManagerAddress>,
}

/// A manager with its certificate asks to be taken into the quorum ([`Join`](crate::Method::Join)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JoinRequest {
    /// Where it listens for the others, `host:port`.
    pub address: String,
    /// The number that it was given; none if it lost what it knew.
    pub raft_id: Option<u64>,
    /// The feature level that its release knows.
    pub level: u32,
}

/// It is noted that the manager asks; the leader lets it in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Joined {}
