//! Keeps the keystore wrapped as the cluster agreed: by the unlock key, or by none.
//!
//! The agreement comes first, the disk follows. A crash between the two leaves the data key wrapped
//! in the old way, which its owner can still open: the unlock key in force is then the old one, and
//! the next start wraps anew before anything else runs. The other order could leave a key in force
//! that nobody ever saw.
//!
//! ```text
//!   swarm update --autolock ─▶ entry ─▶ state ─event─▶ follow ─▶ keystore: one atomic replacement
//!         answered ◀───────────────── in force up to this version ◀┘
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swarmrs_core::{Event, State};
use swarmrs_security::{Error, Keys, Lock, UnlockKey};
use swarmrs_store::Store;
use tokio::sync::watch;
use tracing::{error, info};

/// Between two tries to write the data key: a full disk may have space again.
const RETRY: Duration = Duration::from_secs(1);

/// The node's keys, for whoever changes them.
#[derive(Clone, Debug)]
pub struct SharedKeys(Arc<Mutex<Keys>>);

impl SharedKeys {
    pub fn new(keys: Keys) -> Self {
        SharedKeys(Arc::new(Mutex::new(keys)))
    }

    /// The keys as they are now.
    pub fn get(&self) -> Keys {
        self.with(|keys| keys.clone())
    }

    /// Runs `act` on the keys, alone.
    pub fn with<T>(&self, act: impl FnOnce(&mut Keys) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wraps the data key as `state` says.
pub fn wrap(keys: &SharedKeys, state: &State) -> Result<(), Error> {
    let Some(cluster) = state.cluster() else {
        return Ok(());
    };
    let text = cluster.unlock_key.as_deref();
    let agreed = Lock {
        key: text.map(UnlockKey::parse).transpose()?,
        agreed_at: cluster.meta.version,
    };
    keys.with(|keys| {
        let before = keys.lock().clone();
        keys.change_lock(agreed)?;
        if *keys.lock() != before {
            let locked = keys.lock().key.is_some();
            info!(
                locked,
                version = keys.lock().agreed_at,
                "data key wrapped anew"
            );
        }
        Ok(())
    })
}

/// The version of the agreement in `state`.
pub(crate) fn agreed(state: &State) -> u64 {
    state.cluster().map_or(0, |cluster| cluster.meta.version)
}

/// Follows the agreement until the store closes, and says up to which version it is in force.
pub async fn follow(store: Arc<Store>, keys: SharedKeys, in_force: watch::Sender<u64>) {
    let mut bell = store.bell(|event| matches!(event, Event::Cluster(_)));
    loop {
        let state = store.view();
        if let Err(error) = wrap(&keys, &state) {
            error!(%error, "the data key cannot be wrapped as agreed");
            tokio::time::sleep(RETRY).await;
            continue;
        }
        in_force.send_replace(agreed(&state));
        drop(state);
        if !bell.rung().await {
            return;
        }
    }
}
