//! Whether a container has a way out by a network of its engine's own: then none of ours is its way out. Pure.

use super::twin;
use serde_json::Value;

/// Networks of these drivers lead nowhere, or are no network of the container's.
const LEAD_NOWHERE: [&str; 2] = ["null", "host"];

/// `terms` are the names or ids of the container's networks; `networks`, all of the engine's as it lists them.
pub fn has_own<'a>(terms: impl IntoIterator<Item = &'a str>, networks: &[Value]) -> bool {
    let leads_out = |term: &str| {
        let mut named = networks.iter().filter(|one| is_called(one, term));
        named.any(|one| {
            let nowhere = LEAD_NOWHERE.iter().any(|driver| one["Driver"] == *driver);
            !nowhere && one["Internal"] != true && twin::read(one).is_none()
        })
    };
    terms.into_iter().any(leads_out)
}

fn is_called(network: &Value, term: &str) -> bool {
    network["Name"] == term || network["Id"] == term
}

/// The names of the networks that a container is on, as the engine lists or shows it.
pub fn of_container(container: &Value) -> impl Iterator<Item = &str> {
    let networks = container.pointer("/NetworkSettings/Networks");
    let networks = networks.and_then(Value::as_object).into_iter().flatten();
    networks.map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_network_of_the_engines_own_that_leads_out_is_a_way_out() {
        let id = super::super::fixture::network_id(1).to_string();
        let networks = [
            json!({"Name": "bridge", "Id": "b1", "Driver": "bridge", "Internal": false, "Labels": {}}),
            json!({"Name": "inside", "Id": "i1", "Driver": "bridge", "Internal": true, "Labels": {}}),
            json!({"Name": "none", "Id": "n1", "Driver": "null", "Internal": false, "Labels": {}}),
            json!({"Name": "web", "Id": "w1", "Driver": "swarmrs", "Internal": false,
                "Labels": {"swarmrs.network.id": id}}),
        ];
        for (terms, expected) in [
            (vec![], false),
            (vec!["web"], false),
            (vec!["web", "bridge"], true),
            (vec!["web", "b1"], true),
            (vec!["web", "inside", "none"], false),
            (vec!["unknown"], false),
        ] {
            assert_eq!(has_own(terms.clone(), &networks), expected, "{terms:?}");
        }
    }

    #[test]
    fn a_containers_networks_are_named_where_it_is_listed_and_where_it_is_shown() {
        let container = json!({"NetworkSettings": {"Networks": {"bridge": {}, "web": {}}}});
        let named: Vec<&str> = of_container(&container).collect();
        assert_eq!(named, ["bridge", "web"]);
        assert_eq!(of_container(&json!({})).count(), 0);
    }
}
