//! Which events a client asked for, as the engine understands the same filters for its own.

use swarmrs_types::filter::Filters;

use super::Message;

/// Kinds of objects that a filter can name, by id or name or the beginning of either. Naming one of a kind leaves out the
/// events of all other kinds, for their ids and names do not match.
const KINDS: [&str; 8] = [
    "config",
    "container",
    "daemon",
    "network",
    "node",
    "plugin",
    "secret",
    "service",
];

/// The filters of one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventFilter(Filters);

impl EventFilter {
    /// What the engine will refuse filters nothing: the engine answers first.
    pub fn new(text: &str) -> Self {
        Self(Filters::parse(text).unwrap_or_default())
    }

    pub fn lets_through(&self, message: &Message) -> bool {
        let Self(filters) = self;
        let id = message.actor.id.as_str();
        let name = message
            .actor
            .attributes
            .get("name")
            .map_or("", String::as_str);
        let fuzzy = |kind: &&str| filters.any_prefix(kind, id) || filters.any_prefix(kind, name);
        let attributes = message.actor.attributes.iter();
        let labels = attributes.map(|(key, value)| ((*key).to_owned(), value.clone()));
        filters.exact("event", message.action)
            && filters.exact("type", message.kind)
            && filters.exact("scope", message.scope)
            && filters.exact("image", id)
            && KINDS.iter().chain(&["volume"]).all(fuzzy)
            && filters.labels("label", &labels.collect())
    }
}
