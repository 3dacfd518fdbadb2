//! Finding an object by what a user typed: full id, exact name, or a prefix of the id.

use super::State;
use swarmrs_types::{ConfigId, Fault, Kind, NetworkId, NodeId, SecretId, ServiceId, TaskId};

/// A kind of object that users name.
pub trait Found: Copy + Ord + Sized {
    const KIND: Kind;
    /// Every object of the kind: its id and its name.
    fn all(state: &State) -> Vec<(Self, String)>;
    fn text(&self) -> &str;
    /// Whether `term` is this name: with regard to case, unless Docker's look-up has none.
    fn is_name(name: &str, term: &str) -> bool {
        name == term
    }
}

impl Found for NodeId {
    const KIND: Kind = Kind::Node;

    fn all(state: &State) -> Vec<(Self, String)> {
        let named = |node: &std::sync::Arc<swarmrs_types::object::Node>| {
            (node.id, node.description.hostname.clone())
        };
        state.nodes().iter().map(named).collect()
    }

    fn text(&self) -> &str {
        self.as_str()
    }
}

impl Found for ServiceId {
    const KIND: Kind = Kind::Service;

    fn all(state: &State) -> Vec<(Self, String)> {
        let services = state.services().iter();
        services.map(|s| (s.id, s.name.clone())).collect()
    }

    fn text(&self) -> &str {
        self.as_str()
    }
}

impl Found for TaskId {
    const KIND: Kind = Kind::Task;

    fn all(state: &State) -> Vec<(Self, String)> {
        let tasks = state.tasks().iter();
        tasks.map(|t| (t.id, state.task_name(t))).collect()
    }

    fn text(&self) -> &str {
        self.as_str()
    }
}

impl Found for SecretId {
    const KIND: Kind = Kind::Secret;

    fn all(state: &State) -> Vec<(Self, String)> {
        let secrets = state.secrets().iter();
        secrets.map(|s| (s.id, s.spec.name.clone())).collect()
    }

    fn text(&self) -> &str {
        self.as_str()
    }

    fn is_name(name: &str, term: &str) -> bool {
        name.to_lowercase() == term.to_lowercase()
    }
}

impl Found for ConfigId {
    const KIND: Kind = Kind::Config;

    fn all(state: &State) -> Vec<(Self, String)> {
        let configs = state.configs().iter();
        configs.map(|c| (c.id, c.spec.name.clone())).collect()
    }

    fn text(&self) -> &str {
        self.as_str()
    }

    fn is_name(name: &str, term: &str) -> bool {
        name.to_lowercase() == term.to_lowercase()
    }
}

impl Found for NetworkId {
    const KIND: Kind = Kind::Network;

    fn all(state: &State) -> Vec<(Self, String)> {
        let networks = state.networks().iter();
        networks.map(|n| (n.id, n.name().to_owned())).collect()
    }

    fn text(&self) -> &str {
        self.as_str()
    }
}

/// The object `term` names. Errors: 404 if there is none, 400 if it could be several.
pub fn find<Id: Found + std::str::FromStr>(state: &State, term: &str) -> Result<Id, Fault> {
    let all = Id::all(state);
    if let Some((id, _)) = all.iter().find(|(id, _)| id.text() == term) {
        return Ok(*id);
    }
    let named = pick(&all, |_, name| Id::is_name(name, term));
    let chosen = if named.is_empty() {
        pick(&all, |id, _| {
            !term.is_empty() && id.text().starts_with(term)
        })
    } else {
        named
    };
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

fn pick<Id: Copy>(all: &[(Id, String)], wanted: impl Fn(&Id, &str) -> bool) -> Vec<Id> {
    let chosen = all.iter().filter(|(id, name)| wanted(id, name));
    chosen.map(|(id, _)| *id).collect()
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
