//! Networks: create, remove, and which may be pruned.
//!
//! A network has its subnets and VXLAN ids from the request that makes it: it is whole at once, and what
//! cannot be had is the request's own error.

pub mod attachment;
mod ipam;

use super::refused;
use super::swarm::PREDEFINED;
use super::text::quoted;
use super::validate::name;
use crate::allocator::subnet;
use crate::change::Key;
use crate::plan::{Draft, Ids, Plan};
use crate::state::{Holder, State, find};
use std::sync::Arc;
use swarmrs_types::object::{Network, OVERLAY, PREDEFINED_LABEL};
use swarmrs_types::spec::NetworkSpec;
use swarmrs_types::{ClusterTime, Code, Fault, NetworkId, TaskState};

/// The network that every swarm is made with.
pub const INGRESS: &str = "ingress";

/// Drivers whose networks are each engine's own: its node makes one for its tasks. Source: moby
/// `libnetwork/cnmallocator/drivers_network_linux.go`.
const NODE_LOCAL: [&str; 4] = ["bridge", "host", "ipvlan", "macvlan"];

/// Makes a network of the swarm. Errors: 400, 403, 409 in Docker's words; a subnet that overlaps with
/// another's, or none left, as the daemon's own.
pub fn create(
    state: &State,
    spec: NetworkSpec,
    now: ClusterTime,
    ids: &mut dyn Ids,
) -> Result<(NetworkId, Plan), Fault> {
    daemon_accepts(state, &spec)?;
    let spec = converted(spec);
    manager_accepts(state, &spec)?;
    let network = made(state, spec, NetworkId(ids.next()))?;
    let id = network.id;
    let mut draft = Draft::new(state, now);
    draft.put_network(network);
    Ok((id, draft.finish()))
}

/// The network with what it is given.
fn made(state: &State, spec: NetworkSpec, id: NetworkId) -> Result<Network, Fault> {
    let is_ours = spec.driver == OVERLAY;
    let segments = if is_ours {
        subnet::segments(state, &spec)?
    } else {
        Vec::new()
    };
    Ok(Network {
        id,
        meta: Default::default(),
        spec,
        segments,
        unknown: Default::default(),
    })
}

/// The ingress network that a new swarm has.
pub(super) fn ingress(state: &State, id: NetworkId) -> Result<Network, Fault> {
    let spec = NetworkSpec {
        name: INGRESS.to_owned(),
        ingress: true,
        ..NetworkSpec::default()
    };
    made(state, converted(spec), id)
}

/// Gives a swarm that a release without networks made its ingress network. One that ever had a network is left
/// as it is: its user may have removed that.
pub(crate) fn complete(draft: &mut Draft<'_>, ids: &mut dyn Ids) {
    if draft.cluster().is_none() || draft.last_vni() != 0 {
        return;
    }
    // Without a free subnet there is none: whoever publishes a port is told so.
    if let Ok(network) = ingress(draft, NetworkId(ids.next())) {
        draft.put_network(network);
    }
}

/// What Docker's daemon checks before its manager is asked. Source: moby `daemon/network.go`,
/// `daemon/libnetwork/network.go`.
fn daemon_accepts(state: &State, spec: &NetworkSpec) -> Result<(), Fault> {
    let name = &spec.name;
    let mut networks = state.networks().iter();
    if networks.any(|other| other.name() == name && !other.is_predefined()) {
        return Err(name_taken(name));
    }
    if PREDEFINED.contains(&name.as_str()) || name == "default" {
        return Err(forbidden(format!(
            "operation is not permitted on predefined {name} network "
        )));
    }
    ipam::check(spec)?;
    if name.trim().is_empty() {
        return Err(Fault::invalid("invalid name: name is empty"));
    }
    if spec.config_only {
        return Err(forbidden(
            "configuration network can only contain network specific fields. Network operator fields like \
             [ ingress | internal | attachable | scope ] are not supported.",
        ));
    }
    depends_alone(spec)?;
    if spec.scope == "local" {
        return Err(forbidden(
            "cannot downgrade network scope for overlay networks",
        ));
    }
    if spec.enable_ipv4 == Some(false) {
        return Err(Fault::invalid(
            "IPv4 cannot be disabled in a Swarm scoped network",
        ));
    }
    Ok(())
}

/// The configuration network that a network is made from.
pub fn from(spec: &NetworkSpec) -> Option<&str> {
    let name = spec.config_from.as_ref().map(|from| from.network.as_str());
    name.filter(|name| !name.is_empty())
}

/// An overlay with what its configuration says, for good: it is the same on every node, and configurations are each node's own.
///
/// # Errors
/// In Docker's words, if there is no such configuration, or if the network has settings of its own.
pub fn configured(spec: NetworkSpec, found: Option<NetworkSpec>) -> Result<NetworkSpec, Fault> {
    depends_alone(&spec)?;
    let Some(found) = found else {
        let text = format!(
            "configuration network {:?} does not exist",
            from(&spec).unwrap_or_default()
        );
        return Err(Fault::daemon(Code::NotFound, text));
    };
    Ok(NetworkSpec {
        ipam: found.ipam,
        options: found.options,
        enable_ipv6: found.enable_ipv6,
        labels: found.labels.into_iter().chain(spec.labels).collect(),
        config_from: None,
        ..spec
    })
}

/// A network that depends on a configuration has none of its own.
fn depends_alone(spec: &NetworkSpec) -> Result<(), Fault> {
    let configs = spec.ipam.as_ref().map_or(0, |ipam| ipam.config.len());
    match from(spec).is_some() && (configs > 0 || !spec.options.is_empty()) {
        true => Err(forbidden(
            "user-specified configurations are not supported if the network depends on a configuration network",
        )),
        false => Ok(()),
    }
}

/// The spec as it is stored: the driver filled in, what Docker's manager has no field for dropped.
fn converted(mut spec: NetworkSpec) -> NetworkSpec {
    if spec.driver.is_empty() {
        spec.driver = OVERLAY.to_owned();
    }
    spec.check_duplicate = false;
    for config in spec.ipam.iter_mut().flat_map(|ipam| &mut ipam.config) {
        config.auxiliary_addresses.clear();
    }
    spec
}

/// What the manager checks. Source: swarmkit `manager/controlapi/network.go`.
fn manager_accepts(state: &State, spec: &NetworkSpec) -> Result<(), Fault> {
    if spec.ingress && spec.attachable {
        return Err(refused("ingress network cannot be attachable"));
    }
    name::check(&spec.name)?;
    if spec.labels.contains_key(PREDEFINED_LABEL) {
        return Err(Fault::manager(
            Code::PermissionDenied,
            format!(
                "label {PREDEFINED_LABEL} is for internally created predefined networks and cannot be applied by users"
            ),
        ));
    }
    driver(&spec.driver)?;
    let ipam = spec.ipam.as_ref().map_or("", |ipam| &ipam.driver);
    if !matches!(ipam, "" | "default" | "null") {
        return Err(refused(format!("error during lookup of plugin {ipam}")));
    }
    if spec.ingress && spec.driver != OVERLAY {
        return Err(Fault::manager(
            Code::Unimplemented,
            "only overlay driver is currently supported for ingress network",
        ));
    }
    match state.ingress_network() {
        Some(present) if spec.ingress => Err(Fault::manager(
            Code::AlreadyExists,
            format!("ingress network ({}) is already present", present.id),
        )),
        _ => Ok(()),
    }
}

fn driver(name: &str) -> Result<(), Fault> {
    if name == OVERLAY || NODE_LOCAL.contains(&name) {
        return Ok(());
    }
    Err(refused(format!("error during lookup of plugin {name}")))
}

/// The swarm or the engine has a network of that name.
pub fn name_taken(name: &str) -> Fault {
    let text = format!("network with name {name} already exists");
    Fault::daemon(Code::AlreadyExists, text)
}

fn forbidden(text: impl Into<String>) -> Fault {
    Fault::daemon(Code::PermissionDenied, text)
}

/// Whether what the spec asks for is kept only by a network that was removed and will be free once the
/// last of it is gone: worth a little patience.
pub fn waits_for_departed(state: &State, spec: &NetworkSpec) -> bool {
    let configs = spec.ipam.iter().flat_map(|ipam| &ipam.config);
    let subnets = configs.filter_map(|config| config.subnet.parse::<ipnet::IpNet>().ok());
    let mut holders = subnets.filter_map(|subnet| state.overlapping(subnet.trunc()));
    holders.any(|(_, id)| !state.networks().contains(&id))
}

/// Removes the network `term` names. The leases of containers that do not run end with it.
pub fn remove(state: &State, term: &str) -> Result<(NetworkId, Plan), Fault> {
    let network = look_up(state, term)?;
    may_remove(state, &network)?;
    let id = network.id;
    let mut draft = Draft::new(state, state.time());
    for lease in attachment::on_network(state, &network) {
        draft.remove(Key::Attachment(lease.id));
    }
    draft.remove(Key::Network(id));
    Ok((id, draft.finish()))
}

/// The networks that a prune may try to remove: all but those that nobody made.
pub fn prunable(state: &State) -> impl Iterator<Item = &Arc<Network>> {
    let networks = state.networks().iter();
    networks.filter(|network| {
        !network.spec.ingress && !network.is_predefined() && may_remove(state, network).is_ok()
    })
}

/// The network `term` names.
pub fn look_up(state: &State, term: &str) -> Result<Arc<Network>, Fault> {
    let id: NetworkId = find(state, term)?;
    let network = state.networks().get(&id);
    network
        .cloned()
        .ok_or_else(|| Fault::no_such("network", term))
}

fn may_remove(state: &State, network: &Network) -> Result<(), Fault> {
    let id = network.id;
    if let Some(service) = state.users_of_network(id).next() {
        return Err(precondition(match network.spec.ingress {
            true => format!(
                "ingress network cannot be removed because service {} depends on it",
                service.id
            ),
            false => format!("network {id} is in use by service {}", service.id),
        }));
    }
    if let Some(user) = state
        .holders(id)
        .find_map(|(_, holder)| running(state, holder))
    {
        return Err(precondition(format!(
            "network {id} is in use by task {user}"
        )));
    }
    if network.is_predefined() {
        let name = network.name();
        return Err(precondition(format!(
            "network {id} ({name}) is a swarm predefined network and cannot be removed"
        )));
    }
    Ok(())
}

/// What keeps a network: a task that is to run on, a container that runs. Docker knows both as tasks.
fn running(state: &State, holder: Holder) -> Option<String> {
    match holder {
        Holder::Task(id) => {
            let task = state.tasks().get(&id)?;
            (task.desired <= TaskState::Running).then(|| id.to_string())
        }
        Holder::Attachment(id) => {
            let attachment = state.attachments().get(&id)?;
            attachment.active.then(|| id.to_string())
        }
        Holder::Service(_) | Holder::Node(_) => None,
    }
}

fn precondition(text: impl Into<String>) -> Fault {
    Fault::manager(Code::FailedPrecondition, text)
}

/// A service may not name the ingress network: it is on it by publishing a port.
pub(super) fn not_ingress(network: &Network) -> Result<(), Fault> {
    if !network.spec.ingress {
        return Ok(());
    }
    let name = quoted(network.name());
    Err(refused(format!(
        "Service cannot be explicitly attached to the ingress network {name}"
    )))
}
