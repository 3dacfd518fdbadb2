//! What a change of an object is called, and which attributes tell of it.
//!
//! Any write of a service, a node, a network, a secret or a config is an event; attributes name only what users follow.
//! Tasks, leases and the swarm itself tell nothing, and the networks that every node has are hidden. Source: moby `daemon/events.go`.

use std::collections::BTreeMap;

use swarmrs_core::{Delta, Event, State};
use swarmrs_types::Timestamp;
use swarmrs_types::object::{Meta, Node, Service};
use swarmrs_types::spec::ServiceSpec;

use super::{Actor, Message};

type Attributes = BTreeMap<&'static str, String>;

pub(super) fn describe(change: &Event, state: &State, now: Timestamp) -> Option<Message> {
    match change {
        Event::Service(delta) => service(delta, state, now),
        Event::Node(delta) => node(delta, now),
        Event::Secret(delta) => {
            let secret = delta.last()?;
            let attributes = Attributes::from([("name", secret.spec.name.clone())]);
            let (id, meta) = (secret.id.to_string(), secret.meta);
            Some(message("secret", delta, id, meta, attributes, now))
        }
        Event::Config(delta) => {
            let config = delta.last()?;
            let attributes = Attributes::from([("name", config.spec.name.clone())]);
            let (id, meta) = (config.id.to_string(), config.meta);
            Some(message("config", delta, id, meta, attributes, now))
        }
        // Those that every node has are hidden.
        Event::Network(delta) => {
            let network = delta.last().filter(|network| !network.is_predefined())?;
            let attributes = Attributes::from([("name", network.name().to_owned())]);
            let (id, meta) = (network.id.to_string(), network.meta);
            Some(message("network", delta, id, meta, attributes, now))
        }
        Event::Cluster(_) | Event::Task(_) | Event::Attachment(_) => None,
    }
}

fn service(delta: &Delta<Service>, state: &State, now: Timestamp) -> Option<Message> {
    let service = delta.last()?;
    let mut attributes = Attributes::from([("name", service.name.clone())]);
    if let (Some(old), Some(new)) = (&delta.old, &delta.new) {
        let specs = (state.current_spec(old), state.current_spec(new));
        if let (Some(old), Some(new)) = specs {
            compare_specs(&mut attributes, &old.spec, &new.spec);
        }
        compare_updates(&mut attributes, old, new);
    }
    let id = service.id.to_string();
    Some(message("service", delta, id, service.meta, attributes, now))
}

fn compare_specs(attributes: &mut Attributes, old: &ServiceSpec, new: &ServiceSpec) {
    let image = |spec: &ServiceSpec| {
        let container = spec.task_template.container_spec.as_ref()?;
        Some(container.image.clone())
    };
    let replicas = |spec: &ServiceSpec| {
        let replicated = spec.mode.replicated.as_ref()?;
        Some(replicated.replicas.unwrap_or(1).to_string())
    };
    compare(
        attributes,
        ["image.old", "image.new"],
        image(old),
        image(new),
    );
    compare(
        attributes,
        ["replicas.old", "replicas.new"],
        replicas(old),
        replicas(new),
    );
}

/// The first update of a service has no old state.
fn compare_updates(attributes: &mut Attributes, old: &Service, new: &Service) {
    let state = |service: &Service| {
        let status = service.update_status.as_ref()?;
        Some(status.state.as_str().to_owned())
    };
    let (old, new) = (state(old), state(new));
    if let (None, Some(new)) = (&old, &new) {
        attributes.insert("updatestate.new", new.clone());
    }
    compare(attributes, ["updatestate.old", "updatestate.new"], old, new);
}

/// Both values, if both are there and differ.
fn compare(
    attributes: &mut Attributes,
    keys: [&'static str; 2],
    old: Option<String>,
    new: Option<String>,
) {
    if let (Some(old), Some(new)) = (old, new)
        && old != new
    {
        attributes.extend([(keys[0], old), (keys[1], new)]);
    }
}

fn node(delta: &Delta<Node>, now: Timestamp) -> Option<Message> {
    let node = delta.last()?;
    let name = match node.spec.name.is_empty() {
        true => node.description.hostname.clone(),
        false => node.spec.name.clone(),
    };
    let mut attributes = Attributes::from([("name", name)]);
    if let (Some(old), Some(new)) = (&delta.old, &delta.new) {
        let mut differ = |keys, old: &str, new: &str| {
            compare(
                &mut attributes,
                keys,
                Some(old.to_owned()),
                Some(new.to_owned()),
            );
        };
        differ(
            ["availability.old", "availability.new"],
            old.spec.availability.as_str(),
            new.spec.availability.as_str(),
        );
        differ(
            ["role.old", "role.new"],
            old.spec.role.as_str(),
            new.spec.role.as_str(),
        );
        differ(
            ["state.old", "state.new"],
            old.status.state.as_str(),
            new.status.state.as_str(),
        );
    }
    let id = node.id.to_string();
    Some(message("node", delta, id, node.meta, attributes, now))
}

fn message<T>(
    kind: &'static str,
    delta: &Delta<T>,
    id: String,
    meta: Meta,
    attributes: Attributes,
    now: Timestamp,
) -> Message {
    let (action, at) = match (&delta.old, &delta.new) {
        (None, _) => ("create", meta.created_at),
        (Some(_), Some(_)) => ("update", meta.updated_at),
        (Some(_), None) => ("remove", now),
    };
    let time_nano = i64::try_from(at.unix_nanos()).unwrap_or_default();
    Message {
        kind,
        action,
        actor: Actor { id, attributes },
        scope: "swarm",
        time: time_nano.div_euclid(1_000_000_000),
        time_nano,
    }
}
