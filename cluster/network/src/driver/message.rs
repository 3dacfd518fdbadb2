//! What the engine asks of a driver and is answered. Names and shapes are libnetwork's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use swarmrs_types::spec::Protocol;

/// The option that names the swarm network of an engine's network.
pub const OPTION: &str = "swarmrs.network";

/// Makes a network known.
#[derive(Debug, Deserialize)]
pub struct CreateNetwork {
    #[serde(rename = "NetworkID")]
    pub network: String,
    #[serde(rename = "Options", default)]
    options: Option<NetworkOptions>,
    #[serde(rename = "IPv4Data", default)]
    ipv4: Option<Vec<Pool>>,
    #[serde(rename = "IPv6Data", default)]
    ipv6: Option<Vec<Pool>>,
}

#[derive(Debug, Default, Deserialize)]
struct NetworkOptions {
    #[serde(rename = "com.docker.network.generic", default)]
    generic: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    #[serde(rename = "Pool", default)]
    pool: String,
}

impl CreateNetwork {
    /// What our option says.
    pub fn swarm_network(&self) -> Option<&str> {
        let generic = self.options.as_ref()?.generic.as_ref()?;
        generic.get(OPTION)?.as_str()
    }

    /// The subnets that the engine has for it.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        let all = [&self.ipv4, &self.ipv6].into_iter().flatten().flatten();
        all.map(|one| one.pool.as_str())
    }
}

/// Names a network.
#[derive(Debug, Deserialize)]
pub struct OfNetwork {
    #[serde(rename = "NetworkID")]
    pub network: String,
}

/// Names an endpoint.
#[derive(Debug, Deserialize)]
pub struct OfEndpoint {
    #[serde(rename = "NetworkID")]
    pub network: String,
    #[serde(rename = "EndpointID")]
    pub endpoint: String,
}

/// Makes an endpoint known.
#[derive(Debug, Deserialize)]
pub struct CreateEndpoint {
    #[serde(flatten)]
    pub of: OfEndpoint,
    #[serde(rename = "Interface", default)]
    pub interface: Option<Interface>,
}

/// Addresses with their subnet's prefix; empty: none.
#[derive(Debug, Default, Deserialize)]
pub struct Interface {
    #[serde(rename = "Address", default)]
    pub address: String,
    #[serde(rename = "AddressIPv6", default)]
    pub address_v6: String,
    #[serde(rename = "MacAddress", default)]
    pub mac: String,
}

/// What the engine left for us to choose.
#[derive(Debug, Serialize)]
pub struct EndpointMade {
    #[serde(rename = "Interface")]
    pub interface: Option<Chosen>,
}

#[derive(Debug, Serialize)]
pub struct Chosen {
    #[serde(rename = "MacAddress")]
    pub mac: String,
}

/// A container joins.
#[derive(Debug, Deserialize)]
pub struct Join {
    #[serde(flatten)]
    pub of: OfEndpoint,
    /// The container's network namespace, which may not be there yet.
    #[serde(rename = "SandboxKey", default)]
    pub sandbox: String,
}

/// What the engine moves into the container and sets there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Joined {
    pub interface_name: InterfaceName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    #[serde(rename = "GatewayIPv6", skip_serializing_if = "Option::is_none")]
    pub gateway_v6: Option<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub static_routes: Vec<StaticRoute>,
    pub disable_gateway_service: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InterfaceName {
    pub src_name: String,
    pub dst_prefix: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StaticRoute {
    pub destination: String,
    /// 1: reached over the interface itself; 0: over the next hop.
    pub route_type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<IpAddr>,
}

/// A container's ports are to be published.
#[derive(Debug, Deserialize)]
pub struct Program {
    #[serde(flatten)]
    pub of: OfEndpoint,
    #[serde(rename = "Options", default)]
    options: Option<ProgramOptions>,
}

#[derive(Debug, Deserialize)]
struct ProgramOptions {
    #[serde(rename = "com.docker.network.portmap", default)]
    ports: Option<Vec<PortBinding>>,
}

impl Program {
    pub fn ports(&self) -> &[PortBinding] {
        let ports = self.options.as_ref().and_then(|all| all.ports.as_ref());
        ports.map_or(&[], Vec::as_slice)
    }
}

/// One of them. A host port of 0 is ours to choose; one with an end, out of a range.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    #[serde(deserialize_with = "protocol")]
    pub proto: Protocol,
    pub port: u16,
    #[serde(rename = "HostIP", default)]
    pub host_ip: String,
    #[serde(default)]
    pub host_port: u16,
    #[serde(default)]
    pub host_port_end: u16,
}

/// By its number in IP packets.
fn protocol<'de, D: Deserializer<'de>>(from: D) -> Result<Protocol, D::Error> {
    match u8::deserialize(from)? {
        6 => Ok(Protocol::Tcp),
        17 => Ok(Protocol::Udp),
        132 => Ok(Protocol::Sctp),
        other => Err(serde::de::Error::custom(format!(
            "{other} is no transport protocol that can be published"
        ))),
    }
}
