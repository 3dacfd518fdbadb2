//! A manager's seat among the members of the log: asked for until it is had, and asked for again where
//! this manager has moved.

use crate::config::Config;
use crate::record::StartRecord;
use crate::way::Way;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_core::Event;
use swarmrs_rpc::message::join::{JoinRequest, Joined};
use swarmrs_rpc::{CallError, Method};
use swarmrs_store::Store;
use swarmrs_types::feature::LEVEL;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Between two times of asking.
const AGAIN: Duration = Duration::from_secs(2);
/// How long the manager asked may take: it tries to reach this one.
pub const ASK: Duration = Duration::from_secs(10);

/// What is needed to keep it.
pub struct Seat {
    pub config: Config,
    pub record: StartRecord,
    pub store: Arc<Store>,
    pub way: Way,
    /// Told once it is had.
    pub admitted: watch::Sender<bool>,
}

impl Seat {
    /// Asks until this member votes and the others know where it is.
    pub async fn keep(self) {
        let mut bell = self.store.bell(|event| matches!(event, Event::Node(_)));
        // A lone manager has said it before it started.
        while !self.is_had() {
            if let Err(error) = ask(&self.way, &self.record).await {
                warn!(%error, "not a member of the quorum yet");
            }
            if let Ok(false) = tokio::time::timeout(AGAIN, bell.rung()).await {
                // The store has closed.
                return;
            }
        }
        if self.record.newcomer {
            let record = self.record.clone().admitted();
            match record.save(&self.config) {
                Ok(()) => info!(raft_id = record.raft_id, "member of the quorum"),
                Err(error) => error!(%error, "the start record cannot be written"),
            }
        }
        self.admitted.send_replace(true);
    }

    /// Whether this member votes, and the node's object says where it listens.
    fn is_had(&self) -> bool {
        let raft_id = self.record.raft_id;
        let mut members = self.store.members().into_iter();
        let votes = members.any(|member| member.raft_id == raft_id && member.is_voter);
        let state = self.store.view();
        let node = state.nodes().get(&self.record.node);
        let known = node.is_some_and(|node| {
            node.raft_id == Some(raft_id)
                && node.manager_addr.as_deref() == Some(self.record.advertise_addr.as_str())
        });
        votes && known
    }
}

/// Asks a manager for a seat.
pub async fn ask(way: &Way, record: &StartRecord) -> Result<Joined, CallError> {
    let request = JoinRequest {
        address: record.advertise_addr.clone(),
        raft_id: Some(record.raft_id),
        level: LEVEL,
    };
    way.ask(Method::Join, &request, ASK).await
}
