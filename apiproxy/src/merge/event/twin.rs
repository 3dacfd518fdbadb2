//! Events of the engine about twins, told as events of the swarm's networks on this node.

use bytes::Bytes;
use serde::Deserialize;
use swarmrs_node::{Twin, Twins};

use super::RECORD;
use crate::merge::object::RawObject;

/// What tells an event about a network.
const MARK: &[u8] = br#""Type":"network""#;

#[derive(Debug, Deserialize)]
struct Told {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Actor")]
    actor: Actor,
}

#[derive(Debug, Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Attributes", default)]
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
struct Attributes {
    /// The driver.
    #[serde(rename = "type", default)]
    driver: String,
    #[serde(default)]
    name: String,
}

/// The line as clients see it. One about a network of ours that is not known yet (the engine tells of its making before it
/// answers the request) is not for them.
pub(super) fn shown(line: Bytes, twins: &Twins) -> Option<Bytes> {
    let is_new = |actor: &Actor| {
        let about = &actor.attributes;
        about.driver == twins.driver() || twins.is_being_made(&about.name)
    };
    translated(line, twins.driver(), is_new, |id| twins.of_id(id))
}

/// `is_new` tells what is not known as a twin only because it has not been answered yet.
fn translated(
    line: Bytes,
    driver: &str,
    is_new: impl Fn(&Actor) -> bool,
    of_id: impl Fn(&str) -> Option<Twin>,
) -> Option<Bytes> {
    if !line.windows(MARK.len()).any(|window| window == MARK) {
        return Some(line);
    }
    let text = line.strip_prefix(&[RECORD]).unwrap_or(&line);
    let Ok(told) = serde_json::from_slice::<Told>(text) else {
        return Some(line);
    };
    if told.kind != "network" {
        return Some(line);
    }
    // In this order: one that is known a moment later is still new here.
    let is_new = is_new(&told.actor);
    let Some(twin) = of_id(&told.actor.id) else {
        return (!is_new).then_some(line);
    };
    let is_overlay = told.actor.attributes.driver == driver;
    let mut event = RawObject::parse(text).ok()?;
    event.edit("Actor", |actor| {
        actor.set("ID", &twin.network);
        actor.edit("Attributes", |attributes| {
            attributes.set("name", &twin.shown_name());
            if is_overlay {
                attributes.set("type", &"overlay");
            }
        });
    });
    let mark = &line[..line.len() - text.len()];
    Some([mark, &event.to_bytes()].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM_ID: &str = "0123456789abcdefghijklmno";

    fn told(line: &str) -> Option<String> {
        let of_id = |id: &str| {
            let network = SWARM_ID.parse().unwrap();
            let name = format!("web.{SWARM_ID}");
            (id == "e1").then(|| Twin {
                id: id.to_owned(),
                name,
                network,
            })
        };
        let line = Bytes::copy_from_slice(line.as_bytes());
        let is_new = |actor: &Actor| {
            actor.attributes.driver == "swarmrs" || actor.attributes.name == "making"
        };
        let shown = translated(line, "swarmrs", is_new, of_id)?;
        Some(String::from_utf8(shown.to_vec()).unwrap())
    }

    fn connect(id: &str, driver: &str, name: &str) -> String {
        format!(
            "{{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{{\"ID\":\"{id}\",\"Attributes\":{{\"container\":\
             \"c1\",\"name\":\"{name}\",\"type\":\"{driver}\"}}}},\"scope\":\"local\"}}\n"
        )
    }

    #[test]
    fn an_event_of_a_twin_is_one_of_the_swarms_network() {
        let engine = connect("e1", "swarmrs", &format!("web.{SWARM_ID}"));
        assert_eq!(told(&engine), Some(connect(SWARM_ID, "overlay", "web")));
        let own = connect("e1", "macvlan", &format!("web.{SWARM_ID}"));
        assert_eq!(told(&own), Some(connect(SWARM_ID, "macvlan", "web")));
        let record = format!("\u{1e}{engine}");
        let shown = connect(SWARM_ID, "overlay", "web");
        assert_eq!(told(&record), Some(format!("\u{1e}{shown}")));
    }

    #[test]
    fn a_twin_that_is_not_known_yet_is_not_told_of() {
        assert_eq!(told(&connect("e2", "swarmrs", "web")), None);
        assert_eq!(told(&connect("e2", "macvlan", "making")), None);
    }

    #[test]
    fn everything_else_passes_as_it_came() {
        let container = "{ \"Type\":\"container\", \"Actor\":{\"ID\":\"e1\"}}\n".to_owned();
        for line in [
            connect("e2", "bridge", "web"),
            container,
            "torn \"Type\":\"network\"".into(),
        ] {
            assert_eq!(told(&line), Some(line.clone()), "{line}");
        }
    }
}
