//! Labels of ours in the engine. Clients do not see them.

use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// On a network: whose twin it is.
pub const TWIN: &str = "swarmrs.network.id";
/// On a user's container: the token its leases know it by.
pub const LEASE: &str = "swarmrs.lease";
/// On a container that looks names up with us: what it was asked to use instead, `{"Dns": …, "DnsOptions": …}`.
pub const ASKED_DNS: &str = "swarmrs.dns";

/// Those of containers.
pub const OURS: [&str; 2] = [LEASE, ASKED_DNS];

/// The name servers that a container with these labels was asked to use.
pub fn asked_servers(labels: &BTreeMap<String, String>) -> Vec<IpAddr> {
    let asked = labels.get(ASKED_DNS);
    let asked = asked.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let servers = asked.as_ref().and_then(|asked| asked["Dns"].as_array());
    let servers = servers.into_iter().flatten().filter_map(Value::as_str);
    servers.filter_map(|server| server.parse().ok()).collect()
}

/// Where names are looked up in every network of the swarm.
pub fn resolver() -> String {
    swarmrs_network::dns::ADDRESS.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_that_were_asked_for_are_read_from_the_label() {
        for (text, expected) in [
            (
                r#"{"Dns":["192.0.2.1","no","fd00::1"],"DnsOptions":null}"#,
                vec!["192.0.2.1", "fd00::1"],
            ),
            (r#"{"Dns":null}"#, vec![]),
            ("nonsense", vec![]),
        ] {
            let labels = BTreeMap::from([(ASKED_DNS.to_owned(), text.to_owned())]);
            let expected: Vec<IpAddr> = expected.iter().map(|one| one.parse().unwrap()).collect();
            assert_eq!(asked_servers(&labels), expected, "{text}");
        }
        assert!(asked_servers(&BTreeMap::new()).is_empty());
    }
}
