//! Networks of the swarm that are each engine's own: what the engine is asked for, and whose tasks need it. Pure.
//!
//! Such a network (`docker network create -d macvlan --scope swarm --config-from NAME`) is made before the first task of
//! this node that is on it and goes with the last. Its settings stand in a configuration of that name that whoever keeps
//! the node has made. They are copied into the network: an engine takes no label beside a configuration's name, and a twin
//! is known by its label. As in the stock swarm nothing of the swarm's own settings but the driver's name, labels,
//! `--internal` and `--ipv6` reaches the engine. Source: swarmkit `cnmallocator/networkallocator.go`, moby
//! `daemon/cluster/executor/container/container.go`, `libnetwork/network.go`.

use super::label;
use super::twin::Wanted;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use swarmrs_engine::Error;
use swarmrs_types::assignment::{NodeLocal, Order};
use swarmrs_types::{NetworkId, TaskId};

/// The name of the configuration that the network's settings are taken from.
pub fn configuration(network: &NodeLocal) -> Option<&str> {
    let from = network.spec.config_from.as_ref();
    from.map(|from| from.network.as_str())
        .filter(|name| !name.is_empty())
}

/// What is said where a node has no such configuration; the words are the engine's own.
pub fn no_configuration(name: &str) -> Error {
    Error::Api {
        status: 404,
        message: format!("configuration network {name:?} does not exist"),
    }
}

/// Whether what the engine shows under a configuration's name is one.
pub fn is_configuration(shown: &Value, name: &str) -> bool {
    shown["Name"] == name && shown["ConfigOnly"] == true
}

/// What makes the network, with the settings of its configuration as the engine shows it, if it has one.
pub fn wanted(network: &NodeLocal, configuration: Option<&Value>) -> Wanted {
    let none = Value::Null;
    let from = configuration.unwrap_or(&none);
    let spec = &network.spec;
    let mut labels = from["Labels"].as_object().cloned().unwrap_or_default();
    let own = spec.labels.iter();
    labels.extend(own.map(|(key, value)| (key.clone(), json!(value))));
    labels.insert(label::TWIN.to_owned(), json!(network.id.as_str()));
    let mut body = json!({
        "CheckDuplicate": true,
        "Driver": spec.driver,
        "Internal": spec.internal,
        "EnableIPv6": spec.enable_ipv6 == Some(true) || from["EnableIPv6"] == true,
        "Options": from["Options"],
        "Labels": labels,
    });
    if from["IPAM"].is_object() {
        body["IPAM"] = from["IPAM"].clone();
    }
    Wanted {
        network: network.id,
        name: spec.name.clone(),
        subnets: Vec::new(),
        body,
    }
}

/// The networks that tasks of this node need, made or not.
#[derive(Debug, Default)]
pub struct Needed(BTreeMap<TaskId, BTreeSet<NetworkId>>);

impl Needed {
    pub fn add(&mut self, order: &Order) {
        if !order.node_local.is_empty() {
            let networks = order.node_local.iter().map(|network| network.id);
            self.0.insert(order.task, networks.collect());
        }
    }

    /// Whether that may have been the last task of a network.
    pub fn release(&mut self, task: TaskId) -> bool {
        self.0.remove(&task).is_some()
    }

    pub fn contains(&self, network: NetworkId) -> bool {
        self.0.values().any(|needed| needed.contains(&network))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::network_id;
    use super::*;
    use crate::executor::fake::{order, task};

    fn network(spec: Value) -> NodeLocal {
        NodeLocal {
            id: network_id(1),
            spec: serde_json::from_value(spec).unwrap(),
        }
    }

    #[test]
    fn a_network_has_the_settings_of_its_configuration() {
        let id = network_id(1).to_string();
        let spec = json!({"Name": "lan", "Driver": "macvlan", "ConfigFrom": {"Network": "lan-here"}, "Labels": {"a": "swarm"}});
        let shown = json!({
            "Name": "lan-here", "Id": "e1", "Driver": "null", "ConfigOnly": true, "EnableIPv6": false,
            "IPAM": {"Driver": "default", "Options": {}, "Config": [{"Subnet": "192.0.2.0/24", "IPRange": "192.0.2.64/26"}]},
            "Options": {"parent": "eth0"},
            "Labels": {"a": "node", "b": "node"},
        });
        assert_eq!(configuration(&network(spec.clone())), Some("lan-here"));
        let wanted = wanted(&network(spec), Some(&shown));
        let expected = json!({
            "CheckDuplicate": true,
            "Driver": "macvlan",
            "Internal": false,
            "EnableIPv6": false,
            "IPAM": {"Driver": "default", "Options": {}, "Config": [{"Subnet": "192.0.2.0/24", "IPRange": "192.0.2.64/26"}]},
            "Options": {"parent": "eth0"},
            "Labels": {"a": "swarm", "b": "node", "swarmrs.network.id": id},
        });
        assert_eq!((wanted.name.as_str(), wanted.body), ("lan", expected));
    }

    #[test]
    fn without_a_configuration_the_engine_chooses() {
        let id = network_id(1).to_string();
        let spec = json!({"Name": "br", "Driver": "bridge", "Internal": true, "EnableIPv6": true});
        assert_eq!(configuration(&network(spec.clone())), None);
        let expected = json!({
            "CheckDuplicate": true,
            "Driver": "bridge",
            "Internal": true,
            "EnableIPv6": true,
            "Options": null,
            "Labels": {"swarmrs.network.id": id},
        });
        assert_eq!(wanted(&network(spec), None).body, expected);
    }

    #[test]
    fn only_a_configuration_of_that_very_name_is_one() {
        for (shown, expected) in [
            (json!({"Name": "c", "ConfigOnly": true}), true),
            (json!({"Name": "c", "ConfigOnly": false}), false),
            (
                json!({"Name": "other", "Id": "c1", "ConfigOnly": true}),
                false,
            ),
        ] {
            assert_eq!(is_configuration(&shown, "c"), expected, "{shown}");
        }
    }

    #[test]
    fn a_network_is_needed_from_its_first_task_to_its_last() {
        let on = |n: u8, networks: &[u8]| {
            let spec = json!({"Name": "lan", "Driver": "macvlan"});
            let mut order = order(n);
            order.node_local = networks
                .iter()
                .map(|n| NodeLocal {
                    id: network_id(*n),
                    ..network(spec.clone())
                })
                .collect();
            order
        };
        let mut needed = Needed::default();
        needed.add(&on(1, &[1]));
        needed.add(&on(2, &[1, 2]));
        needed.add(&on(3, &[]));
        assert!(needed.release(task(1)));
        assert!(needed.contains(network_id(1)) && needed.contains(network_id(2)));
        assert!(!needed.release(task(3)));
        assert!(needed.release(task(2)));
        assert!(!needed.contains(network_id(1)) && !needed.contains(network_id(2)));
    }
}
