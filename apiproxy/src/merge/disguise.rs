//! The engine's twins of swarm networks in the engine's answers: clients see the swarm's networks.
//!
//! Only what names a twin is changed: ids, the longer names, our resolver, our labels, aliases and ports that the engine was
//! never told. Everything else passes byte for byte, and a container that is on no network of the swarm passes whole.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use swarmrs_node::{BoundPort, Networks, Twin, TwinTable, label};
use swarmrs_types::{Fault, NetworkId};

use super::object::RawObject;
use super::{fault_of, with_filters};
use crate::handler::{Handlers, Query};

/// What the engine's answers are seen through.
pub(super) struct Disguise {
    /// By the engine's id.
    ids: BTreeMap<String, Twin>,
    /// By the engine's name.
    names: BTreeMap<String, Twin>,
    networks: Arc<Networks>,
    /// What the plane published for containers of this node.
    ports: Vec<BoundPort>,
}

/// Of a container, what says where it is.
#[derive(Debug, Default, Deserialize)]
struct Placed {
    #[serde(rename = "NetworkSettings", default)]
    settings: Settings,
}

#[derive(Debug, Default, Deserialize)]
struct Settings {
    #[serde(rename = "Networks", default)]
    networks: Option<BTreeMap<String, Joined>>,
}

#[derive(Debug, Default, Deserialize)]
struct Joined {
    #[serde(rename = "NetworkID", default)]
    id: String,
    #[serde(rename = "IPAddress", default)]
    address: String,
    #[serde(rename = "IPAMConfig", default)]
    fixed: Option<Fixed>,
    #[serde(rename = "Aliases", default)]
    aliases: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
struct Fixed {
    #[serde(rename = "IPv4Address", default)]
    address: String,
}

impl Joined {
    fn address(&self) -> Option<IpAddr> {
        let fixed = self.fixed.as_ref().map(|fixed| fixed.address.parse().ok());
        self.address.parse().ok().or(fixed.flatten())
    }
}

impl Disguise {
    pub fn new(table: &TwinTable, networks: Arc<Networks>, ports: Vec<BoundPort>) -> Self {
        let by = |key: fn(&Twin) -> &String| {
            let twins = table.values();
            twins
                .map(|twin| (key(twin).clone(), twin.clone()))
                .collect()
        };
        Self {
            ids: by(|twin| &twin.id),
            names: by(|twin| &twin.name),
            networks,
            ports,
        }
    }

    /// As it is at this moment.
    pub async fn now(handlers: &Handlers) -> Result<Self, Fault> {
        let networks = handlers.node.networks();
        let table = networks.twins.table().await;
        let table = table.map_err(|error| fault_of(&error))?;
        let ports = match table.is_empty() {
            true => Vec::new(),
            false => networks.ports().await,
        };
        Ok(Self::new(&table, networks.clone(), ports))
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// A query whose filter `network` names swarm networks by their twins' ids too: the engine knows no others.
    pub fn with_twins(&self, query: &str) -> String {
        let filters = serde_json::from_str(Query::parse(query).get("filters"));
        let Ok(Value::Object(mut filters)) = filters else {
            return query.to_owned();
        };
        let twins = |value: &str| {
            let named = self
                .ids
                .values()
                .filter(|twin| !value.is_empty() && twin.network.as_str().starts_with(value));
            named.map(|twin| twin.id.clone()).collect::<Vec<String>>()
        };
        match filters.get_mut("network") {
            Some(Value::Object(values)) => {
                let ids: Vec<String> = values.keys().flat_map(|value| twins(value)).collect();
                values.extend(ids.into_iter().map(|id| (id, json!(true))));
            }
            Some(Value::Array(values)) => {
                let texts = values.iter().filter_map(Value::as_str);
                let ids: Vec<String> = texts.flat_map(twins).collect();
                values.extend(ids.into_iter().map(|id| json!(id)));
            }
            _ => return query.to_owned(),
        }
        with_filters(query, &Value::Object(filters))
    }

    /// By its id; a container that was never started knows only the name.
    fn twin(&self, name: &str, id: &str) -> Option<&Twin> {
        match id {
            "" => self.names.get(name),
            id => self.ids.get(id),
        }
    }

    /// Whether a container, as the engine shows it, is on a network of the swarm.
    pub fn concerns(&self, container: &str) -> bool {
        let placed: Placed = serde_json::from_str(container).unwrap_or_default();
        let networks = placed.settings.networks.unwrap_or_default();
        let mut networks = networks.iter();
        networks.any(|(name, joined)| self.twin(name, &joined.id).is_some())
    }

    /// A container of `GET /containers/{id}/json`.
    pub fn inspected(&self, container: &mut RawObject) {
        let exposed = exposed(container);
        let resolver = resolver(container);
        container.edit("HostConfig", |host| {
            self.network_mode(host);
            resolver
                .into_iter()
                .for_each(|(key, value)| host.set(key, &value));
        });
        container.edit("Config", |config| config.edit("Labels", without_ours));
        let mut bound = Vec::new();
        container.edit("NetworkSettings", |settings| {
            settings.edit("Networks", |networks| bound = self.joined(networks));
            if !bound.is_empty() || !exposed.is_empty() {
                settings.set("Ports", &port_map(&exposed, &bound));
            }
        });
    }

    /// A container of `GET /containers/json`.
    pub fn listed(&self, container: &mut RawObject) {
        container.edit("HostConfig", |host| self.network_mode(host));
        container.edit("Labels", without_ours);
        let mut bound = Vec::new();
        container.edit("NetworkSettings", |settings| {
            settings.edit("Networks", |networks| bound = self.joined(networks));
        });
        if !bound.is_empty() {
            container.set("Ports", &port_list(&bound));
        }
    }

    fn network_mode(&self, host: &mut RawObject) {
        let mode: Option<String> = host.read("NetworkMode");
        let twin = mode.and_then(|mode| self.names.get(&mode).or_else(|| self.ids.get(&mode)));
        if let Some(twin) = twin {
            host.set("NetworkMode", &twin.shown_name());
        }
    }

    /// Shows the swarm's networks; returns what is published for the container on them.
    fn joined(&self, networks: &mut RawObject) -> Vec<&BoundPort> {
        let names: Vec<String> = networks
            .members()
            .map(|(name, _)| name.to_owned())
            .collect();
        let mut bound = Vec::new();
        for name in names {
            let joined: Joined = networks.read(&name).unwrap_or_default();
            let Some(twin) = self.twin(&name, &joined.id) else {
                continue;
            };
            let address = joined.address();
            bound.extend(
                address
                    .into_iter()
                    .flat_map(|address| self.published(twin.network, address)),
            );
            let aliases = self.aliases(twin.network, &joined);
            networks.edit(&name, |settings| {
                if !joined.id.is_empty() {
                    settings.set("NetworkID", &twin.network);
                }
                if !aliases.is_empty() {
                    settings.set("Aliases", &aliases);
                }
            });
            networks.rename(&name, twin.shown_name());
        }
        bound
    }

    fn published(&self, network: NetworkId, address: IpAddr) -> impl Iterator<Item = &BoundPort> {
        let own = move |port: &&BoundPort| port.network == network && port.address == address;
        self.ports.iter().filter(own)
    }

    /// The names that the swarm answers for, before those that the engine has of itself.
    fn aliases(&self, network: NetworkId, joined: &Joined) -> Vec<String> {
        let Some(address) = joined.address() else {
            return joined.aliases.clone().unwrap_or_default();
        };
        let facts = self.networks.facts();
        let ours = facts
            .holder_of(network, address)
            .map(|endpoint| endpoint.aliases.clone());
        let mut all = ours.unwrap_or_default();
        for alias in joined.aliases.iter().flatten() {
            if !all.contains(alias) {
                all.push(alias.clone());
            }
        }
        all
    }
}

fn without_ours(labels: &mut RawObject) {
    for ours in label::OURS {
        labels.remove(ours);
    }
}

/// `80/tcp` of the container's exposed ports.
fn exposed(container: &RawObject) -> Vec<String> {
    let config: Option<RawObject> = container.read("Config");
    let ports: Option<RawObject> = config.and_then(|config| config.read("ExposedPorts"));
    let ports = ports.iter().flat_map(RawObject::members);
    ports.map(|(port, _)| port.to_owned()).collect()
}

/// What the user asked for in place of our resolver; nothing if it is not ours.
fn resolver(container: &RawObject) -> Vec<(&'static str, Value)> {
    let host: Option<RawObject> = container.read("HostConfig");
    let servers: Option<Vec<String>> = host.and_then(|host| host.read("Dns"));
    if servers.as_deref() != Some(&[label::resolver()]) {
        return Vec::new();
    }
    let config: Option<RawObject> = container.read("Config");
    let labels: Option<BTreeMap<String, String>> = config.and_then(|config| config.read("Labels"));
    let asked = labels.and_then(|labels| labels.get(label::ASKED_DNS).cloned());
    let asked: Value = asked
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let mut shown = vec![("Dns", asked["Dns"].clone())];
    if asked["DnsOptions"].is_array() {
        shown.push(("DnsOptions", asked["DnsOptions"].clone()));
    }
    shown
}

/// As the engine shows its own: what is exposed and not published is there and `null`.
fn port_map(exposed: &[String], bound: &[&BoundPort]) -> Value {
    let mut map = serde_json::Map::new();
    for port in exposed {
        map.insert(port.clone(), Value::Null);
    }
    for port in bound {
        let key = format!("{}/{}", port.port, port.protocol.as_str());
        let binding = json!({"HostIp": host(port), "HostPort": port.host_port.to_string()});
        match map.get_mut(&key).and_then(Value::as_array_mut) {
            Some(bindings) => bindings.push(binding),
            None => drop(map.insert(key, json!([binding]))),
        }
    }
    Value::Object(map)
}

/// As the engine writes it.
fn host(port: &BoundPort) -> String {
    let all = || "0.0.0.0".to_owned();
    port.host_ip.map_or_else(all, |address| address.to_string())
}

fn port_list(bound: &[&BoundPort]) -> Vec<Value> {
    let shown = |port: &&BoundPort| {
        json!({
            "IP": host(port),
            "PrivatePort": port.port,
            "PublicPort": port.host_port,
            "Type": port.protocol.as_str(),
        })
    };
    bound.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use swarmrs_types::spec::Protocol;

    const SWARM_ID: &str = "0123456789abcdefghijklmno";

    fn disguise() -> Disguise {
        let network: NetworkId = SWARM_ID.parse().unwrap();
        let twin = Twin {
            id: "e1".to_owned(),
            name: format!("web.{SWARM_ID}"),
            network,
        };
        let port = BoundPort {
            network,
            address: "10.0.1.5".parse().unwrap(),
            protocol: Protocol::Tcp,
            port: 80,
            host_ip: None,
            host_port: 8080,
        };
        let engine = swarmrs_engine::Engine::connect(Path::new("/nowhere"));
        let networks = Arc::new(Networks::without_plane(engine));
        Disguise::new(&TwinTable::from([(network, twin)]), networks, vec![port])
    }

    fn edited(container: Value, edit: impl Fn(&Disguise, &mut RawObject)) -> Value {
        let text = container.to_string();
        assert!(disguise().concerns(&text));
        let mut object = RawObject::parse(text.as_bytes()).unwrap();
        edit(&disguise(), &mut object);
        serde_json::from_slice(&object.to_bytes()).unwrap()
    }

    #[test]
    fn an_inspected_container_is_on_the_swarms_network() {
        let container = json!({
            "Config": {
                "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
                "Labels": {"a": "b", "swarmrs.lease": "t", "swarmrs.dns": "{\"Dns\":[],\"DnsOptions\":[\"ndots:2\"]}"},
            },
            "HostConfig": {"Dns": ["169.254.77.53"], "DnsOptions": [], "NetworkMode": format!("web.{SWARM_ID}")},
            "NetworkSettings": {
                "Networks": {
                    format!("web.{SWARM_ID}"): {"NetworkID": "e1", "IPAddress": "10.0.1.5", "Aliases": ["c0ffee"]},
                    "local": {"NetworkID": "l1", "IPAddress": "172.18.0.2"},
                },
                "Ports": {},
            },
        });
        let expected = json!({
            "Config": {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}, "Labels": {"a": "b"}},
            "HostConfig": {"Dns": [], "DnsOptions": ["ndots:2"], "NetworkMode": "web"},
            "NetworkSettings": {
                "Networks": {
                    "web": {"NetworkID": SWARM_ID, "IPAddress": "10.0.1.5", "Aliases": ["c0ffee"]},
                    "local": {"NetworkID": "l1", "IPAddress": "172.18.0.2"},
                },
                "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": null},
            },
        });
        assert_eq!(edited(container, Disguise::inspected), expected);
    }

    #[test]
    fn a_users_own_resolver_is_left_alone() {
        let container = json!({
            "HostConfig": {"Dns": ["1.1.1.1"], "NetworkMode": "local"},
            "NetworkSettings": {"Networks": {"web": {"NetworkID": "e1"}}},
        });
        let shown = edited(container, Disguise::inspected);
        assert_eq!(
            shown["HostConfig"],
            json!({"Dns": ["1.1.1.1"], "NetworkMode": "local"})
        );
    }

    #[test]
    fn a_listed_container_shows_its_ports_and_no_label_of_ours() {
        let container = json!({
            "Labels": {"swarmrs.lease": "t"},
            "HostConfig": {"NetworkMode": "e1"},
            "NetworkSettings": {"Networks": {
                "web": {"NetworkID": "e1", "IPAddress": "", "IPAMConfig": {"IPv4Address": "10.0.1.5"}},
            }},
            "Ports": [],
        });
        let shown = edited(container, Disguise::listed);
        assert_eq!(shown["Labels"], json!({}));
        assert_eq!(shown["HostConfig"]["NetworkMode"], "web");
        assert_eq!(
            shown["NetworkSettings"]["Networks"]["web"]["NetworkID"],
            SWARM_ID
        );
        let ports =
            json!([{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]);
        assert_eq!(shown["Ports"], ports);
    }

    #[test]
    fn a_container_that_never_started_is_known_by_the_networks_name() {
        let on = |name: &str, id: &str| {
            let container = json!({"NetworkSettings": {"Networks": {name: {"NetworkID": id}}}});
            disguise().concerns(&container.to_string())
        };
        let twin = format!("web.{SWARM_ID}");
        assert!(on(&twin, ""));
        assert!(on("renamed", "e1"));
        // A network of that name which came after the twin went.
        assert!(!on(&twin, "l1"));
        assert!(!on("local", ""));
        assert!(!disguise().concerns("{}"));
    }

    #[test]
    fn a_swarm_network_in_a_filter_is_its_twin_too() {
        let filters = |text: &str| {
            let query = format!("all=1&filters={text}");
            Query::parse(&disguise().with_twins(&query))
                .get("filters")
                .to_owned()
        };
        let list = format!("{{\"network\":[\"{SWARM_ID}\"]}}");
        assert_eq!(
            filters(&list),
            format!("{{\"network\":[\"{SWARM_ID}\",\"e1\"]}}")
        );
        assert_eq!(
            filters("{\"network\":{\"0123\":true}}"),
            "{\"network\":{\"0123\":true,\"e1\":true}}"
        );
        assert_eq!(filters("{\"name\":[\"x\"]}"), "{\"name\":[\"x\"]}");
    }
}
