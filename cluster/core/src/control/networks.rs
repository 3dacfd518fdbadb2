//! The networks that a service names: looked up among the swarm's, and stored by id.
//!
//! Asked before anything else of a spec, as Docker does. Each engine has networks of its own by
//! [`PREDEFINED`] names; the swarm has one of the same name for each, which stands for whichever
//! node's a task gets. Other networks of an engine are known nowhere else and refused.

use super::network::not_ingress;
use super::swarm::PREDEFINED;
use crate::change::Key;
use crate::plan::Draft;
use crate::state::{State, find, is_meshed};
use swarmrs_types::spec::{NetworkAttachmentConfig, ServiceSpec};
use swarmrs_types::{Code, Fault, NetworkId};

/// Of the networks that a spec names, those that the swarm does not know: an engine may.
pub fn unknown(state: &State, spec: &ServiceSpec) -> Vec<String> {
    let unknown = |term: &&String| find::<NetworkId>(state, term).is_err();
    let targets = attachments(spec).iter().map(|network| &network.target);
    targets.filter(unknown).cloned().collect()
}

/// `term` names a network of the engine, whose name is `name`: the spec gets that name if the swarm
/// has a network for it, and is refused if not.
pub fn name_local(spec: &mut ServiceSpec, term: &str, name: &str) -> Result<(), Fault> {
    if !PREDEFINED.contains(&name) {
        return Err(Fault::daemon(
            Code::PermissionDenied,
            format!(
                "The network {name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver."
            ),
        ));
    }
    for network in attachments_mut(spec) {
        if network.target == term {
            name.clone_into(&mut network.target);
        }
    }
    Ok(())
}

/// Puts ids in place of names. What nobody knows is an error without a class: 500, as Docker has it.
pub(super) fn resolve(state: &State, spec: &mut ServiceSpec) -> Result<(), Fault> {
    for network in attachments_mut(spec) {
        let term = network.target.as_str();
        let id: NetworkId = find(state, term).map_err(|fault| missing(term, fault))?;
        network.target = id.to_string();
    }
    Ok(())
}

/// None of them is the ingress network: a service is on that by publishing a port.
pub(super) fn may_be_named(state: &State, spec: &ServiceSpec) -> Result<(), Fault> {
    let ids = attachments(spec)
        .iter()
        .filter_map(|network| network.target.parse().ok());
    let mut networks = ids.filter_map(|id| state.networks().get(&id));
    networks.try_for_each(|network| not_ingress(network))
}

/// Published ports have a network to be carried on.
pub(super) fn mesh_exists(state: &State, spec: &ServiceSpec) -> Result<(), Fault> {
    if !is_meshed(spec) || state.ingress_network().is_some() {
        return Ok(());
    }
    Err(Fault::manager(
        Code::FailedPrecondition,
        "service needs ingress network, but no ingress network is present",
    ))
}

/// A plan for a service holds only while its networks stay.
pub(super) fn guard(draft: &mut Draft<'_>, spec: &ServiceSpec) {
    let ids: Vec<NetworkId> = draft.networks_of(spec).map(|network| network.id).collect();
    for id in ids {
        draft.guard(Key::Network(id));
    }
}

fn missing(term: &str, fault: Fault) -> Fault {
    if fault.code != Code::NotFound {
        return fault;
    }
    if PREDEFINED.contains(&term) {
        return Fault::not_found(format!(
            "could not find the corresponding predefined swarm network: {fault}"
        ));
    }
    Fault::daemon(Code::Unknown, fault.text)
}

/// Those of the task, or of the service where old clients put them.
fn attachments(spec: &ServiceSpec) -> &[NetworkAttachmentConfig] {
    match spec.task_template.networks.as_slice() {
        [] => &spec.networks,
        own => own,
    }
}

fn attachments_mut(spec: &mut ServiceSpec) -> &mut [NetworkAttachmentConfig] {
    match spec.task_template.networks.as_mut_slice() {
        [] => &mut spec.networks,
        own => own,
    }
}
