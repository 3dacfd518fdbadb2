//! What a container's networks come to in the requests that make and connect it. Pure.
//!
//! Each address is the swarm's to give, so it is fixed. Aliases are not the engine's to know: it would answer for them
//! with what it has on this node alone, before our own names are asked.

use super::label;
use super::twin::Twin;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use swarmrs_types::endpoint::Endpoint;
use swarmrs_types::spec::NetworkAttachmentConfig;

/// One network of a container in the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub twin: Twin,
    /// The engine's `EndpointSettings`.
    pub settings: Value,
    /// Whether names are looked up with us.
    pub named: bool,
}

impl Link {
    pub fn new(twin: Twin, endpoint: &Endpoint) -> Self {
        let settings = json!({ "IPAMConfig": fixed(endpoint) });
        Link {
            twin,
            settings,
            named: true,
        }
    }

    /// On a network of the engine's own: addresses and names are the engine's to give. Its driver may be told something.
    /// Aliases are dropped, as stock does.
    pub fn node_local(twin: Twin, asked: Option<&NetworkAttachmentConfig>) -> Self {
        let options = asked.map(|asked| &asked.driver_opts);
        let settings = match options {
            Some(options) if !options.is_empty() => json!({ "DriverOpts": options }),
            _ => json!({}),
        };
        Link {
            twin,
            settings,
            named: false,
        }
    }
}

fn fixed(endpoint: &Endpoint) -> Value {
    let mut fixed = Map::new();
    for address in &endpoint.addresses {
        let key = match address.addr() {
            IpAddr::V4(_) => "IPv4Address",
            IpAddr::V6(_) => "IPv6Address",
        };
        let text = json!(address.addr().to_string());
        fixed.entry(key).or_insert(text);
    }
    Value::Object(fixed)
}

/// Puts a container that is about to be made on its first network, and lets it look names up with us if that is one of ours.
pub fn join(container: &mut Value, first: &Link) {
    let name = first.twin.name.as_str();
    container["HostConfig"]["NetworkMode"] = json!(name);
    container["NetworkingConfig"] = json!({ "EndpointsConfig": { name: first.settings } });
    if first.named {
        resolve_with_us(container);
    }
}

/// The engine's own resolver asks only us. With `ndots` above 0 it would not ask for names of one label, which the names
/// of services are, so that option is left out. What was asked for is kept for those who look at the container.
pub fn resolve_with_us(container: &mut Value) {
    let host = &mut container["HostConfig"];
    let asked = json!({"Dns": host["Dns"], "DnsOptions": host["DnsOptions"]});
    host["Dns"] = json!([label::resolver()]);
    match host.get_mut("DnsOptions").and_then(Value::as_array_mut) {
        Some(options) => options.retain(|option| !is_ndots(option)),
        None => drop(host.as_object_mut().map(|host| host.remove("DnsOptions"))),
    }
    container["Labels"][label::ASKED_DNS] = json!(asked.to_string());
}

fn is_ndots(option: &Value) -> bool {
    option
        .as_str()
        .is_some_and(|text| text.starts_with("ndots:"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{endpoint, network_id};
    use super::*;

    fn twin(name: &str) -> Twin {
        Twin {
            id: format!("{name}-id"),
            name: name.to_owned(),
            network: network_id(1),
        }
    }

    fn link(name: &str, endpoint: &Endpoint) -> Link {
        Link::new(twin(name), endpoint)
    }

    #[test]
    fn on_a_network_of_the_engines_own_addresses_and_names_are_the_engines() {
        let mut asked = NetworkAttachmentConfig {
            target: "lan".to_owned(),
            aliases: vec!["www".to_owned()],
            ..NetworkAttachmentConfig::default()
        };
        let mut joined = |options: &[(&str, &str)]| {
            let options = options.iter();
            asked.driver_opts = options.map(|(k, v)| ((*k).into(), (*v).into())).collect();
            let mut container = json!({"HostConfig": {"Dns": ["1.1.1.1"]}});
            join(&mut container, &Link::node_local(twin("lan"), Some(&asked)));
            container
        };
        let expected = |settings: Value| {
            json!({
                "HostConfig": {"NetworkMode": "lan", "Dns": ["1.1.1.1"]},
                "NetworkingConfig": {"EndpointsConfig": {"lan": settings}},
            })
        };
        assert_eq!(joined(&[]), expected(json!({})));
        let told = json!({"DriverOpts": {"a": "b"}});
        assert_eq!(joined(&[("a", "b")]), expected(told));
    }

    #[test]
    fn a_container_is_made_on_its_first_network_at_its_address() {
        let mut container = json!({"Image": "x", "HostConfig": {"Dns": ["1.1.1.1"], "DnsOptions": ["ndots:2", "rotate"]}});
        join(&mut container, &link("web", &endpoint(1, 7, "10.0.1.5/24")));
        let expected = json!({
            "Image": "x",
            "HostConfig": {"NetworkMode": "web", "Dns": ["169.254.77.53"], "DnsOptions": ["rotate"]},
            "NetworkingConfig": {"EndpointsConfig": {"web": {"IPAMConfig": {"IPv4Address": "10.0.1.5"}}}},
            "Labels": {"swarmrs.dns": "{\"Dns\":[\"1.1.1.1\"],\"DnsOptions\":[\"ndots:2\",\"rotate\"]}"},
        });
        assert_eq!(container, expected);
    }

    #[test]
    fn both_families_are_fixed() {
        let mut both = endpoint(1, 7, "10.0.1.5/24");
        both.addresses.push("fd00::5/64".parse().unwrap());
        both.aliases.push("www".to_owned());
        let expected = json!({"IPAMConfig": {"IPv4Address": "10.0.1.5", "IPv6Address": "fd00::5"}});
        assert_eq!(link("web", &both).settings, expected);
    }
}
