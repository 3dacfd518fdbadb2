//! `NetworksAttachments` of a task: the networks that it is on, each in full, and its addresses there.

use std::collections::BTreeMap;

use serde::Serialize;
use swarmrs_core::State;
use swarmrs_types::object;
use swarmrs_types::spec::{Ipam, IpamConfig, Labels};

use super::Head;
use super::network::{Subnet, is_first, options, subnets};

/// One network of a task. Those of its engine have no addresses of the swarm's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attachment<'a> {
    network: Network<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Network<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    spec: Spec<'a>,
    driver_state: Driver<'a>,
    #[serde(rename = "IPAMOptions")]
    ipam_options: IpamOptions,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Spec<'a> {
    name: &'a str,
    labels: &'a Labels,
    driver_configuration: Driver<'a>,
    #[serde(rename = "IPv6Enabled", skip_serializing_if = "std::ops::Not::not")]
    ipv6_enabled: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    internal: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    attachable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ingress: bool,
    #[serde(rename = "IPAMOptions", skip_serializing_if = "Option::is_none")]
    ipam_options: Option<AskedIpam<'a>>,
    scope: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Driver<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AskedIpam<'a> {
    driver: IpamDriver<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    configs: Vec<AskedSubnet<'a>>,
}

/// As it was asked for; what was not is left out.
#[derive(Debug, Serialize)]
struct AskedSubnet<'a> {
    #[serde(rename = "Subnet", skip_serializing_if = "str::is_empty")]
    subnet: &'a str,
    #[serde(rename = "Range", skip_serializing_if = "str::is_empty")]
    range: &'a str,
    #[serde(rename = "Gateway", skip_serializing_if = "str::is_empty")]
    gateway: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct IpamOptions {
    driver: IpamDriver<'static>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    configs: Vec<Subnet>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct IpamDriver<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

/// The networks of a task, with its addresses on those that are the swarm's.
pub(super) fn attachments<'a>(state: &'a State, task: &object::Task) -> Vec<Attachment<'a>> {
    let attached = task.networks.iter().filter_map(|attached| {
        let network = state.networks().get(&attached.network)?;
        let addresses = attached.addresses.iter().map(ToString::to_string);
        Some(attachment(network, addresses.collect()))
    });
    attached.collect()
}

/// The first network of a swarm asks for no driver, and gets ours.
fn asked_driver(network: &object::Network) -> Driver<'_> {
    Driver {
        name: if is_first(network) {
            ""
        } else {
            network.driver()
        },
        options: network.spec.options.clone(),
    }
}

fn asked_ipam(ipam: Option<&Ipam>) -> AskedIpam<'_> {
    AskedIpam {
        driver: IpamDriver {
            name: ipam.map_or("", |ipam| &ipam.driver),
        },
        configs: ipam
            .iter()
            .flat_map(|ipam| &ipam.config)
            .map(asked_subnet)
            .collect(),
    }
}

fn asked_subnet(asked: &IpamConfig) -> AskedSubnet<'_> {
    AskedSubnet {
        subnet: &asked.subnet,
        range: &asked.ip_range,
        gateway: &asked.gateway,
    }
}

fn attachment(network: &object::Network, addresses: Vec<String>) -> Attachment<'_> {
    let spec = &network.spec;
    let configs = subnets(network);
    let name = if configs.is_empty() { "" } else { "default" };
    Attachment {
        network: Network {
            head: Head::new(network.id.as_str(), network.meta),
            spec: Spec {
                name: &spec.name,
                labels: &spec.labels,
                driver_configuration: asked_driver(network),
                ipv6_enabled: spec.enable_ipv6.unwrap_or_default(),
                internal: spec.internal,
                attachable: spec.attachable,
                ingress: spec.ingress,
                ipam_options: (!configs.is_empty()).then(|| asked_ipam(spec.ipam.as_ref())),
                scope: "swarm",
            },
            driver_state: Driver {
                name: network.driver(),
                options: options(network).unwrap_or_default(),
            },
            ipam_options: IpamOptions {
                driver: IpamDriver { name },
                configs,
            },
        },
        addresses,
    }
}
