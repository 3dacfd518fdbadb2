//! The networks that a service names: looked up among the swarm's, and stored by id.
//!
//! Asked before anything else of a spec, as Docker does. Each engine has networks of its own by
//! [`PREDEFINED`] names; the swarm has one of the same name for each, which stands for whichever
//! node's a task gets. Other networks of an engine are known nowhere else and refused.

use super::swarm::PREDEFINED;
use crate::state::{State, find};
use swarmrs_types::object::VirtualIp;
use swarmrs_types::spec::{NetworkAttachmentConfig, ResolutionMode, ServiceSpec};
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

/// A virtual address in each network, unless names resolve to the tasks themselves. The networks of
/// an engine have none of the swarm's to give: there it stays empty.
pub(super) fn virtual_ips(spec: &ServiceSpec) -> Vec<VirtualIp> {
    let mode = spec
        .endpoint_spec
        .as_ref()
        .and_then(|own| own.mode.as_ref());
    if mode == Some(&ResolutionMode::DnsRr) {
        return Vec::new();
    }
    let ids = attachments(spec)
        .iter()
        .filter_map(|network| network.target.parse().ok());
    let unset = |network| VirtualIp {
        network,
        addr: String::new(),
    };
    ids.map(unset).collect()
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
