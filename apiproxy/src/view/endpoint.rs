//! How a service is reached, as its users see it.

use serde::Serialize;
use swarmrs_types::object::{self, VirtualIp};
use swarmrs_types::spec::{EndpointSpec, PortConfig, ServiceSpec};

/// `Endpoint` of a service: what was asked for and what came of it. Without ports or networks nothing was allocated, and
/// both are empty.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Endpoint<'a> {
    spec: EndpointSpec,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ports: &'a [PortConfig],
    #[serde(rename = "VirtualIPs", skip_serializing_if = "Vec::is_empty")]
    virtual_ips: Vec<ShownVirtualIp<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownVirtualIp<'a> {
    #[serde(rename = "NetworkID")]
    network: &'a str,
    #[serde(rename = "Addr", skip_serializing_if = "str::is_empty")]
    addr: &'a str,
}

pub(super) fn endpoint<'a>(allocated: &'a object::Endpoint, spec: &ServiceSpec) -> Endpoint<'a> {
    let is_allocated = !allocated.ports.is_empty() || !allocated.virtual_ips.is_empty();
    let asked = spec.endpoint_spec.as_ref().filter(|_| is_allocated);
    Endpoint {
        spec: asked.cloned().unwrap_or_default(),
        ports: &allocated.ports,
        virtual_ips: allocated.virtual_ips.iter().map(virtual_ip).collect(),
    }
}

fn virtual_ip(ip: &VirtualIp) -> ShownVirtualIp<'_> {
    ShownVirtualIp {
        network: ip.network.as_str(),
        addr: &ip.addr,
    }
}
