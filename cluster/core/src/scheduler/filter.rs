//! Whether a node can run a task: the filters in their fixed order, the first refusal counts.

use super::constraint;
use super::demand::Demand;
use super::ledger::Ledger;
use swarmrs_types::object::{Node, NodeState};
use swarmrs_types::spec::{Availability, MountType, Placement, Platform, PluginDescription};

/// Why a node was refused, in the order the filters run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    NotReady,
    Resources,
    Plugin,
    Constraint,
    Platform,
    HostPort,
    MaxReplicas,
}

impl Reason {
    /// Docker's sentence for `count` nodes.
    pub fn explain(self, count: usize) -> String {
        let nodes = if count == 1 {
            "1 node".to_owned()
        } else {
            format!("{count} nodes")
        };
        match self {
            Reason::NotReady => format!("{nodes} not available for new tasks"),
            Reason::Resources => format!("insufficient resources on {nodes}"),
            Reason::Plugin => format!("missing plugin on {nodes}"),
            Reason::Constraint => format!("scheduling constraints not satisfied on {nodes}"),
            Reason::Platform => format!("unsupported platform on {nodes}"),
            Reason::HostPort => format!("host-mode port already in use on {nodes}"),
            Reason::MaxReplicas => "max replicas per node limit exceed".to_owned(),
        }
    }
}

/// The first filter the node does not pass.
pub fn first_refusal(ledger: &Ledger, demand: &Demand, node: &Node) -> Option<Reason> {
    if !is_ready(node) {
        Some(Reason::NotReady)
    } else if !ledger.has_room(node, &demand.reservations) {
        Some(Reason::Resources)
    } else if !has_plugins(demand, node) {
        Some(Reason::Plugin)
    } else if !satisfies(demand, node) {
        Some(Reason::Constraint)
    } else if !runs_platform(&demand.placement, node) {
        Some(Reason::Platform)
    } else if !ledger.has_ports(node.id, &demand.host_ports) {
        Some(Reason::HostPort)
    } else if is_full(ledger, demand, node) {
        Some(Reason::MaxReplicas)
    } else {
        None
    }
}

fn is_ready(node: &Node) -> bool {
    node.status.state == NodeState::Ready && node.spec.availability == Availability::Active
}

fn satisfies(demand: &Demand, node: &Node) -> bool {
    let constraints = demand.constraints.as_ref();
    constraints.is_some_and(|constraints| constraint::matches(constraints, node))
}

/// Volume, network and log drivers the task needs must be on the node, if the node names any.
fn has_plugins(demand: &Demand, node: &Node) -> bool {
    let plugins = &node.description.engine.plugins;
    let template = &demand.spec.spec.task_template;
    let mounts = template.container_spec.iter().flat_map(|c| &c.mounts);
    let mut volumes = mounts
        .filter(|mount| mount.kind == Some(MountType::Volume))
        .filter_map(|mount| mount.volume_options.as_ref()?.driver_config.as_ref())
        .map(|driver| driver.name.as_str())
        .filter(|name| !name.is_empty() && *name != "local");
    let log = template
        .log_driver
        .as_ref()
        .map_or("", |driver| &driver.name);
    let any_log = plugins.iter().any(|plugin| plugin.kind == "Log");
    let log_found = log.is_empty() || log == "none" || !any_log || has(plugins, "Log", log);
    let mut networks = demand.networks.iter();
    plugins.is_empty()
        || (log_found
            && volumes.all(|name| has(plugins, "Volume", name))
            && networks.all(|name| has(plugins, "Network", name)))
}

fn has(plugins: &[PluginDescription], kind: &str, name: &str) -> bool {
    plugins.iter().any(|plugin| {
        let known = plugin.name.strip_suffix(":latest").unwrap_or(&plugin.name);
        plugin.kind == kind && (plugin.name == name || known == name)
    })
}

fn runs_platform(placement: &Placement, node: &Node) -> bool {
    let own = &node.description.platform;
    let same = |wanted: &Platform| {
        (wanted.os.is_empty() || wanted.os == own.os)
            && (wanted.architecture.is_empty()
                || canonical(&wanted.architecture) == canonical(&own.architecture))
    };
    placement.platforms.is_empty() || placement.platforms.iter().any(same)
}

/// One name for the architectures that have two.
fn canonical(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn is_full(ledger: &Ledger, demand: &Demand, node: &Node) -> bool {
    let most = demand.placement.max_replicas;
    most > 0 && ledger.of_service(node.id, demand.service) >= most
}
