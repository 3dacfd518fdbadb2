//! A swarm that goes on with this node alone, perhaps at another address: `swarm init
//! --force-new-cluster`, after the other managers were lost or the data root was brought from elsewhere.
//!
//! Nothing of the agreed state is made anew: ids, services, networks, tokens, the authority stay. The
//! manager ends, the start record gets the new addresses, and the manager starts from it; starting
//! tells the membership and the node's object where it is now. A crash in between is finished by the
//! next start.

use crate::control::draw_unlock_key;
use crate::membership::internal;
use crate::record::StartRecord;
use crate::role::{Node, NodeError, Role, reserve};
use swarmrs_core::State;
use swarmrs_core::control::swarm;
use swarmrs_security::UnlockKey;
use swarmrs_types::spec::InitRequest;
use swarmrs_types::{Fault, NodeId};
use tracing::{error, info};

/// Docker's answer to a node that has no manager to go on with. Source: moby
/// `daemon/cluster/errors.go`.
const NO_MANAGER_HERE: &str = "This node is not a swarm manager. Worker nodes can't be used to view \
     or modify cluster state. Please run this command on a manager node or promote the current node \
     to a manager.";

impl Node {
    /// Goes on alone, as the request says. What is wrong with it is told before anything is changed.
    pub(crate) async fn force(&self, request: InitRequest) -> Result<NodeId, Fault> {
        let (old, unlock) = match &**self.0.role.load() {
            Role::Manager(manager) => {
                let unlock = manager.keys.get().lock().key.clone();
                (manager.record.clone(), unlock)
            }
            Role::Alone | Role::Locked(_) | Role::Starting(_) | Role::Error(_) => {
                return Err(Fault::unavailable(NO_MANAGER_HERE));
            }
        };
        let addresses = self.addresses(&request).await?;
        let record = StartRecord::new(old.node, old.raft_id, &addresses);
        if let Some(manager) = self.take_manager(Role::Starting(record.clone())).await {
            manager.stop().await;
        }
        if let Err(error) = self.start_again(&record, unlock.as_ref()).await {
            self.go_back(old, unlock.as_ref()).await;
            return Err(internal(error));
        }
        let drawn = draw_unlock_key()?;
        let decide = |state: &State, now| {
            swarm::force(state, request.spec.clone(), drawn.clone(), now).map(|plan| ((), plan))
        };
        self.decide_and_lock(decide).await?;
        info!(node = %record.node, addr = record.advertise_addr, "going on alone");
        Ok(record.node)
    }

    /// The address is tried first: once the record is saved, it is what the node is started with.
    async fn start_again(
        &self,
        record: &StartRecord,
        unlock: Option<&UnlockKey>,
    ) -> Result<(), NodeError> {
        drop(reserve(record)?);
        record.save(&self.0.config)?;
        self.resume_manager(record.clone(), unlock).await
    }

    async fn go_back(&self, old: StartRecord, unlock: Option<&UnlockKey>) {
        let saved = old.save(&self.0.config).map_err(NodeError::from);
        let resumed = match saved {
            Ok(()) => self.resume_manager(old, unlock).await,
            failed => failed,
        };
        if let Err(error) = resumed {
            error!(%error, "the manager does not start again");
            self.0.take_up(Role::Error(error.to_string()));
        }
    }
}
