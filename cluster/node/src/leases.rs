//! Leases follow their containers: one whose container is gone ends, one whose container does not run is found by no name.
//!
//! The API tells most of it as it happens. What it does not see (a container that ends, one that removes itself, somebody
//! who speaks to the engine past us) is seen here, by the engine's events and by looking now and then. A node knows its
//! leases by what it is told of networks, whatever its role.

use crate::role::{Inner, Node};
use futures_util::StreamExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use swarmrs_agent::network::facts::Facts;
use swarmrs_agent::network::{label, way_out};
use swarmrs_core::control::network::attachment::Sighting;
use swarmrs_engine::{ContainerStatus, ContainerSummary, Event, EventFilter, EventKind, Filters};
use swarmrs_types::endpoint::Endpoint;
use swarmrs_types::{AttachmentId, Fault, NetworkId};
use tracing::{debug, info};

/// What changes whether a container is there, runs, what it is called, or on which networks it is.
const ACTIONS: [&str; 6] = ["start", "die", "destroy", "rename", "connect", "disconnect"];
/// Between two looks without an event.
const LOOK: Duration = Duration::from_secs(30);
/// Between two tries to hear the engine.
const PAUSE: Duration = Duration::from_secs(2);
/// A lease is taken before its container is made, which may take so long.
const IN_THE_MAKING: Duration = Duration::from_secs(60);
/// How long the container of any other lease is to be missed. A daemon that was killed may have told the engine to make one.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// The lease of one of this node's containers on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: AttachmentId,
    pub network: NetworkId,
    /// The container as this node named it: its id, or the token in its label.
    pub container: String,
    name: String,
    active: bool,
    gateway: bool,
    /// Whether the container may go out here, as far as its other leases and the network are concerned.
    leads_out: bool,
}

impl Lease {
    /// Whether it is that of the container of that id, and of that token in its label.
    pub fn is_of(&self, id: &str, token: Option<&String>) -> bool {
        self.container == id || token == Some(&self.container)
    }

    /// Whether the swarm does not know this yet.
    pub fn is_news(&self, seen: Sighting<'_>) -> bool {
        let gateway = self.leads_out && !seen.own_way_out;
        (self.name.as_str(), self.active, self.gateway) != (seen.name, seen.active, gateway)
    }
}

/// The leases that a node was told of.
fn of_facts(facts: &Facts) -> Vec<Lease> {
    let other_way_out = |own: &Endpoint| {
        let mut others = facts
            .attached()
            .filter(|one| one.container == own.container);
        others.any(|other| other.gateway && other.network != own.network)
    };
    let lease = |own: &Endpoint| {
        let internal = facts.network(own.network).is_none_or(|on| on.internal);
        Some(Lease {
            id: AttachmentId(own.owner),
            network: own.network,
            container: own.container.clone()?,
            name: own.name.clone(),
            active: own.ready,
            gateway: own.gateway,
            leads_out: !internal && !other_way_out(own),
        })
    };
    facts.attached().filter_map(lease).collect()
}

impl Node {
    /// The leases of this node's containers, as it was told of them last.
    pub fn leases(&self) -> Vec<Lease> {
        of_facts(&self.networks().facts())
    }
}

/// When each lease was first seen without its container.
type Missed = BTreeMap<AttachmentId, Instant>;

/// The leases that this daemon took lately, for containers that may still be in the making.
#[derive(Debug, Default)]
pub struct Taken(Mutex<BTreeMap<AttachmentId, Instant>>);

impl Taken {
    pub fn note(&self, id: AttachmentId) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, at| at.elapsed() <= IN_THE_MAKING);
        taken.insert(id, Instant::now());
    }

    fn is_in_the_making(&self, id: AttachmentId) -> bool {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken
            .get(&id)
            .is_some_and(|at| at.elapsed() <= IN_THE_MAKING)
    }
}

/// Follows for as long as the node is there.
pub async fn follow(node: Weak<Inner>) {
    let mut missed = Missed::new();
    while let Some(inner) = node.upgrade() {
        let filters = ACTIONS
            .iter()
            .fold(Filters::new(), |all, action| all.with("event", *action));
        let filter = EventFilter {
            kinds: vec![EventKind::Container, EventKind::Network],
            filters,
        };
        let events = inner.engine.events(filter, None).await;
        drop(inner);
        if let Ok(mut events) = events {
            // What happened while nobody listened is told by no event.
            look(&node, None, &mut missed).await;
            // The stream ends with an error, and so does the engine we heard.
            while listen(&node, &mut events, &mut missed).await {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for an event or the time to look, and looks. False at the end of the stream or of the node.
async fn listen(
    node: &Weak<Inner>,
    events: &mut swarmrs_engine::EventStream,
    missed: &mut Missed,
) -> bool {
    let pause = match missed.is_empty() {
        true => LOOK,
        false => LEFT_BEHIND,
    };
    let heard = match tokio::time::timeout(pause, events.next()).await {
        Ok(Some(Ok(event))) => Some(event),
        Ok(_) => return false,
        Err(_) => None,
    };
    look(node, heard.as_ref(), missed).await
}

/// Looks. False at the end of the node.
async fn look(node: &Weak<Inner>, heard: Option<&Event>, missed: &mut Missed) -> bool {
    let Some(inner) = node.upgrade() else {
        return false;
    };
    if let Err(fault) = settle(&Node(inner), heard, missed).await {
        debug!(%fault, "leases are not settled");
    }
    true
}

/// Brings the leases of this node in line with its containers: with the one that an event is about, or with all.
async fn settle(node: &Node, heard: Option<&Event>, missed: &mut Missed) -> Result<(), Fault> {
    let leases = node.leases();
    missed.retain(|id, _| leases.iter().any(|lease| lease.id == *id));
    match heard {
        _ if leases.is_empty() => Ok(()),
        Some(event) => settle_one(node, event, leases).await,
        None => settle_all(node, leases, missed).await,
    }
}

/// Asks the engine nothing unless a container with a lease may be concerned.
async fn settle_one(node: &Node, event: &Event, mut leases: Vec<Lease>) -> Result<(), Fault> {
    let Some(container) = concerned(event, &mut leases) else {
        return Ok(());
    };
    if event.action == "destroy" {
        for lease in leases {
            end(node, &lease).await?;
        }
        return Ok(());
    }
    // One that is gone meanwhile is told by the next event.
    let Ok(container) = node.engine().inspect_container(container).await else {
        return Ok(());
    };
    let token = container.labels.get(label::LEASE);
    leases.retain(|lease| lease.is_of(&container.id, token));
    if leases.is_empty() {
        return Ok(());
    }
    let own_way_out = has_own_way_out(node, &container.raw).await?;
    for lease in leases {
        let seen = Sighting {
            name: &container.name,
            active: is_active(&container.status, event, &lease),
            own_way_out,
        };
        keep_up(node, &lease, seen).await?;
    }
    Ok(())
}

/// The container that an event is about, if it may have leases; of those, only the ones that may be its.
fn concerned<'a>(event: &'a Event, leases: &mut Vec<Lease>) -> Option<&'a str> {
    if event.kind == EventKind::Network {
        // Of the container, only the id is told.
        return event.attributes.get("container").map(String::as_str);
    }
    let token = event.attributes.get(label::LEASE);
    leases.retain(|lease| lease.is_of(&event.id, token));
    (!leases.is_empty()).then_some(event.id.as_str())
}

/// Whether a container is found by its name. A start connects it first, and tells afterwards that it runs.
fn is_active(status: &ContainerStatus, event: &Event, lease: &Lease) -> bool {
    match event.action.as_str() {
        "connect" => lease.active,
        _ => runs(status),
    }
}

fn runs(status: &ContainerStatus) -> bool {
    matches!(
        status,
        ContainerStatus::Running | ContainerStatus::Paused | ContainerStatus::Restarting
    )
}

/// The engine is asked for its networks only if the container is on one that is none of ours.
async fn has_own_way_out(node: &Node, container: &Value) -> Result<bool, Fault> {
    let twins = node.networks().twins.table().await.unwrap_or_default();
    let is_ours = |name: &str| twins.values().any(|twin| twin.name == name);
    if way_out::of_container(container).all(is_ours) {
        return Ok(false);
    }
    let networks = node.engine().list_networks(&Filters::new()).await;
    let networks = networks.map_err(|error| Fault::unavailable(error.to_string()))?;
    Ok(way_out::has_own(
        way_out::of_container(container),
        &networks,
    ))
}

async fn settle_all(node: &Node, leases: Vec<Lease>, missed: &mut Missed) -> Result<(), Fault> {
    let listed = node.engine().list_containers(&Filters::new(), true).await;
    let Ok(listed) = listed else { return Ok(()) };
    let networks = node.engine().list_networks(&Filters::new()).await;
    let Ok(networks) = networks else {
        return Ok(());
    };
    let containers = by_name_of_lease(&listed);
    for lease in leases {
        if let Some(container) = containers.get(lease.container.as_str()) {
            missed.remove(&lease.id);
            let name = container.names.first();
            let seen = Sighting {
                name: name.map_or(lease.name.as_str(), String::as_str),
                active: runs(&container.status),
                own_way_out: way_out::has_own(way_out::of_container(&container.raw), &networks),
            };
            keep_up(node, &lease, seen).await?;
            continue;
        }
        let since = *missed.entry(lease.id).or_insert_with(Instant::now);
        if since.elapsed() >= LEFT_BEHIND && !node.0.taken.is_in_the_making(lease.id) {
            end(node, &lease).await?;
        }
    }
    Ok(())
}

async fn keep_up(node: &Node, lease: &Lease, seen: Sighting<'_>) -> Result<(), Fault> {
    match lease.is_news(seen) {
        true => node.follow_attachment(lease.id, seen).await,
        false => Ok(()),
    }
}

async fn end(node: &Node, lease: &Lease) -> Result<(), Fault> {
    info!(lease = %lease.id, network = %lease.network, "its container is gone: lease ended");
    node.detach(lease.id).await
}

/// By id, and by the token in the label.
fn by_name_of_lease(listed: &[ContainerSummary]) -> BTreeMap<&str, &ContainerSummary> {
    let ids = listed.iter().map(|one| (one.id.as_str(), one));
    let token = |one: &ContainerSummary| one.labels.contains_key(label::LEASE);
    let tokens = listed.iter().filter(|one| token(one));
    let tokens = tokens.map(|one| (one.labels[label::LEASE].as_str(), one));
    ids.chain(tokens).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmrs_types::endpoint::{Fact, FactDiff, Overlay};

    fn id<T: std::str::FromStr>(last: u8) -> T
    where
        T::Err: std::fmt::Debug,
    {
        format!("{last:025}").parse().unwrap()
    }

    fn network(last: u8, internal: bool) -> Fact {
        Fact::Network(Overlay {
            id: id(last),
            name: format!("net{last}"),
            segments: Vec::new(),
            internal,
            ingress: false,
            attachable: true,
            mtu: 0,
            encrypted: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
        })
    }

    fn on(network: u8, owner: u8, container: Option<&str>, gateway: bool) -> Fact {
        Fact::Endpoint(Endpoint {
            network: id(network),
            owner: id::<AttachmentId>(owner).0,
            node: id(9),
            name: "/shell".to_owned(),
            aliases: Vec::new(),
            addresses: Vec::new(),
            service: None,
            ready: true,
            gateway,
            resolvers: Vec::new(),
            container: container.map(str::to_owned),
        })
    }

    fn leases(put: Vec<Fact>) -> Vec<Lease> {
        let mut facts = Facts::default();
        let told = FactDiff {
            put,
            remove: Vec::new(),
        };
        facts.take(&told, true);
        of_facts(&facts)
    }

    #[test]
    fn only_what_this_daemon_took_is_in_the_making() {
        let taken = Taken::default();
        taken.note(id(5));
        assert!(taken.is_in_the_making(id(5)));
        assert!(!taken.is_in_the_making(id(6)));
    }

    const RUNS: Sighting<'static> = Sighting {
        name: "/shell",
        active: true,
        own_way_out: false,
    };

    #[test]
    fn containers_of_this_node_have_leases_and_others_do_not() {
        let told = leases(vec![
            network(1, false),
            on(1, 5, Some("c"), true),
            on(1, 6, None, true),
        ]);
        let ids: Vec<AttachmentId> = told.iter().map(|lease| lease.id).collect();
        assert_eq!(ids, [id(5)]);
        assert!(!told[0].is_news(RUNS));
    }

    fn event(kind: EventKind, action: &str, id: &str, attributes: &[(&str, &str)]) -> Event {
        let attributes = attributes.iter();
        Event {
            kind,
            action: action.to_owned(),
            id: id.to_owned(),
            attributes: attributes
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
            time_nano: 0,
        }
    }

    #[test]
    fn an_event_concerns_the_leases_of_its_container_and_no_others() {
        let told = leases(vec![
            network(1, false),
            on(1, 5, Some("c"), true),
            on(1, 6, Some("token"), true),
        ]);
        let heard = |kind, id, attributes: &[(&str, &str)]| {
            let mut left = told.clone();
            let event = event(kind, "start", id, attributes);
            let container = concerned(&event, &mut left).map(str::to_owned);
            let left: Vec<AttachmentId> = left.iter().map(|lease| lease.id).collect();
            container.map(|container| (container, left))
        };
        let some = |container: &str, ids: Vec<AttachmentId>| Some((container.to_owned(), ids));
        let labelled = [(label::LEASE, "token")];
        for (kind, id, attributes, expected) in [
            (EventKind::Container, "c", &[][..], some("c", vec![id(5)])),
            (EventKind::Container, "d", &labelled, some("d", vec![id(6)])),
            (EventKind::Container, "e", &[], None),
            (
                EventKind::Network,
                "n",
                &[("container", "e")],
                some("e", vec![id(5), id(6)]),
            ),
            (EventKind::Network, "n", &[], None),
        ] {
            assert_eq!(heard(kind, id, attributes), expected, "{kind:?} {id}");
        }
    }

    #[test]
    fn a_container_that_is_connected_by_its_start_is_not_taken_for_a_stopped_one() {
        let told = leases(vec![network(1, false), on(1, 5, Some("c"), true)]);
        let active = |action, status| {
            let event = event(EventKind::Network, action, "n", &[]);
            is_active(&status, &event, &told[0])
        };
        assert!(active("connect", ContainerStatus::Created));
        assert!(!active("disconnect", ContainerStatus::Exited));
        assert!(active("disconnect", ContainerStatus::Running));
        assert!(active("start", ContainerStatus::Restarting));
    }

    #[test]
    fn another_name_a_stop_and_another_way_out_are_news() {
        let told = leases(vec![network(1, false), on(1, 5, Some("c"), true)]);
        let other_name = Sighting {
            name: "/bash",
            ..RUNS
        };
        let stopped = Sighting {
            active: false,
            ..RUNS
        };
        let own_way_out = Sighting {
            own_way_out: true,
            ..RUNS
        };
        for news in [other_name, stopped, own_way_out] {
            assert!(told[0].is_news(news), "{news:?}");
        }
    }

    #[test]
    fn one_network_of_a_container_leads_out_and_an_internal_one_never_does() {
        let told = leases(vec![
            network(1, true),
            network(2, false),
            network(3, false),
            on(1, 5, Some("c"), false),
            on(2, 6, Some("c"), true),
            on(3, 7, Some("c"), false),
        ]);
        assert_eq!(told.len(), 3);
        for lease in told {
            assert!(!lease.is_news(RUNS), "{lease:?}");
        }
    }
}
