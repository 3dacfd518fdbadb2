//! A manager that cannot be heard: the address it is to listen on is not here, or its port is taken. It may be on its way, as
//! a lease is when a machine starts, so it is tried again until it is there. Meanwhile the engine's API works, containers run
//! on, and their networks are held.
//!
//! One that will not come back: the node leaves, or goes on alone at another (`swarm init --force-new-cluster`).

use crate::lock::SharedKeys;
use crate::moved;
use crate::networks;
use crate::record::StartRecord;
use crate::role::{Node, NodeError, Role, reserve};
use swarmrs_types::{Code, Fault};
use tracing::error;

/// What such a manager will begin with.
pub struct Unbound {
    pub record: StartRecord,
    pub keys: SharedKeys,
    /// In the system's words.
    pub why: String,
}

impl Node {
    /// Waits for the address of this record.
    pub(crate) fn stand_by(&self, record: StartRecord, keys: SharedKeys, why: &NodeError) {
        error!(node = %record.node, %why, "this manager is not heard: it is tried again");
        if let Some(holder) = &self.0.holder {
            networks::attend_as_before(holder);
        }
        let why = why.to_string();
        let unbound = Unbound { record, keys, why };
        self.0.take_up(Role::Unbound(Box::new(unbound)));
    }

    /// Begins if the address is there by now, be it another one.
    pub(crate) async fn begin_if_bound(
        &self,
        record: StartRecord,
        keys: SharedKeys,
    ) -> Result<(), NodeError> {
        let record = moved::catch_up(&self.0.config, record)?;
        if reserve(&record).is_err() {
            return Ok(());
        }
        self.resume_manager(record, keys, false).await
    }

    /// A fault in Docker's words if the manager that was just begun waits for its address.
    pub(crate) fn require_bound(&self) -> Result<(), Fault> {
        match &**self.0.role.load() {
            Role::Unbound(unbound) => Err(Fault::daemon(
                Code::Unknown,
                format!("swarm component could not be started: {}", unbound.why),
            )),
            _ => Ok(()),
        }
    }
}
