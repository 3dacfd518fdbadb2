//! `NetworksAttachments` of a task: the networks that it is on, each in full.
//!
//! So far these are networks of the task's engine, of which the swarm gives no addresses.

use std::collections::BTreeMap;

use serde::Serialize;
use swarmrs_core::State;
use swarmrs_types::object;
use swarmrs_types::spec::TaskSpec;

use super::network::PREDEFINED_LABEL;
use super::{Empty, Head};

/// One network of a task.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attachment<'a> {
    network: Network<'a>,
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
    labels: BTreeMap<&'static str, &'static str>,
    driver_configuration: Driver<'a>,
    scope: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Driver<'a> {
    name: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct IpamOptions {
    driver: Empty,
}

/// The networks of a task with this spec, in its order.
pub(super) fn attachments<'a>(state: &'a State, spec: &TaskSpec) -> Vec<Attachment<'a>> {
    let ids = spec.networks.iter().filter_map(|n| n.target.parse().ok());
    ids.filter_map(|id| state.networks().get(&id))
        .map(|network| attachment(network))
        .collect()
}

fn attachment(network: &object::Network) -> Attachment<'_> {
    let driver = || Driver {
        name: network.driver(),
    };
    Attachment {
        network: Network {
            head: Head::new(network.id.as_str(), network.meta),
            spec: Spec {
                name: network.name(),
                labels: BTreeMap::from([PREDEFINED_LABEL]),
                driver_configuration: driver(),
                scope: "swarm",
            },
            driver_state: driver(),
            ipam_options: IpamOptions { driver: Empty {} },
        },
    }
}
