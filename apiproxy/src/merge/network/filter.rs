//! Which networks of the swarm a list's filters let through. Pure.
//!
//! The engine has judged the filters already. As for its own networks, `id` and `name` are patterns (Docker's manager finds
//! networks that its own engine does not carry by their whole names only, which nobody expects). Nobody that the filter knows
//! of uses the swarm's. Source: moby `daemon/network/filter.go`.

use std::collections::BTreeMap;

use regex::Regex;
use swarmrs_types::filter::Filters;

use crate::handler::parse_bool;

/// What of a network the filters look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub driver: &'a str,
    pub labels: &'a BTreeMap<String, String>,
}

/// Whether the network is wanted.
pub(super) fn lets_through(filters: &Filters, network: Seen<'_>) -> bool {
    filters.exact("driver", network.driver)
        && filters.exact("scope", "swarm")
        && pattern(filters, "id", network.id)
        && pattern(filters, "name", network.name)
        && filters.labels("label", network.labels)
        && filters.exact("type", "custom")
        && is_wanted_unused(filters)
}

/// Whether one of the key's values is found in the text, or it has none.
fn pattern(filters: &Filters, key: &str, text: &str) -> bool {
    let mut values = filters.values(key).peekable();
    let finds = |value: &str| Regex::new(value).is_ok_and(|pattern| pattern.is_match(text));
    values.peek().is_none() || values.any(finds)
}

fn is_wanted_unused(filters: &Filters) -> bool {
    let mut values = filters.values("dangling");
    values
        .next()
        .is_none_or(|value| parse_bool(value) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_swarms_networks_are_narrowed_as_the_engines_are() {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let network = Seen {
            id: "abc123",
            name: "web_front",
            driver: "overlay",
            labels: &labels,
        };
        for (filters, expected) in [
            ("", true),
            (r#"{"driver":["overlay"]}"#, true),
            (r#"{"driver":["bridge"]}"#, false),
            (r#"{"driver":["bridge","overlay"]}"#, true),
            (r#"{"scope":["swarm"]}"#, true),
            (r#"{"scope":{"local":true}}"#, false),
            (r#"{"name":["front"]}"#, true),
            (r#"{"name":["^front"]}"#, false),
            (r#"{"name":["["]}"#, false),
            (r#"{"id":["c1"]}"#, true),
            (r#"{"id":["x"]}"#, false),
            (r#"{"label":["a"]}"#, true),
            (r#"{"label":["a=c"]}"#, false),
            (r#"{"type":["custom"]}"#, true),
            (r#"{"type":["builtin"]}"#, false),
            (r#"{"dangling":["true"]}"#, true),
            (r#"{"dangling":["0"]}"#, false),
        ] {
            let parsed = Filters::parse(filters).unwrap();
            assert_eq!(lets_through(&parsed, network), expected, "{filters}");
        }
    }
}
