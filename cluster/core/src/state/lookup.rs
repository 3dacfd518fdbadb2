//! Finding an object by what a user typed: full id, exact name, or a prefix of the id.

use super::State;
use std::str::FromStr;
use swarmrs_types::{ConfigId, Fault, Kind, NetworkId, NodeId, SecretId, ServiceId, TaskId};

/// A kind of object that users name.
pub trait Found: Copy + Ord + FromStr {
    const KIND: Kind;
    fn text(&self) -> &str;
    /// Whether the object is there.
    fn exists(&self, state: &State) -> bool;
    /// Those with this name: with regard to case, unless Docker's look-up has none.
    fn named(state: &State, name: &str) -> Vec<Self>;
    /// Every object of the kind.
    fn all(state: &State) -> Vec<Self>;
}

impl Found for NodeId {
    const KIND: Kind = Kind::Node;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn exists(&self, state: &State) -> bool {
        state.nodes().contains(self)
    }

    fn named(state: &State, name: &str) -> Vec<Self> {
        let nodes = state.nodes().iter();
        let named = nodes.filter(|node| node.description.hostname == name);
        named.map(|node| node.id).collect()
    }

    fn all(state: &State) -> Vec<Self> {
        state.nodes().iter().map(|node| node.id).collect()
    }
}

impl Found for ServiceId {
    const KIND: Kind = Kind::Service;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn exists(&self, state: &State) -> bool {
        state.services().contains(self)
    }

    fn named(state: &State, name: &str) -> Vec<Self> {
        let found = state.service_named(name).filter(|s| s.name == name);
        found.map(|service| service.id).into_iter().collect()
    }

    fn all(state: &State) -> Vec<Self> {
        state.services().iter().map(|service| service.id).collect()
    }
}

impl Found for TaskId {
    const KIND: Kind = Kind::Task;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn exists(&self, state: &State) -> bool {
        state.tasks().contains(self)
    }

    fn named(state: &State, name: &str) -> Vec<Self> {
        let tasks = state.tasks().iter();
        let named = tasks.filter(|task| state.task_name(task) == name);
        named.map(|task| task.id).collect()
    }

    fn all(state: &State) -> Vec<Self> {
        state.tasks().iter().map(|task| task.id).collect()
    }
}

impl Found for SecretId {
    const KIND: Kind = Kind::Secret;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn exists(&self, state: &State) -> bool {
        state.secrets().contains(self)
    }

    fn named(state: &State, name: &str) -> Vec<Self> {
        let found = state.secret_named(name);
        found.map(|secret| secret.id).into_iter().collect()
    }

    fn all(state: &State) -> Vec<Self> {
        state.secrets().iter().map(|secret| secret.id).collect()
    }
}

impl Found for ConfigId {
    const KIND: Kind = Kind::Config;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn exists(&self, state: &State) -> bool {
        state.configs().contains(self)
    }

    fn named(state: &State, name: &str) -> Vec<Self> {
        let found = state.config_named(name);
        found.map(|config| config.id).into_iter().collect()
    }

    fn all(state: &State) -> Vec<Self> {
        state.configs().iter().map(|config| config.id).collect()
    }
}

impl Found for NetworkId {
    const KIND: Kind = Kind::Network;

    fn text(&self) -> &str {
        self.as_str()
    }

    fn exists(&self, state: &State) -> bool {
        state.networks().contains(self)
    }

    fn named(state: &State, name: &str) -> Vec<Self> {
        let found = state.network_named(name).filter(|n| n.name() == name);
        found.map(|network| network.id).into_iter().collect()
    }

    fn all(state: &State) -> Vec<Self> {
        state.networks().iter().map(|network| network.id).collect()
    }
}

/// The object `term` names. Errors: 404 if there is none, 400 if it could be several.
///
/// Only who types the beginning of an id pays for a walk over all objects.
pub fn find<Id: Found>(state: &State, term: &str) -> Result<Id, Fault> {
    let id = term.parse().ok().filter(|id: &Id| id.exists(state));
    if let Some(id) = id {
        return Ok(id);
    }
    let mut chosen = Id::named(state, term);
    if chosen.is_empty() && !term.is_empty() {
        chosen = Id::all(state);
        chosen.retain(|id| id.text().starts_with(term));
    }
    match chosen.as_slice() {
        [id] => Ok(*id),
        [] => Err(Fault::no_such(Id::KIND, term)),
        many => Err(Fault::invalid(format!(
            "{} {term} is ambiguous ({} matches found)",
            Id::KIND,
            many.len()
        ))),
    }
}

impl State {
    /// The name a task goes by, and its container: `web.1.<id>`, with the node in place of slot 0.
    pub fn task_name(&self, task: &swarmrs_types::object::Task) -> String {
        let service = self
            .spec_of(task)
            .map_or_else(|| task.service.to_string(), |spec| spec.spec.name.clone());
        match (task.shown_slot(), task.node) {
            (0, Some(node)) => format!("{service}.{node}.{}", task.id),
            (slot, _) => format!("{service}.{slot}.{}", task.id),
        }
    }
}
