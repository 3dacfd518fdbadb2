//! Published ports across services.
//!
//! A port of the mesh is published on every node, so no other service may have it; ports published
//! on the task's own node may be the same, the scheduler keeps their tasks apart.

use super::refused;
use crate::state::State;
use std::collections::BTreeSet;
use swarmrs_types::object::Service;
use swarmrs_types::spec::{EndpointSpec, PortConfig, Protocol, PublishMode, ServiceSpec};
use swarmrs_types::{Fault, ServiceId};

type Port = (u32, Option<Protocol>);

/// Whether a service with this spec can stand beside the others. `own` is left out of account.
pub(super) fn check(
    state: &State,
    spec: &ServiceSpec,
    own: Option<ServiceId>,
) -> Result<(), Fault> {
    let mesh = published(spec.endpoint_spec.as_ref(), &PublishMode::Ingress);
    let host = published(spec.endpoint_spec.as_ref(), &PublishMode::Host);
    if mesh.is_empty() && host.is_empty() {
        return Ok(());
    }
    let others = state.services().iter();
    for other in others.filter(|other| Some(other.id) != own) {
        for port in ports_of(state, other) {
            let name = (port.published_port, port.protocol.clone());
            let taken = match port.publish_mode {
                _ if port.published_port == 0 => None,
                Some(PublishMode::Host) => mesh.contains(&name).then_some("a host-published port"),
                _ => (mesh.contains(&name) || host.contains(&name)).then_some("an ingress port"),
            };
            if let Some(what) = taken {
                return Err(refused(format!(
                    "port '{}' is already in use by service '{}' ({}) as {what}",
                    port.published_port, other.name, other.id
                )));
            }
        }
    }
    Ok(())
}

fn published(endpoint: Option<&EndpointSpec>, mode: &PublishMode) -> BTreeSet<Port> {
    let ports = endpoint.iter().flat_map(|endpoint| &endpoint.ports);
    ports
        .filter(|port| port.published_port != 0 && port.publish_mode.as_ref() == Some(mode))
        .map(|port| (port.published_port, port.protocol.clone()))
        .collect()
}

/// Ports asked for, then ports given.
fn ports_of<'a>(state: &'a State, service: &'a Service) -> impl Iterator<Item = &'a PortConfig> {
    let spec = state.current_spec(service);
    let endpoint = spec.and_then(|spec| spec.spec.endpoint_spec.as_ref());
    let asked = endpoint.into_iter().flat_map(|endpoint| &endpoint.ports);
    asked.chain(&service.endpoint.ports)
}
