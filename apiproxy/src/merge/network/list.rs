//! `GET /networks`: the swarm's first, then the engine's own.

use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;
use swarmrs_node::{label, read_twin};
use swarmrs_types::filter::Filters;
use swarmrs_types::{Fault, json};

use super::super::{ask, pass, unreachable_fault, whole, with_body};
use super::Known;
use super::filter::{Seen, lets_through};
use crate::handler::{Handlers, Query};
use crate::route::Route;
use crate::server::Body;
use crate::version::version;
use crate::view;

pub(super) async fn list(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
) -> Result<Option<Response<Body>>, Fault> {
    let Some(known) = Known::look(handlers).await? else {
        return Ok(None);
    };
    let answer = ask(handlers, route, route.query(), request).await;
    let answer = answer.map_err(|error| unreachable_fault(&error))?;
    // The engine judges the filters.
    if answer.status() != StatusCode::OK {
        return Ok(Some(pass(answer)));
    }
    let filters = Filters::parse(Query::parse(route.query()).get("filters"))?;
    let (head, body) = answer.into_parts();
    let bytes = whole(body).await?;
    let Ok(engines) = serde_json::from_slice::<Vec<Box<RawValue>>>(&bytes) else {
        return Ok(Some(with_body(head, bytes)));
    };
    let with_containers = route.version.is_some_and(|asked| asked < version(1, 28));
    let mut all = ours(&known, &filters, with_containers);
    all.extend(engines.into_iter().filter(|network| !is_twin(network)));
    Ok(Some(with_body(head, json::to_vec(&all).into())))
}

/// The swarm's that the filters let through; without the swarm's objects, what the twins say.
fn ours(known: &Known, filters: &Filters, with_containers: bool) -> Vec<Box<RawValue>> {
    match &known.state {
        Some(state) => {
            let networks = state.networks().iter().filter(|one| !one.is_predefined());
            let wanted = networks.filter(|network| {
                lets_through(
                    filters,
                    Seen {
                        id: network.id.as_str(),
                        name: &network.spec.name,
                        driver: network.driver(),
                        labels: &network.spec.labels,
                    },
                )
            });
            let shown = wanted.map(|network| {
                let shown = view::network(network);
                raw(&match with_containers {
                    true => shown.with_containers(view::containers(Value::Null)),
                    false => shown,
                })
            });
            shown.flatten().collect()
        }
        None => known
            .doubles
            .iter()
            .filter_map(|double| shown_twin(double, filters))
            .collect(),
    }
}

fn shown_twin(double: &Value, filters: &Filters) -> Option<Box<RawValue>> {
    let twin = read_twin(double)?;
    let shown = view::of_twin(&twin, double);
    let labels = Default::default();
    let seen = Seen {
        id: twin.network.as_str(),
        name: twin.shown_name(),
        driver: shown["Driver"].as_str().unwrap_or_default(),
        labels: &labels,
    };
    lets_through(filters, seen).then(|| raw(&shown))?
}

fn raw<T: serde::Serialize>(value: &T) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

fn is_twin(network: &RawValue) -> bool {
    // Only what mentions the label is looked at closely.
    network.get().contains(label::TWIN)
        && serde_json::from_str::<Value>(network.get()).is_ok_and(|one| read_twin(&one).is_some())
}
