//! What the swarm has decided about this node, carried out: a worker becomes a manager, a manager a worker.
//!
//! The containers know nothing of it.

use crate::lock::SharedKeys;
use crate::record::{self, StartRecord};
use crate::renew::{self, AskError};
use crate::role::{Inner, Node, NodeError, Role, Running, Turn};
use crate::way::Way;
use std::sync::Weak;
use std::time::Duration;
use swarmrs_rpc::{CallError, Reason};
use swarmrs_security::Keys;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// Between two times of asking for a certificate.
const AGAIN: Duration = Duration::from_secs(1);
/// Why a node that was removed does nothing.
pub const REMOVED: &str = "this node was removed from the swarm. To use it again: docker swarm leave \
     --force, then join";

/// Carries out what is decided for as long as the node is there.
pub async fn follow(node: Weak<Inner>, mut turns: mpsc::UnboundedReceiver<Turn>) {
    while let Some(turn) = turns.recv().await {
        let Some(inner) = node.upgrade() else { return };
        let node = Node(inner);
        let turned = match turn {
            Turn::Promoted => node.promoted().await,
            Turn::Dismissed => node.dismissed().await,
        };
        if let Err(error) = turned {
            error!(%error, "the node cannot take its new role");
            node.0.take_up(Role::Error(error.to_string()));
        }
    }
}

impl Node {
    /// A worker that holds a manager's certificate begins with an empty log and asks to be admitted.
    async fn promoted(&self) -> Result<(), NodeError> {
        let _turn = self.0.turn.lock().await;
        let (record, keys) = match &**self.0.role.load() {
            Role::Worker(worker) => (worker.record.clone(), worker.keys.clone()),
            _ => return Ok(()),
        };
        info!(node = %record.node, "this node is to be a manager");
        if let Some(worker) = self.take_running(Role::Starting(record.clone())).await {
            worker.stop().await;
        }
        let record = self.newcomer(record)?;
        self.resume_manager(record, keys, false).await
    }

    /// A manager whose number is dismissed, or who is doubted, is what its next certificate says; the log of a number that is
    /// dismissed is of no use any more.
    async fn dismissed(&self) -> Result<(), NodeError> {
        let (record, way, keys, store) = match &**self.0.role.load() {
            Role::Manager(manager) => (
                manager.record.clone(),
                manager.way.clone(),
                manager.keys.clone(),
                manager.desk.store.clone(),
            ),
            _ => return Ok(()),
        };
        let Some(role) = next_role(self, &record, &way, &keys).await else {
            return Ok(());
        };
        let is_dismissed = *store.dismissed().borrow();
        drop(store);
        if role == swarmrs_security::Role::Manager && !is_dismissed {
            return Ok(());
        }
        let _turn = self.0.turn.lock().await;
        if !self.is_still(&record) {
            return Ok(());
        }
        info!(node = %record.node, role = role.as_str(), "this member of the quorum was dismissed");
        if let Some(Running::Manager(manager)) =
            self.take_running(Role::Starting(record.clone())).await
        {
            manager.stop().await;
        }
        record::remove_folder(&self.0.config.raft())?;
        match role {
            swarmrs_security::Role::Manager => {
                let record = self.newcomer(record)?;
                self.resume_manager(record, keys, false).await
            }
            swarmrs_security::Role::Worker => {
                // A worker holds nothing that a lock would guard.
                keys.with(Keys::forget_lock)?;
                let record = record.serving();
                record.save(&self.0.config)?;
                self.run_worker(record, keys)
            }
        }
    }
}

impl Node {
    /// Whether the node is the same member of the log as this record's.
    fn is_still(&self, record: &StartRecord) -> bool {
        matches!(&**self.0.role.load(), Role::Manager(manager) if manager.record == *record)
    }
}

/// Asks until a manager answers. None: the node was removed, or is something else by now.
async fn next_role(
    node: &Node,
    record: &StartRecord,
    way: &Way,
    keys: &SharedKeys,
) -> Option<swarmrs_security::Role> {
    loop {
        match renew::ask(way, keys).await {
            Ok(role) => return Some(role),
            Err(AskError::Call(CallError::Refused(refusal)))
                if refusal.reason == Reason::NotMember =>
            {
                warn!(%refusal, "removed from the swarm");
                let _turn = node.0.turn.lock().await;
                // It may have left meanwhile, and joined again as another.
                if !node.is_still(record) {
                    return None;
                }
                let removed = Role::Error(REMOVED.to_owned());
                if let Some(running) = node.take_running(removed).await {
                    running.stop().await;
                }
                return None;
            }
            Err(error) => warn!(%error, "dismissed, and no new certificate yet"),
        }
        tokio::time::sleep(AGAIN).await;
        if !node.is_still(record) {
            return None;
        }
    }
}
