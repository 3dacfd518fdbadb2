//! The events that lead from one state to another, when the entries between are not to be had.

use std::collections::BTreeMap;
use std::sync::Arc;
use swarmrs_core::{Delta, Event, State};

/// One event for each object that differs, by kind and id.
pub(super) fn difference(old: &State, new: &State) -> Vec<Event> {
    let mut events = Vec::new();
    if old.cluster() != new.cluster() {
        events.push(Event::Cluster(Delta {
            old: old.cluster().cloned(),
            new: new.cluster().cloned(),
        }));
    }
    let nodes = deltas(old.nodes().iter(), new.nodes().iter(), |node| node.id);
    events.extend(nodes.map(Event::Node));
    let services = deltas(old.services().iter(), new.services().iter(), |s| s.id);
    events.extend(services.map(Event::Service));
    let tasks = deltas(old.tasks().iter(), new.tasks().iter(), |task| task.id);
    events.extend(tasks.map(Event::Task));
    let networks = deltas(old.networks().iter(), new.networks().iter(), |n| n.id);
    events.extend(networks.map(Event::Network));
    let attachments = deltas(old.attachments().iter(), new.attachments().iter(), |a| a.id);
    events.extend(attachments.map(Event::Attachment));
    let secrets = deltas(old.secrets().iter(), new.secrets().iter(), |s| s.id);
    events.extend(secrets.map(Event::Secret));
    let configs = deltas(old.configs().iter(), new.configs().iter(), |c| c.id);
    events.extend(configs.map(Event::Config));
    events
}

fn deltas<'a, Id: Ord, T: PartialEq + 'a>(
    old: impl Iterator<Item = &'a Arc<T>>,
    new: impl Iterator<Item = &'a Arc<T>>,
    id: impl Fn(&T) -> Id,
) -> impl Iterator<Item = Delta<T>> {
    let absent = || Delta {
        old: None,
        new: None,
    };
    let mut deltas: BTreeMap<Id, Delta<T>> = BTreeMap::new();
    for object in old {
        deltas.entry(id(object)).or_insert_with(absent).old = Some(object.clone());
    }
    for object in new {
        deltas.entry(id(object)).or_insert_with(absent).new = Some(object.clone());
    }
    deltas.into_values().filter(|delta| delta.old != delta.new)
}
