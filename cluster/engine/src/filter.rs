//! The `filters` of list and event calls.

use std::collections::BTreeMap;

/// Conditions per kind: values of one kind are alternatives (labels: all must hold), kinds must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    pub fn new() -> Self {
        Self::default()
    }

    /// `label`, either `key` or `key=value`.
    pub fn label(self, label: impl Into<String>) -> Self {
        self.with("label", label)
    }

    /// Any other kind the engine knows for the call: `name`, `id`, `status`, `driver`, …
    pub fn with(mut self, kind: &str, value: impl Into<String>) -> Self {
        self.0
            .entry(kind.to_owned())
            .or_default()
            .push(value.into());
        self
    }

    pub(crate) fn json(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    pub(crate) fn into_map(self) -> impl Iterator<Item = (String, Vec<String>)> {
        self.0.into_iter()
    }
}
