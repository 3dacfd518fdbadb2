//! Leases follow their containers: one whose container is gone ends, one whose container does not run is found by no name.
//!
//! The API tells most of it as it happens. What it does not see (a container that ends, one that removes itself, somebody
//! who speaks to the engine past us) is seen here, by the engine's events and by looking now and then.

use crate::role::{Inner, Node};
use futures_util::StreamExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use swarmrs_agent::network::{label, way_out};
use swarmrs_core::State;
use swarmrs_core::control::network::attachment::{self, Sighting};
use swarmrs_engine::{ContainerStatus, ContainerSummary, Event, EventFilter, EventKind, Filters};
use swarmrs_types::object::Attachment;
use swarmrs_types::{Fault, Timestamp};
use tracing::{debug, info};

/// What changes whether a container is there, runs, what it is called, or on which networks it is.
const ACTIONS: [&str; 6] = ["start", "die", "destroy", "rename", "connect", "disconnect"];
/// Between two looks without an event.
const LOOK: Duration = Duration::from_secs(30);
/// Between two tries to hear the engine.
const PAUSE: Duration = Duration::from_secs(2);
/// A lease is taken before its container is made.
const IN_THE_MAKING: Duration = Duration::from_secs(60);

/// Follows for as long as the node is there.
pub async fn follow(node: Weak<Inner>) {
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
            // The stream ends with an error, and so does the engine we heard.
            while listen(&node, &mut events).await {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for an event or the time to look, and looks. False at the end of the stream or of the node.
async fn listen(node: &Weak<Inner>, events: &mut swarmrs_engine::EventStream) -> bool {
    let heard = match tokio::time::timeout(LOOK, events.next()).await {
        Ok(Some(Ok(event))) => Some(event),
        Ok(_) => return false,
        Err(_) => None,
    };
    let Some(inner) = node.upgrade() else {
        return false;
    };
    if let Err(fault) = settle(&Node(inner), heard.as_ref()).await {
        debug!(%fault, "leases are not settled");
    }
    true
}

/// Brings the leases of this node in line with its containers.
async fn settle(node: &Node, heard: Option<&Event>) -> Result<(), Fault> {
    let Some(view) = node.glance().map(|glance| glance.view) else {
        return Ok(());
    };
    let leases = view.state.attachments().iter();
    let leases: Vec<Arc<Attachment>> = leases
        .filter(|lease| lease.node == view.local)
        .cloned()
        .collect();
    if leases.is_empty() {
        return Ok(());
    }
    let listed = node.engine().list_containers(&Filters::new(), true).await;
    let Ok(listed) = listed else { return Ok(()) };
    let networks = node.engine().list_networks(&Filters::new()).await;
    let Ok(networks) = networks else {
        return Ok(());
    };
    let containers = by_name_of_lease(&listed);
    for lease in leases {
        match containers.get(lease.container.as_str()) {
            Some(container) => keep_up(node, &view.state, &lease, container, &networks).await?,
            None if heard.is_some_and(|event| is_end_of(event, &lease)) || is_old(&lease) => {
                info!(lease = %lease.id, network = %lease.network, "its container is gone: lease ended");
                node.detach(lease.id).await?;
            }
            None => {}
        }
    }
    Ok(())
}

async fn keep_up(
    node: &Node,
    state: &State,
    lease: &Attachment,
    container: &ContainerSummary,
    networks: &[Value],
) -> Result<(), Fault> {
    let name = container.names.first();
    let seen = Sighting {
        name: name.map_or(lease.name.as_str(), String::as_str),
        active: matches!(
            container.status,
            ContainerStatus::Running | ContainerStatus::Paused | ContainerStatus::Restarting
        ),
        own_way_out: way_out::has_own(way_out::of_container(&container.raw), networks),
    };
    if attachment::follow(state, lease.id, seen).is_empty() {
        return Ok(());
    }
    node.follow_attachment(lease.id, seen).await
}

/// By id, and by the token in the label.
fn by_name_of_lease(listed: &[ContainerSummary]) -> BTreeMap<&str, &ContainerSummary> {
    let ids = listed.iter().map(|one| (one.id.as_str(), one));
    let token = |one: &ContainerSummary| one.labels.contains_key(label::LEASE);
    let tokens = listed.iter().filter(|one| token(one));
    let tokens = tokens.map(|one| (one.labels[label::LEASE].as_str(), one));
    ids.chain(tokens).collect()
}

fn is_end_of(event: &Event, lease: &Attachment) -> bool {
    let token = event.attributes.get(label::LEASE);
    event.action == "destroy" && (event.id == lease.container || token == Some(&lease.container))
}

fn is_old(lease: &Attachment) -> bool {
    let age = Timestamp::now().unix_nanos() - lease.meta.created_at.unix_nanos();
    age > i128::try_from(IN_THE_MAKING.as_nanos()).unwrap_or(i128::MAX)
}
