//! Published ports across services: who has which, and those that the user leaves to the swarm.
//!
//! A port of the mesh is published on every node, so no other service may have it; ports published
//! on the task's own node may be the same, the scheduler keeps their tasks apart.

use crate::state::{Port, State, name_of};
use std::collections::BTreeSet;
use swarmrs_types::default::{FIRST_DRAWN_PORT as FIRST, LAST_DRAWN_PORT as LAST};
use swarmrs_types::spec::{EndpointSpec, PortConfig, PublishMode};
use swarmrs_types::{Code, Fault, ServiceId};

/// Whether a service that asks for these ports can stand beside the others. `own` is left out of account.
pub fn check(
    state: &State,
    endpoint: Option<&EndpointSpec>,
    own: Option<ServiceId>,
) -> Result<(), Fault> {
    let asked = endpoint.iter().flat_map(|endpoint| &endpoint.ports);
    for port in asked.filter(|port| port.published_port != 0) {
        let name = name_of(port);
        let other = |service: &ServiceId| Some(*service) != own;
        if let Some(holder) = state.mesh_port(&name).filter(other) {
            return Err(in_use(state, &name, holder, "an ingress port"));
        }
        let is_mesh = port.publish_mode == Some(PublishMode::Ingress);
        if let Some(holder) = state.host_port(&name).find(other).filter(|_| is_mesh) {
            return Err(in_use(state, &name, holder, "a host-published port"));
        }
    }
    Ok(())
}

fn in_use(state: &State, port: &Port, holder: ServiceId, what: &str) -> Fault {
    let name = state
        .services()
        .get(&holder)
        .map_or("", |service| &service.name);
    let text = format!(
        "port '{}' is already in use by service '{name}' ({holder}) as {what}",
        port.1
    );
    Fault::manager(Code::InvalidArgument, text)
}

/// The ports of a service as they are reached. A port that was drawn stays while neither it nor the
/// number of ports changes; `known` are those of the service `own` so far. Ports on the tasks' own nodes
/// stay as they were asked for: of a port left open every task may get another.
pub fn ports(
    state: &State,
    endpoint: Option<&EndpointSpec>,
    own: Option<ServiceId>,
    known: &[PortConfig],
) -> Result<Vec<PortConfig>, Fault> {
    let asked = endpoint.map_or(&[][..], |endpoint| &endpoint.ports);
    let known = if known.len() == asked.len() {
        known
    } else {
        &[]
    };
    let mut taken: BTreeSet<Port> = asked.iter().map(name_of).collect();
    let mut last = state.last_port();
    let mut found = Vec::with_capacity(asked.len());
    for port in asked {
        let mut port = port.clone();
        if is_open(&port) {
            let free = |published: u32, taken: &BTreeSet<Port>| {
                let name = name_of(&with(&port, published));
                (!taken.contains(&name) && is_free(state, &name, own)).then_some(name)
            };
            let mut before = known.iter().filter(|old| is_same(&port, old));
            let stays = before.find_map(|old| free(old.published_port, &taken));
            let name = stays.or_else(|| in_order(last).find_map(|number| free(number, &taken)));
            let name = name.ok_or_else(|| none_left(&port))?;
            if stays_not(known, &name) {
                last = name.1;
            }
            port.published_port = name.1;
            taken.insert(name);
        }
        found.push(port);
    }
    Ok(found)
}

fn stays_not(known: &[PortConfig], name: &Port) -> bool {
    !known.iter().any(|old| name_of(old) == *name)
}

fn is_open(port: &PortConfig) -> bool {
    port.published_port == 0 && port.publish_mode == Some(PublishMode::Ingress)
}

fn is_same(asked: &PortConfig, old: &PortConfig) -> bool {
    old.published_port != 0 && with(asked, 0) == with(old, 0)
}

fn with(port: &PortConfig, published_port: u32) -> PortConfig {
    PortConfig {
        published_port,
        ..port.clone()
    }
}

fn is_free(state: &State, port: &Port, own: Option<ServiceId>) -> bool {
    let mesh = state.mesh_port(port);
    let mut host = state.host_port(port);
    (mesh.is_none() || mesh == own) && host.all(|service| Some(service) == own)
}

/// All there are, beginning after the one given last.
fn in_order(last: u32) -> impl Iterator<Item = u32> {
    let next = if (FIRST..LAST).contains(&last) {
        last + 1
    } else {
        FIRST
    };
    (next..=LAST).chain(FIRST..next)
}

fn none_left(port: &PortConfig) -> Fault {
    let protocol = name_of(port).0;
    Fault::manager(
        Code::FailedPrecondition,
        format!(
            "no {protocol} port is left for target port {}: all {} from {FIRST} to {LAST} are published",
            port.target_port,
            LAST - FIRST + 1
        ),
    )
}
