//! The way from a manager's agent to a manager: to its own, for as long as that one hears a leader; else to whichever does.
//!
//! A manager whose disk is full, or that is still to be let in, knows nothing new; its node is as well as before, and is not
//! to be taken for down.

use crate::dispatcher::leaderless;
use crate::way::Way;
use async_trait::async_trait;
use std::sync::Arc;
use swarmrs_agent::Transport;
use swarmrs_rpc::{ManagerEnd, NodeEnd, session};
use swarmrs_store::Store;
use tokio::sync::mpsc;

/// A manager's agent finds its sessions by this.
pub struct Home {
    /// To whoever serves this manager's own.
    sessions: mpsc::Sender<ManagerEnd>,
    store: Arc<Store>,
    /// The managers known, this one among them.
    way: Way,
    /// This manager's own address, where it would find itself again.
    address: String,
}

impl Home {
    pub fn new(
        sessions: mpsc::Sender<ManagerEnd>,
        store: Arc<Store>,
        way: Way,
        address: &str,
    ) -> Self {
        Home {
            sessions,
            store,
            way,
            address: address.to_owned(),
        }
    }

    /// A session with this manager, as soon as it hears a leader.
    async fn own(&self) -> NodeEnd {
        let mut leadership = self.store.leadership();
        let led = leadership.wait_for(|now| now.leader.is_some());
        let is_ending = led.await.is_err();
        let (node, manager) = session::local();
        // If the manager is ending, so is the agent: there will be no other session.
        if is_ending || self.sessions.send(manager).await.is_err() {
            std::future::pending::<()>().await;
        }
        node
    }

    /// A session with another manager, after a while in which this one heard no leader.
    async fn other(&self) -> NodeEnd {
        leaderless(&mut self.store.leadership()).await;
        self.way.open_but_at(&self.address).await
    }
}

#[async_trait]
impl Transport for Home {
    async fn open(&self) -> NodeEnd {
        tokio::select! {
            biased;
            end = self.own() => end,
            end = self.other() => end,
        }
    }
}
