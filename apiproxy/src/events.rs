//! What the swarm tells of itself on `/events`: made from the log's changes, the same on every manager.
//!
//! The last [`KEPT`] are remembered for `since`, as the engine remembers its own. Nothing outlives the process.

mod describe;
mod filter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use swarmrs_core::{Event, State};
use swarmrs_node::Node;
use swarmrs_types::Timestamp;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tracing::warn;

pub(crate) use filter::EventFilter;

/// As many as the engine keeps. Source: moby `daemon/events/events.go`.
const KEPT: usize = 256;

/// One event, as clients read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    #[serde(rename = "Type")]
    pub(crate) kind: &'static str,
    #[serde(rename = "Action")]
    pub(crate) action: &'static str,
    #[serde(rename = "Actor")]
    pub(crate) actor: Actor,
    pub(crate) scope: &'static str,
    /// Seconds since 1970.
    pub(crate) time: i64,
    #[serde(rename = "timeNano")]
    pub(crate) time_nano: i64,
}

/// Whom an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Actor {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<&'static str, String>,
}

/// The swarm's events, kept and live.
#[derive(Debug)]
pub struct SwarmEvents {
    kept: Mutex<VecDeque<Arc<Message>>>,
    live: broadcast::Sender<Arc<Message>>,
}

impl Default for SwarmEvents {
    fn default() -> Self {
        let (live, _) = broadcast::channel(KEPT);
        Self {
            kept: Mutex::default(),
            live,
        }
    }
}

impl SwarmEvents {
    /// Tells what the node's log does from now on, until the node is gone.
    pub async fn follow(self: Arc<Self>, node: Node) {
        let mut changes = node.events();
        drop(node);
        loop {
            match changes.recv().await {
                Ok(batch) => self.tell(&batch.events, &batch.state),
                Err(RecvError::Lagged(missed)) => warn!(missed, "events of the swarm were missed"),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Tells what these changes mean.
    pub fn tell(&self, changes: &[Event], state: &State) {
        let messages = changes.iter().filter_map(|change| {
            let now = Timestamp::now();
            describe::describe(change, state, now)
        });
        for message in messages.map(Arc::new) {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(message.clone());
            // Nobody listening is no error.
            let _ = self.live.send(message);
        }
    }

    /// Those kept from `since` on, and all that follow them; nothing falls between.
    pub(crate) fn subscribe(
        &self,
        since: Option<i64>,
    ) -> (Vec<Arc<Message>>, broadcast::Receiver<Arc<Message>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live.subscribe();
        let Some(since) = since else {
            return (Vec::new(), live);
        };
        let wanted = kept.iter().filter(|message| message.time_nano >= since);
        (wanted.cloned().collect(), live)
    }
}

#[cfg(test)]
mod tests;
