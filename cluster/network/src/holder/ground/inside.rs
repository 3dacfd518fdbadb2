//! Name servers inside containers, which ask from there.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarmrs_types::id::NetworkId;
use tracing::{debug, warn};

use super::{APPEAR, Ground};
use crate::dns::inside::Inside;
use crate::dns::zone::Asker;
use crate::holder::sandbox;

/// Between two looks for a container's namespace: its first process starts as little as 90 ms later.
const APPEAR_LOOK: Duration = Duration::from_millis(5);

impl Ground {
    /// Has a container's own questions answered, if its namespace is there.
    pub async fn enter(&self, network: NetworkId, address: IpAddr, sandbox: &str) {
        let is_task = {
            let facts = self.facts.borrow();
            let endpoint = facts.holder_of(network, address);
            endpoint.map(|endpoint| endpoint.service.is_some())
        };
        let Some(is_task) = is_task else {
            return;
        };
        let mut insides = self.insides.lock().await;
        if insides.contains_key(sandbox) || !sandbox::lives(Path::new(sandbox)) {
            return;
        }
        let (names, path) = (self.names.clone(), sandbox.to_owned());
        let asker = Asker { network, address };
        let opened = tokio::task::spawn_blocking(move || {
            let inside = Inside::open(Path::new(&path), names, asker);
            inside.map(|inside| (path, inside))
        });
        match opened.await.map_err(io::Error::other).flatten() {
            Ok((path, inside)) => {
                insides.insert(path, inside);
            }
            // The engine passes a task's questions on to us.
            Err(error) if is_task => {
                debug!(%network, %address, %error, "no server inside the container");
            }
            Err(error) => warn!(%network, %address, %error, "no names inside the container"),
        }
    }

    /// As [`Ground::enter`], once the namespace is there: some engines make it only after a container has joined.
    pub fn enter_soon(self: &Arc<Self>, network: NetworkId, address: IpAddr, sandbox: String) {
        let ground = self.clone();
        tokio::spawn(async move {
            let deadline = Instant::now() + APPEAR;
            while !sandbox::lives(Path::new(&sandbox)) && Instant::now() < deadline {
                tokio::time::sleep(APPEAR_LOOK).await;
            }
            ground.enter(network, address, &sandbox).await;
        });
    }

    /// The endpoint left its container. If the container has others of ours, they find names from the next look on.
    pub async fn depart(&self, sandbox: &str) {
        let gone = self.insides.lock().await.remove_entry(sandbox);
        close(gone.into_iter().collect()).await;
        for (network, address) in self.book().await.in_sandbox(sandbox) {
            self.enter(network, address, sandbox).await;
        }
    }
}

/// Ends servers inside containers. Each waits for its thread.
pub(super) async fn close(insides: BTreeMap<String, Inside>) {
    if !insides.is_empty() {
        let _ = tokio::task::spawn_blocking(move || drop(insides)).await;
    }
}
