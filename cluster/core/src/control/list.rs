//! What list requests see: objects narrowed by filters, in the order of their ids.
//!
//! Unknown filter keys are refused first; a caller that has to say so before it may look at the
//! state asks [`Filters::accept`] with the constants here. Unknown *values* of closed sets are 500,
//! as Docker has them.

use crate::orchestrator::{dirty, lost};
use crate::state::{Found, State, find};
use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;
use swarmrs_types::filter::Filters;
use swarmrs_types::object::{Node, Service, Task};
use swarmrs_types::spec::{Mode, Role};
use swarmrs_types::{Code, Fault, NodeId, ServiceId, TaskState};

/// Filter keys of `GET /services`.
pub const SERVICE_FILTERS: [&str; 5] = ["name", "id", "label", "mode", "runtime"];
/// Filter keys of `GET /tasks`.
pub const TASK_FILTERS: [&str; 8] = [
    "name",
    "id",
    "label",
    "service",
    "node",
    "desired-state",
    "_up-to-date",
    "runtime",
];
/// Filter keys of `GET /nodes`.
pub const NODE_FILTERS: [&str; 6] = ["name", "id", "label", "node.label", "role", "membership"];

/// How many tasks a service has and wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceStatus {
    pub running: u64,
    pub desired: u64,
    /// Of jobs only.
    pub completed: u64,
}

/// The services the filters let through.
pub fn services(state: &State, filters: &Filters) -> Result<Vec<Arc<Service>>, Fault> {
    filters.accept(&SERVICE_FILTERS)?;
    if !wants_containers(filters) {
        return Ok(Vec::new());
    }
    let matches = |service: &&Arc<Service>| {
        let Some(spec) = state.current_spec(service) else {
            return false;
        };
        filters.any_prefix("name", &service.name)
            && filters.any_prefix("id", service.id.as_str())
            && filters.labels("label", &spec.spec.labels)
            && filters.exact("mode", mode_name(&spec.spec.mode))
    };
    Ok(state.services().iter().filter(matches).cloned().collect())
}

/// The tasks the filters let through. Services and nodes are named as in a path: by id, by name, by
/// the beginning of an id; one that is not there is 404.
pub fn tasks(state: &State, filters: &Filters) -> Result<Vec<Arc<Task>>, Fault> {
    filters.accept(&TASK_FILTERS)?;
    let services: Option<BTreeSet<ServiceId>> = resolve(state, filters, "service")?;
    let nodes: Option<BTreeSet<NodeId>> = resolve(state, filters, "node")?;
    let desired = desired_states(filters)?;
    if !wants_containers(filters) {
        return Ok(Vec::new());
    }
    let up_to_date = !filters.get("_up-to-date").is_empty();
    let matches = |task: &&Arc<Task>| {
        let node = task.node;
        nodes
            .as_ref()
            .is_none_or(|nodes| node.is_some_and(|node| nodes.contains(&node)))
            && (desired.is_empty() || desired.contains(&task.desired))
            && filters.any_prefix("id", task.id.as_str())
            && filters.any_prefix("name", &state.task_name(task))
            && labels_match(state, filters, task)
            && (!up_to_date || is_up_to_date(state, task))
    };
    let mut found: Vec<Arc<Task>> = match &services {
        Some(services) => {
            let theirs = services.iter().flat_map(|id| state.tasks_of_service(*id));
            theirs.filter(matches).cloned().collect()
        }
        None => state.tasks().iter().filter(matches).cloned().collect(),
    };
    found.sort_by_key(|task| task.id);
    Ok(found)
}

/// The nodes the filters let through. `label` means the engine's labels, `node.label` the node's.
pub fn nodes(state: &State, filters: &Filters) -> Result<Vec<Arc<Node>>, Fault> {
    filters.accept(&NODE_FILTERS)?;
    let roles = roles(filters)?;
    let accepted = membership(filters)?;
    let matches = |node: &&Arc<Node>| {
        accepted
            && (roles.is_empty() || roles.contains(&node.role))
            && filters.any_prefix("id", node.id.as_str())
            && filters.any_prefix("name", &node.description.hostname)
            && filters.labels("label", &node.description.engine.labels)
            && filters.labels("node.label", &node.spec.labels)
    };
    Ok(state.nodes().iter().filter(matches).cloned().collect())
}

/// What `GET /services?status=true` adds.
pub fn service_status(state: &State, service: &Service) -> ServiceStatus {
    let iteration = service.job.map(|job| job.iteration);
    let count = |wanted: &dyn Fn(&Task) -> bool| {
        let tasks = state.tasks_of_service(service.id);
        let current = tasks.filter(|task| task.iteration == iteration);
        current.filter(|task| wanted(task)).count() as u64
    };
    ServiceStatus {
        running: count(&|task| task.status.state == TaskState::Running),
        desired: fixed(state, service).unwrap_or_else(|| {
            count(&|task| is_counted(task) && !lost::is_on_a_lost_node(state, task))
        }),
        completed: count(&Task::is_done),
    }
}

/// The number of tasks a service asks for at a time, where its spec says it.
fn fixed(state: &State, service: &Service) -> Option<u64> {
    let mode = &state.current_spec(service)?.spec.mode;
    let replicas = mode.replicated.as_ref().and_then(|mode| mode.replicas);
    replicas.or_else(|| mode.replicated_job.as_ref()?.max_concurrent)
}

/// A task that a global service wants; one that waits for leave to start is not counted, nor one whose
/// node is down.
fn is_counted(task: &Task) -> bool {
    let wanted = task.desired == TaskState::Running || task.desired == TaskState::Complete;
    wanted && !task.is_done()
}

/// Containers are all there is, and what is meant unless another runtime is named.
fn wants_containers(filters: &Filters) -> bool {
    let runtimes = filters.get("runtime");
    runtimes.is_empty() || runtimes.iter().any(|runtime| runtime == "container")
}

fn mode_name(mode: &Mode) -> &'static str {
    if mode.global.is_some() {
        "global"
    } else if mode.replicated_job.is_some() {
        "replicated-job"
    } else if mode.global_job.is_some() {
        "global-job"
    } else {
        "replicated"
    }
}

/// The objects a key names; none if the key is not given.
fn resolve<Id: Found + FromStr>(
    state: &State,
    filters: &Filters,
    key: &str,
) -> Result<Option<BTreeSet<Id>>, Fault> {
    let terms = filters.get(key);
    if terms.is_empty() {
        return Ok(None);
    }
    let ids = terms.iter().map(|term| find(state, term));
    ids.collect::<Result<_, _>>().map(Some)
}

fn desired_states(filters: &Filters) -> Result<Vec<TaskState>, Fault> {
    closed(filters, "desired-state", TaskState::parse)
}

fn roles(filters: &Filters) -> Result<Vec<Role>, Fault> {
    closed(filters, "role", |word| {
        match Role::from(word.to_lowercase().as_str()) {
            Role::Other(_) => None,
            known => Some(known),
        }
    })
}

/// Whether nodes that were accepted are wanted: all here are, so it is all or none.
fn membership(filters: &Filters) -> Result<bool, Fault> {
    let wanted = closed(filters, "membership", |word| {
        match word.to_lowercase().as_str() {
            "accepted" => Some(true),
            "pending" => Some(false),
            _ => None,
        }
    })?;
    Ok(wanted.is_empty() || wanted.contains(&true))
}

/// The values of a key with a closed set; an empty one says nothing.
fn closed<T>(
    filters: &Filters,
    key: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Fault> {
    let words = filters.get(key).iter().filter(|word| !word.is_empty());
    let known = |word: &String| {
        parse(word)
            .ok_or_else(|| Fault::daemon(Code::Unknown, format!("Invalid {key} filter: '{word}'")))
    };
    words.map(known).collect()
}

/// A task goes by the labels its service had when it was made.
fn labels_match(state: &State, filters: &Filters, task: &Task) -> bool {
    match state.spec_of(task) {
        Some(spec) => filters.labels("label", &spec.spec.labels),
        None => !filters.contains("label"),
    }
}

fn is_up_to_date(state: &State, task: &Task) -> bool {
    let service = state.services().get(&task.service);
    service.is_some_and(|service| !dirty::is_dirty(state, service, task))
}
