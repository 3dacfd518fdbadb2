//! Ports of containers, published on the host.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use swarmrs_types::id::NetworkId;
use swarmrs_types::spec::Protocol;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    pub protocol: Protocol,
    /// The container's.
    pub port: u16,
    /// None: all addresses of the host.
    pub host_ip: Option<IpAddr>,
    /// 0: any that is free.
    pub host_port: u16,
    /// The last of the range to choose from; below the first: just that one.
    pub host_port_end: u16,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundPort {
    pub network: NetworkId,
    /// The container's on that network.
    pub address: IpAddr,
    pub protocol: Protocol,
    /// The container's.
    pub port: u16,
    /// None: all addresses of the host.
    pub host_ip: Option<IpAddr>,
    pub host_port: u16,
}
