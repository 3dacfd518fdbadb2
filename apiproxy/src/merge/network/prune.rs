//! `POST /networks/prune`: the swarm's that nobody uses, then the engine's, whose twins are none of the user's to prune.

use http::request::Parts;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use swarmrs_core::control::network::prunable;
use swarmrs_node::label;
use swarmrs_types::filter::Filters;
use swarmrs_types::object::Network;
use swarmrs_types::{Fault, Timestamp};

use super::super::{ask, pass, unreachable_fault, whole, with_body, with_filters};
use super::Known;
use crate::handler::{Handlers, Query, unix_nanos};
use crate::route::Route;
use crate::server::Body;

#[derive(Debug, Default, Deserialize)]
struct Pruned {
    #[serde(rename = "NetworksDeleted", default)]
    networks: Option<Vec<String>>,
}

pub(super) async fn prune(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
) -> Result<Option<Response<Body>>, Fault> {
    let Some(known) = Known::look(handlers).await? else {
        return Ok(None);
    };
    let query = Query::parse(route.query());
    // The engine judges the filters before anything is removed.
    let answer = ask(handlers, route, &without_twins(route.query()), request).await;
    let answer = answer.map_err(|error| unreachable_fault(&error))?;
    if answer.status() != StatusCode::OK {
        return Ok(Some(pass(answer)));
    }
    let filters = Filters::parse(query.get("filters"))?;
    let mut removed = remove_unused(handlers, &known, &filters).await;
    let (head, body) = answer.into_parts();
    let engines: Pruned = serde_json::from_slice(&whole(body).await?).unwrap_or_default();
    let is_twin = |name: &String| known.doubles.iter().any(|double| double["Name"] == **name);
    let own = engines.networks.unwrap_or_default().into_iter();
    removed.extend(own.filter(|name| !is_twin(name)));
    let removed = (!removed.is_empty()).then_some(removed);
    let body = swarmrs_types::json::to_vec(&json!({ "NetworksDeleted": removed }));
    Ok(Some(with_body(head, body.into())))
}

/// One that came into use meanwhile stays.
async fn remove_unused(handlers: &Handlers, known: &Known, filters: &Filters) -> Vec<String> {
    let mut removed = Vec::new();
    let networks = known.state.iter().flat_map(|state| prunable(state));
    for network in networks.filter(|network| is_wanted(network, filters)) {
        if handlers
            .node
            .remove_network(network.id.as_str())
            .await
            .is_ok()
        {
            removed.push(network.spec.name.clone());
        }
    }
    removed
}

fn is_wanted(network: &Network, filters: &Filters) -> bool {
    let labels = &network.spec.labels;
    let unwanted = filters.contains("label!") && filters.labels("label!", labels);
    let mut until = filters.values("until");
    !unwanted
        && filters.labels("label", labels)
        && until.all(|until| is_older(network.meta.created_at, until, Timestamp::now()))
}

/// Whether it was made before a moment: an age of Go's kind, a time, or seconds since 1970. What is none of these, which the
/// engine has refused, nothing is older than.
fn is_older(made: Timestamp, until: &str, now: Timestamp) -> bool {
    let ago = age(until).map(|age| now.unix_nanos() - age);
    let time = || Timestamp::parse(until).map(Timestamp::unix_nanos);
    let seconds = || unix_nanos(until).map(i128::from);
    let until = ago.or_else(time).or_else(seconds);
    until.is_some_and(|until| made.unix_nanos() < until)
}

/// Nanoseconds of `1h30m`; none if it is no such age.
fn age(text: &str) -> Option<i128> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..unit].parse().ok()?;
        let end = rest[unit..].find(|c: char| c.is_ascii_digit());
        let end = end.map_or(rest.len(), |end| unit + end);
        let nanos = match &rest[unit..end] {
            "h" => 3_600e9,
            "m" => 60e9,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        sum += number * nanos;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(sum as i128)
}

/// The query with a filter more, in the notation that the client uses. The engine leaves out what has all of the labels of
/// `label!`, so where the client names some there can be no other; a twin that is pruned then is made again when needed.
fn without_twins(query: &str) -> String {
    let given = Query::parse(query).get("filters").to_owned();
    let filters: Result<Map<String, Value>, _> = serde_json::from_str(&given);
    // What is no JSON is the engine's to refuse.
    let Some(mut filters) = filters.ok().or_else(|| given.is_empty().then(Map::new)) else {
        return query.to_owned();
    };
    if filters.contains_key("label!") {
        return query.to_owned();
    }
    let is_list = filters.values().any(Value::is_array);
    let empty = if is_list { json!([]) } else { json!({}) };
    match filters.entry("label!").or_insert(empty) {
        Value::Object(labels) => drop(labels.insert(label::TWIN.to_owned(), json!(true))),
        Value::Array(labels) => labels.push(json!(label::TWIN)),
        _ => return query.to_owned(),
    }
    with_filters(query, &Value::Object(filters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    #[test]
    fn an_age_a_time_and_seconds_say_until_when() {
        let time = |text: &str| Timestamp::parse(text).unwrap();
        let now = time("2026-11-26T12:00:00Z");
        let made = time("2026-11-26T11:00:00Z");
        for (until, expected) in [
            ("30m", true),
            ("59m59.5s", true),
            ("1h0m1s", false),
            ("2h", false),
            ("2026-11-26T11:00:01Z", true),
            ("2026-11-26T10:59:59Z", false),
            ("1764154800", false),
            ("1795690801", true),
            ("soon", false),
            ("", false),
        ] {
            assert_eq!(is_older(made, until, now), expected, "{until}");
        }
    }

    #[test]
    fn twins_are_left_out_in_the_clients_notation() {
        let edited = |filters: &str| {
            let filters = utf8_percent_encode(filters, NON_ALPHANUMERIC).to_string();
            let query = without_twins(&format!("filters={filters}"));
            Query::parse(&query).get("filters").to_owned()
        };
        assert_eq!(
            Query::parse(&without_twins("")).get("filters"),
            r#"{"label!":{"swarmrs.network.id":true}}"#
        );
        assert_eq!(
            edited(r#"{"label":["a"]}"#),
            r#"{"label":["a"],"label!":["swarmrs.network.id"]}"#
        );
        assert_eq!(
            edited(r#"{"label!":{"a":true}}"#),
            r#"{"label!":{"a":true}}"#
        );
        assert_eq!(edited("{"), "{");
    }
}
