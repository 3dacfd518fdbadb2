//! `POST /containers/create`, if a network of the swarm is named in it.

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use swarmrs_core::control::network::attachment::AttachRequest;
use swarmrs_node::{label, resolve_with_us, way_out};
use swarmrs_types::{Fault, json as docker_json};

use super::super::lease::{self, Taken};
use super::super::network::{Choice, EndpointSettings, Known};
use super::super::{ask_with, pass, target, unreachable_fault};
use crate::handler::{Handlers, Query, read};
use crate::route::Route;
use crate::server::Body;

/// Networks that are none by name.
const MODES: [&str; 5] = ["", "default", "bridge", "host", "none"];

/// Of the request, what names networks.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Create {
    host_config: Option<HostConfig>,
    networking_config: Option<NetworkingConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    network_mode: String,
    dns: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkingConfig {
    endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>>,
}

impl Create {
    /// The name servers that are named.
    fn resolvers(&self) -> Vec<IpAddr> {
        let host = self.host_config.as_ref();
        let servers = host
            .and_then(|host| host.dns.as_ref())
            .into_iter()
            .flatten();
        servers.filter_map(|server| server.parse().ok()).collect()
    }

    /// The networks that are named, with what is asked of each.
    fn networks(self) -> BTreeMap<String, EndpointSettings> {
        let endpoints = self
            .networking_config
            .and_then(|config| config.endpoints_config);
        let endpoints = endpoints.unwrap_or_default().into_iter();
        let mut named: BTreeMap<String, EndpointSettings> = endpoints
            .map(|(term, settings)| (term, settings.unwrap_or_default()))
            .collect();
        named
            .entry(self.host_config.unwrap_or_default().network_mode)
            .or_default();
        named.retain(|term, _| !MODES.contains(&term.as_str()) && !term.starts_with("container:"));
        named
    }
}

pub(in crate::merge) async fn create(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
    mut body: Incoming,
) -> Result<Option<Response<Body>>, Fault> {
    // What is too long or cannot be read is the engine's to judge.
    let Ok(bytes) = read(&mut body).await else {
        return Ok(None);
    };
    let Ok(decoded) = docker_json::from_slice::<Create>(&bytes) else {
        return Ok(None);
    };
    let resolvers = decoded.value.resolvers();
    let named = decoded.value.networks();
    if named.is_empty() {
        return Ok(None);
    }
    let terms: Vec<String> = named.keys().cloned().collect();
    let Some(known) = Known::look(handlers).await? else {
        return Ok(None);
    };
    let wanted = of_the_swarm(&known, named);
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut container: Value = match serde_json::from_slice(&bytes) {
        Ok(container) => container,
        Err(_) => return Ok(None),
    };
    let token = lease::token();
    let name = Query::parse(route.query())
        .get("name")
        .trim_start_matches('/')
        .to_owned();
    let own_way_out = way_out::has_own(terms.iter().map(String::as_str), &known.local);
    let mut requests = BTreeMap::new();
    for (term, settings) in wanted {
        let request = lease::wanted(&term, &token, &name, &settings, own_way_out, &resolvers)?;
        requests.insert(term, request);
    }
    let taken = take_all(handlers, requests, &known.doubles).await?;
    rewrite(&mut container, &token, &taken);
    let body = Bytes::from(container.to_string());
    let target = target(route, &["containers", "create"], route.query());
    let answer = ask_with(handlers, target, request, body).await;
    let made = answer
        .as_ref()
        .is_ok_and(|answer| answer.status().is_success());
    if !made {
        lease::give_back(handlers, taken.into_values()).await;
    }
    let answer = answer.map_err(|error| unreachable_fault(&error))?;
    Ok(Some(pass(answer)))
}

/// Those that are not the engine's own. One that is not known here is a manager's to refuse, as far as there is a swarm.
fn of_the_swarm(
    known: &Known,
    mut named: BTreeMap<String, EndpointSettings>,
) -> BTreeMap<String, EndpointSettings> {
    let candidates = known.candidates();
    named.retain(|term, _| match candidates.to_join(term) {
        Some(Choice::Swarm(_)) => true,
        Some(Choice::Local(_)) => false,
        None => known.in_swarm,
    });
    named
}

/// All leases or none.
async fn take_all(
    handlers: &Handlers,
    wanted: BTreeMap<String, AttachRequest>,
    listed: &[Value],
) -> Result<BTreeMap<String, Taken>, Fault> {
    let mut taken = BTreeMap::new();
    for (term, wanted) in wanted {
        match lease::take(handlers, wanted, listed).await {
            Ok(lease) => drop(taken.insert(term, lease)),
            Err(fault) => {
                lease::give_back(handlers, taken.into_values()).await;
                return Err(fault);
            }
        }
    }
    Ok(taken)
}

/// Names the twins in place of the networks, with the addresses that were given, and keeps the aliases from the engine.
fn rewrite(container: &mut Value, token: &str, taken: &BTreeMap<String, Taken>) {
    canonical(container, "HostConfig");
    canonical(container, "NetworkingConfig");
    canonical(container, "Labels");
    canonical(&mut container["HostConfig"], "NetworkMode");
    canonical(&mut container["NetworkingConfig"], "EndpointsConfig");
    for (term, taken) in taken {
        let twin = taken.link.twin.name.as_str();
        let mode = &mut container["HostConfig"]["NetworkMode"];
        if mode == term.as_str() {
            *mode = json!(twin);
        }
        let endpoints = &mut container["NetworkingConfig"]["EndpointsConfig"];
        if !endpoints.is_object() {
            *endpoints = Value::Object(Map::new());
        }
        if let Some(endpoints) = endpoints.as_object_mut() {
            let asked = endpoints.remove(term);
            let mut settings = asked.filter(Value::is_object).unwrap_or_else(|| json!({}));
            settings["Aliases"] = Value::Null;
            settings["NetworkID"] = json!("");
            if let (Some(settings), Some(given)) =
                (settings.as_object_mut(), taken.link.settings.as_object())
            {
                settings.extend(given.clone());
            }
            endpoints.insert(twin.to_owned(), settings);
        }
    }
    resolve_with_us(container);
    container["Labels"][label::LEASE] = json!(token);
}

/// The engine reads keys in any case; of ours there is one.
fn canonical(object: &mut Value, key: &str) {
    let Some(object) = object.as_object_mut() else {
        return;
    };
    let odd = object
        .keys()
        .find(|own| own.eq_ignore_ascii_case(key) && *own != key)
        .cloned();
    if let Some(value) = odd.and_then(|odd| object.remove(&odd)) {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmrs_node::{Link, Twin};

    fn networks(body: &str) -> Vec<String> {
        let create: Create = docker_json::from_slice(body.as_bytes()).unwrap().value;
        create.networks().into_keys().collect()
    }

    #[test]
    fn networks_are_named_in_two_places_and_in_any_case() {
        for (body, expected) in [
            ("{}", vec![]),
            (r#"{"HostConfig":{"NetworkMode":"bridge"}}"#, vec![]),
            (r#"{"HostConfig":{"NetworkMode":"container:x"}}"#, vec![]),
            (
                r#"{"HostConfig":{"NetworkMode":"web"},"NetworkingConfig":null}"#,
                vec!["web"],
            ),
            (r#"{"hostconfig":{"networkmode":"web"}}"#, vec!["web"]),
            (
                r#"{"HostConfig":{"NetworkMode":"a"},"NetworkingConfig":{"EndpointsConfig":{"b":null,"a":{}}}}"#,
                vec!["a", "b"],
            ),
        ] {
            assert_eq!(networks(body), expected, "{body}");
        }
    }

    #[test]
    fn the_engine_is_asked_for_the_twin_at_the_address_and_told_no_alias() {
        let twin = Twin {
            id: "e1".to_owned(),
            name: "web.x".to_owned(),
            network: "0123456789abcdefghijklmno".parse().unwrap(),
        };
        let settings = json!({"IPAMConfig": {"IPv4Address": "10.0.1.5"}});
        let taken = Taken {
            lease: "0123456789abcdefghijklmno".parse().unwrap(),
            link: Link {
                twin,
                settings,
                named: true,
            },
        };
        let mut container = json!({
            "Image": "i",
            "hostConfig": {"NetworkMode": "web", "Dns": ["1.1.1.1"]},
            "NetworkingConfig": {"EndpointsConfig": {"web": {"Aliases": ["www"], "DriverOpts": {"a": "b"}}, "l": null}},
        });
        rewrite(
            &mut container,
            "token",
            &BTreeMap::from([("web".to_owned(), taken)]),
        );
        let expected = json!({
            "Image": "i",
            "HostConfig": {"NetworkMode": "web.x", "Dns": ["169.254.77.53"]},
            "NetworkingConfig": {"EndpointsConfig": {
                "web.x": {
                    "Aliases": null, "NetworkID": "", "DriverOpts": {"a": "b"},
                    "IPAMConfig": {"IPv4Address": "10.0.1.5"},
                },
                "l": null,
            }},
            "Labels": {
                "swarmrs.lease": "token",
                "swarmrs.dns": "{\"Dns\":[\"1.1.1.1\"],\"DnsOptions\":null}",
            },
        });
        assert_eq!(container, expected);
    }
}
