//! Containers that are tasks or on networks of the swarm.
//!
//! The list's filter `is-task` goes by a flag of the engine's own that says whether its swarm made a container, and here that
//! swarm never exists. So tasks are known by their label: asked for, the filter becomes one for the label; asked to be left
//! out, they are taken from the answer. The filter `network` finds swarm networks by their twins.

mod create;
mod inspect;
mod life;

use std::collections::BTreeMap;

use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use swarmrs_types::Fault;

use super::disguise::Disguise;
use super::object::RawObject;
use super::{BROKEN_OFF, ask, pass, unreachable_fault, with_body, with_filters};
use crate::handler::{Handlers, Query, parse_bool};
use crate::refusal::refusal;
use crate::route::Route;
use crate::server::Body;

/// Every task's container has it, and nobody else's.
const TASK_LABEL: &str = "com.docker.swarm.task.id";

pub(super) use create::create;
pub(super) use inspect::inspect;
pub(super) use life::{remove, start};

/// Whether the filter may be among those of a query.
pub(super) fn concerns(query: &str) -> bool {
    !query.is_empty() && Query::parse(query).get("filters").contains("is-task")
}

pub(super) async fn list(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
) -> Result<Option<Response<Body>>, Fault> {
    let disguise = Disguise::now(handlers).await?;
    let (wanted, query) = match without_is_task(route.query()) {
        Some((wanted, query)) => (Some(wanted), query),
        None if disguise.is_empty() => return Ok(None),
        None => (None, route.query().to_owned()),
    };
    let query = disguise.with_twins(&query);
    let answer = ask(handlers, route, &query, request).await;
    let answer = answer.map_err(|error| unreachable_fault(&error))?;
    if wanted != Some(false) && disguise.is_empty() {
        return Ok(Some(pass(answer)));
    }
    Ok(Some(shown(answer, wanted, &disguise).await))
}

/// Whether tasks are wanted, and the query without the filter; `None` if it is not there, or is not for us to judge.
fn without_is_task(query: &str) -> Option<(bool, String)> {
    let filters: Map<String, Value> =
        serde_json::from_str(Query::parse(query).get("filters")).ok()?;
    let mut filters = filters;
    let wanted = single(&filters.remove("is-task")?)?;
    if wanted {
        add_label(&mut filters)?;
    }
    Some((wanted, with_filters(query, &Value::Object(filters))))
}

/// The filter's one value; several contradict each other, and the engine has words for that.
fn single(values: &Value) -> Option<bool> {
    let given: Vec<&str> = match values {
        Value::Object(values) => values.keys().map(String::as_str).collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    match given.as_slice() {
        [one] => parse_bool(one),
        _ => None,
    }
}

/// Adds the label in the notation that the client uses.
fn add_label(filters: &mut Map<String, Value>) -> Option<()> {
    let is_list = filters.values().any(Value::is_array);
    let empty = if is_list { json!([]) } else { json!({}) };
    match filters.entry("label").or_insert(empty) {
        Value::Object(labels) => drop(labels.insert(TASK_LABEL.to_owned(), json!(true))),
        Value::Array(labels) => labels.push(json!(TASK_LABEL)),
        _ => return None,
    }
    Some(())
}

#[derive(Deserialize)]
struct Labelled {
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

async fn shown(
    answer: Response<Incoming>,
    tasks_wanted: Option<bool>,
    disguise: &Disguise,
) -> Response<Body> {
    if answer.status() != StatusCode::OK {
        return pass(answer);
    }
    let (head, body) = answer.into_parts();
    let Ok(body) = body.collect().await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, BROKEN_OFF);
    };
    let bytes = body.to_bytes();
    let Ok(mut containers) = serde_json::from_slice::<Vec<Box<RawValue>>>(&bytes) else {
        return with_body(head, bytes);
    };
    if tasks_wanted == Some(false) {
        containers.retain(|container| !is_task(container));
    }
    for container in &mut containers {
        disguise_one(container, disguise);
    }
    with_body(head, swarmrs_types::json::to_vec(&containers).into())
}

fn disguise_one(container: &mut Box<RawValue>, disguise: &Disguise) {
    if !disguise.concerns(container.get()) {
        return;
    }
    let Ok(mut object) = RawObject::parse(container.get().as_bytes()) else {
        return;
    };
    disguise.listed(&mut object);
    if let Ok(raw) = serde_json::value::to_raw_value(&object) {
        *container = raw;
    }
}

fn is_task(container: &RawValue) -> bool {
    let labelled: Result<Labelled, _> = serde_json::from_str(container.get());
    let labels = labelled.ok().and_then(|labelled| labelled.labels);
    labels.is_some_and(|labels| labels.contains_key(TASK_LABEL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    fn edited(filters: &str) -> Option<(bool, String)> {
        let filters = utf8_percent_encode(filters, NON_ALPHANUMERIC).to_string();
        let (wanted, query) = without_is_task(&format!("all=1&filters={filters}&limit=3"))?;
        assert!(query.starts_with("all=1&limit=3&filters="), "{query}");
        Some((wanted, Query::parse(&query).get("filters").to_owned()))
    }

    #[test]
    fn tasks_are_asked_for_by_their_label_in_the_clients_notation() {
        let map = edited(r#"{"is-task":{"true":true},"name":{"x":true}}"#).unwrap();
        let expected = r#"{"label":{"com.docker.swarm.task.id":true},"name":{"x":true}}"#;
        assert_eq!(map, (true, expected.to_owned()));
        let list = edited(r#"{"is-task":["true"],"label":["a"]}"#).unwrap();
        let expected = r#"{"label":["a","com.docker.swarm.task.id"]}"#;
        assert_eq!(list, (true, expected.to_owned()));
    }

    #[test]
    fn the_others_are_asked_for_without_the_filter() {
        let given = edited(r#"{"is-task":["false"],"name":["x"]}"#).unwrap();
        assert_eq!(given, (false, r#"{"name":["x"]}"#.to_owned()));
    }

    #[test]
    fn what_is_not_for_us_to_judge_is_forwarded() {
        for filters in [
            r#"{"name":["x"]}"#,
            r#"{"is-task":["true","false"]}"#,
            r#"{"is-task":["maybe"]}"#,
            "x",
            "",
        ] {
            assert_eq!(edited(filters), None, "{filters}");
        }
    }

    #[test]
    fn a_container_is_a_task_by_its_label() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        assert!(is_task(&raw(
            r#"{"Labels":{"com.docker.swarm.task.id":"x"}}"#
        )));
        assert!(!is_task(&raw(r#"{"Labels":{"a":"x"}}"#)));
        assert!(!is_task(&raw(r#"{"Labels":null}"#)));
    }
}
