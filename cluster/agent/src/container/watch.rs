//! One event stream for all containers of this node's tasks.
//!
//! An event is a hint to look, no more: whoever waits inspects the container again. So nothing depends on an event's
//! content, and a gap in the stream is closed by giving everyone the hint when it is there again.

use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swarmrs_engine::{Engine, EventFilter, Filters};
use swarmrs_types::NodeId;
use tokio::sync::{Notify, watch};
use tracing::{debug, info};

use crate::container::label;

/// What changes whether a container runs, is content, or exists.
const ACTIONS: [&str; 3] = ["die", "destroy", "health_status"];

/// The first wait after the stream ended; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The hints, by container id.
#[derive(Debug)]
pub struct Watch {
    hints: Mutex<BTreeMap<String, Arc<Notify>>>,
    connected: watch::Sender<bool>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            hints: Mutex::default(),
            connected: watch::Sender::new(false),
        }
    }
}

impl Watch {
    /// The hint for a container. It keeps one that comes while nobody waits. A container seen for the first time is to be
    /// looked at once.
    pub fn hint(&self, id: &str) -> Arc<Notify> {
        let fresh = || {
            let hint = Arc::new(Notify::new());
            hint.notify_one();
            hint
        };
        let mut hints = self.lock();
        hints.entry(id.to_owned()).or_insert_with(fresh).clone()
    }

    /// The hint for a container that was just seen, or will be: only what happens from now on is worth a look.
    pub fn hint_from_now(&self, id: &str) {
        self.lock().entry(id.to_owned()).or_default();
    }

    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Comes back when events are being listened to.
    pub async fn connected(&self) {
        let mut connected = self.connected.subscribe();
        // The sender lives as long as we do.
        let _ = connected.wait_for(|connected| *connected).await;
    }

    /// Listens for good.
    pub async fn run(&self, engine: &Engine, node: NodeId) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.listen(engine, node).await {
                0 => pause = (pause * 2).min(LONGEST_PAUSE),
                _ => pause = FIRST_PAUSE,
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Listens until the engine is lost; how many events came.
    async fn listen(&self, engine: &Engine, node: NodeId) -> u64 {
        // Asked first, so that being connected means that the engine is there.
        if engine.ping().await.is_err() {
            return 0;
        }
        let Ok(mut events) = engine.events(filter(node), None).await else {
            return 0;
        };
        debug!("listening to the engine's events");
        self.connected.send_replace(true);
        self.hint_all();
        let mut heard = 0;
        while let Some(Ok(event)) = events.next().await {
            heard += 1;
            if let Some(hint) = self.lock().get(&event.id) {
                hint.notify_one();
            }
        }
        info!("the engine's events ended");
        self.connected.send_replace(false);
        heard
    }

    fn hint_all(&self) {
        for hint in self.lock().values() {
            hint.notify_one();
        }
    }

    /// Every change under the lock is one call: a holder that panicked left nothing half done.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Notify>>> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine filters: what we do not need (an exec per health check) never wakes us.
fn filter(node: NodeId) -> EventFilter {
    let mut filter = EventFilter::containers(&format!("{}={node}", label::NODE_ID));
    let filters: Filters = std::mem::take(&mut filter.filters);
    filter.filters = ACTIONS
        .iter()
        .fold(filters, |filters, action| filters.with("event", *action));
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_hinted(hint: &Notify) -> bool {
        tokio::time::timeout(Duration::ZERO, hint.notified())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_container_never_seen_is_looked_at_once() {
        let watch = Watch::default();
        let hint = watch.hint("c1");
        assert!(is_hinted(&hint).await);
        assert!(!is_hinted(&hint).await);
        assert!(!is_hinted(&watch.hint("c1")).await);
    }

    #[tokio::test]
    async fn one_just_seen_waits_for_an_event() {
        let watch = Watch::default();
        watch.hint_from_now("c1");
        assert!(!is_hinted(&watch.hint("c1")).await);
    }

    #[tokio::test]
    async fn after_a_gap_everyone_looks() {
        let watch = Watch::default();
        watch.hint_from_now("c1");
        watch.hint_all();
        assert!(is_hinted(&watch.hint("c1")).await);
    }
}
