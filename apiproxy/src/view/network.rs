//! `Network` of the API, as `docker network ls` and `inspect` show it.
//!
//! The networks that every node has, `bridge`, `host` and `none`, are networks of the swarm too: the stock client asks for
//! them by `scope=swarm` when a service is to use the host's network. They are in no list.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use swarmrs_core::State;
use swarmrs_node::{Facts, Twin, is_overlay_twin, label};
use swarmrs_types::object;
use swarmrs_types::{ServiceId, Timestamp};

/// The option that lists the networks' identifiers on the wire, one for each subnet.
const VXLAN_IDS: &str = "com.docker.network.driver.overlay.vxlanid_list";

/// One network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network<'a> {
    name: &'a str,
    id: &'a str,
    created: Timestamp,
    scope: &'static str,
    driver: &'a str,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam<'a>,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_from: ConfigFrom<'a>,
    config_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    containers: Option<Value>,
    options: Option<BTreeMap<String, String>>,
    labels: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    peers: Vec<Peer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<BTreeMap<String, Service>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam<'a> {
    driver: &'static str,
    options: Option<&'a BTreeMap<String, String>>,
    config: Vec<Subnet>,
}

/// As it was allocated.
#[derive(Debug, Serialize)]
pub(super) struct Subnet {
    #[serde(rename = "Subnet")]
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty")]
    range: String,
    #[serde(rename = "Gateway")]
    gateway: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFrom<'a> {
    network: &'a str,
}

/// A node that carries the network.
#[derive(Debug, Serialize)]
pub struct Peer {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "IP")]
    ip: String,
}

/// What `docker network inspect --verbose` tells of a service.
#[derive(Debug, Serialize)]
pub struct Service {
    #[serde(rename = "VIP")]
    vip: String,
    #[serde(rename = "Ports")]
    ports: Vec<String>,
    #[serde(rename = "LocalLBIndex")]
    local_lb_index: u32,
    #[serde(rename = "Tasks")]
    tasks: Vec<Task>,
}

#[derive(Debug, Serialize)]
struct Task {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint: String,
    #[serde(rename = "EndpointIP")]
    ip: String,
    #[serde(rename = "Info")]
    info: BTreeMap<&'static str, String>,
}

impl Network<'_> {
    /// With those of this node that are on it.
    pub fn with_containers(mut self, containers: Value) -> Self {
        self.containers = Some(containers);
        self
    }

    /// With the nodes that carry it.
    pub fn with_peers(mut self, peers: Vec<Peer>) -> Self {
        self.peers = peers;
        self
    }

    /// With the services on it, wherever they run.
    pub fn with_services(mut self, services: BTreeMap<String, Service>) -> Self {
        self.services = Some(services);
        self
    }
}

/// A network that is each engine's own, with what this node's engine made of it: addresses and options are the node's.
pub fn node_local(network: &object::Network, double: &Value) -> Value {
    let mut shown = serde_json::to_value(self::network(network)).unwrap_or_default();
    for key in ["EnableIPv6", "IPAM", "Options", "Labels", "Containers"] {
        shown[key] = double[key].clone();
    }
    unmark(&mut shown);
    shown
}

/// Shows a network as lists do.
pub fn network(network: &object::Network) -> Network<'_> {
    let spec = &network.spec;
    // The first network of a swarm is made with none, others without any: Docker shows the difference.
    let labels = (is_first(network) || !spec.labels.is_empty()).then_some(&spec.labels);
    let ipam_options = spec.ipam.as_ref().map(|ipam| &ipam.options);
    Network {
        name: &spec.name,
        id: network.id.as_str(),
        created: network.meta.created_at,
        scope: "swarm",
        driver: network.driver(),
        enable_ipv4: true,
        enable_ipv6: spec.enable_ipv6.unwrap_or_default(),
        ipam: Ipam {
            driver: if network.is_predefined() {
                ""
            } else {
                "default"
            },
            options: ipam_options.filter(|options| !options.is_empty()),
            config: subnets(network),
        },
        internal: spec.internal,
        attachable: spec.attachable,
        ingress: spec.ingress,
        config_from: ConfigFrom {
            network: spec.config_from.as_ref().map_or("", |from| &from.network),
        },
        config_only: false,
        containers: None,
        options: options(network),
        labels,
        peers: Vec::new(),
        services: None,
    }
}

/// Whether it is the ingress network that a swarm begins with.
pub(super) fn is_first(network: &object::Network) -> bool {
    network.spec.ingress && network.name() == "ingress"
}

/// What was asked for, and the identifiers that were allocated.
pub(super) fn options(network: &object::Network) -> Option<BTreeMap<String, String>> {
    if network.segments.is_empty() {
        return None;
    }
    let ids = network
        .segments
        .iter()
        .map(|one| one.segment.vni.to_string());
    let ids = ids.collect::<Vec<_>>().join(",");
    let mut options = network.spec.options.clone();
    options.insert(VXLAN_IDS.to_owned(), ids);
    Some(options)
}

pub(super) fn subnets(network: &object::Network) -> Vec<Subnet> {
    let shown = |one: &object::Allocated| Subnet {
        subnet: one.segment.subnet.to_string(),
        range: one.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: one.segment.gateway.to_string(),
    };
    network.segments.iter().map(shown).collect()
}

/// The nodes that this one was told of.
pub fn peers(facts: &Facts) -> Vec<Peer> {
    let peer = |peer: &swarmrs_types::endpoint::Peer| Peer {
        name: peer.node.as_str().chars().take(12).collect(),
        ip: peer.data_path.to_string(),
    };
    facts.peers().map(peer).collect()
}

/// The services on a network, by name.
pub fn services(state: &State, network: &object::Network) -> BTreeMap<String, Service> {
    let mut services: BTreeMap<ServiceId, (String, Service)> = BTreeMap::new();
    for service in state.services().iter() {
        let vip = service.endpoint.virtual_ips.iter();
        let vip = vip
            .filter(|vip| vip.network == network.id)
            .map(|vip| bare(&vip.addr))
            .next();
        let ports = service.endpoint.ports.iter();
        let ports = ports.filter(|_| network.spec.ingress).map(|port| {
            format!(
                "Target: {}, Publish: {}",
                port.target_port, port.published_port
            )
        });
        if let Some(vip) = vip {
            let shown = Service {
                vip,
                ports: ports.collect(),
                local_lb_index: 0,
                tasks: Vec::new(),
            };
            services.insert(service.id, (service.name.clone(), shown));
        }
    }
    for task in state.tasks().iter() {
        let Some(address) = address_on(task, network) else {
            continue;
        };
        let name = || {
            state
                .services()
                .get(&task.service)
                .map(|service| service.name.clone())
        };
        let entry = services.entry(task.service).or_insert_with(|| {
            let shown = Service {
                vip: "<nil>".to_owned(),
                ports: Vec::new(),
                local_lb_index: 0,
                tasks: Vec::new(),
            };
            (name().unwrap_or_else(|| task.service.to_string()), shown)
        });
        entry.1.tasks.push(shown_task(state, task, address));
    }
    services.into_values().collect()
}

fn address_on(task: &object::Task, network: &object::Network) -> Option<String> {
    if task.status.state != swarmrs_types::TaskState::Running {
        return None;
    }
    let attached = task.networks.iter().find(|one| one.network == network.id)?;
    Some(attached.addresses.first()?.addr().to_string())
}

fn shown_task(state: &State, task: &object::Task, ip: String) -> Task {
    let node = task.node.and_then(|node| state.nodes().get(&node));
    let host = node
        .map(|node| node.status.addr.clone())
        .unwrap_or_default();
    Task {
        name: state.task_name(task),
        endpoint: task.id.to_string(),
        ip,
        info: BTreeMap::from([("Host IP", host)]),
    }
}

fn bare(cidr: &str) -> String {
    cidr.split('/').next().unwrap_or_default().to_owned()
}

/// A network of the swarm of which this node knows no more than its engine's twin.
pub fn of_twin(twin: &Twin, double: &Value) -> Value {
    let mut shown = double.clone();
    shown["Name"] = Value::from(twin.shown_name());
    shown["Id"] = Value::from(twin.network.as_str());
    shown["Scope"] = Value::from("swarm");
    if is_overlay_twin(double) {
        shown["Driver"] = Value::from("overlay");
        shown["Options"] = Value::Null;
    }
    unmark(&mut shown);
    shown
}

/// Which twin it is, is between us and the engine.
fn unmark(shown: &mut Value) {
    if let Some(labels) = shown["Labels"].as_object_mut() {
        labels.remove(label::TWIN);
    }
}

/// The engine's `Containers`, or none.
pub fn containers(of_engine: Value) -> Value {
    match of_engine {
        Value::Object(containers) => Value::Object(containers),
        _ => Value::Object(Map::new()),
    }
}
