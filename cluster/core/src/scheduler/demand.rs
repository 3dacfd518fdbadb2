//! What tasks of one spec ask of a node.

use super::constraint::{self, Constraint};
use crate::state::State;
use std::sync::Arc;
use swarmrs_types::ServiceId;
use swarmrs_types::object::SpecVersion;
use swarmrs_types::spec::{Placement, Protocol, PublishMode, Resources};

/// Read from the spec once.
#[derive(Clone, Debug)]
pub struct Demand {
    pub service: ServiceId,
    pub reservations: Resources,
    pub host_ports: Vec<(Protocol, u32)>,
    pub placement: Placement,
    pub(super) spec: Arc<SpecVersion>,
    /// Drivers of the networks the tasks are in.
    pub(super) networks: Vec<String>,
    /// None if they cannot be read: no node passes.
    pub(super) constraints: Option<Vec<Constraint>>,
}

impl Demand {
    pub fn new(state: &State, spec: &Arc<SpecVersion>) -> Self {
        let placement = spec
            .spec
            .task_template
            .placement
            .clone()
            .unwrap_or_default();
        Demand {
            service: spec.service,
            reservations: reservations(spec),
            host_ports: host_ports(spec),
            spec: spec.clone(),
            networks: network_drivers(state, spec),
            constraints: constraint::parse(&placement.constraints).ok(),
            placement,
        }
    }
}

/// What a task of this spec reserves.
pub fn reservations(spec: &SpecVersion) -> Resources {
    let resources = spec.spec.task_template.resources.as_ref();
    resources
        .and_then(|resources| resources.reservations.clone())
        .unwrap_or_default()
}

/// The fixed host ports a task of this spec publishes.
pub fn host_ports(spec: &SpecVersion) -> Vec<(Protocol, u32)> {
    let ports = spec
        .spec
        .endpoint_spec
        .iter()
        .flat_map(|endpoint| &endpoint.ports);
    ports
        .filter(|port| port.publish_mode == Some(PublishMode::Host) && port.published_port != 0)
        .map(|port| {
            (
                port.protocol.clone().unwrap_or(Protocol::Tcp),
                port.published_port,
            )
        })
        .collect()
}

/// The drivers of a spec's networks, named by id or by name.
fn network_drivers(state: &State, spec: &SpecVersion) -> Vec<String> {
    let named = |target: &str| {
        let mut networks = state.networks().iter();
        networks.find(|network| network.id.as_str() == target || network.name() == target)
    };
    let networks = &spec.spec.task_template.networks;
    let found = networks.iter().filter_map(|network| named(&network.target));
    found.map(|network| network.driver().to_owned()).collect()
}
