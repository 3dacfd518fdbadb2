//! A swarm that goes on with this node alone, perhaps at another address: `swarm init
//! --force-new-cluster`, after the other managers were lost or the data root was brought from elsewhere.
//!
//! Nothing of the agreed state is made anew: ids, services, networks, tokens, the authority stay. The
//! manager ends, the start record gets the new addresses, and the manager starts from it; starting
//! tells the membership and the node's object where it is now. A crash in between is finished by the
//! next start.

use crate::control::{WORKER, draw_unlock_key};
use crate::lock::SharedKeys;
use crate::membership::internal;
use crate::record::StartRecord;
use crate::role::{Node, NodeError, Role, reserve};
use swarmrs_core::State;
use swarmrs_core::control::swarm;
use swarmrs_types::spec::InitRequest;
use swarmrs_types::{Fault, NodeId};
use tracing::{error, info};

impl Node {
    /// Goes on alone, as the request says. What is wrong with it is told before anything is changed.
    pub(crate) async fn force(&self, request: InitRequest) -> Result<NodeId, Fault> {
        let (old, keys) = match &**self.0.role.load() {
            Role::Manager(manager) => (manager.record.clone(), manager.keys.clone()),
            Role::Unbound(unbound) => (unbound.record.clone(), unbound.keys.clone()),
            Role::Alone
            | Role::Worker(_)
            | Role::Joining(_)
            | Role::Locked(_)
            | Role::Starting(_)
            | Role::Error(_) => {
                return Err(Fault::unavailable(WORKER));
            }
        };
        let addresses = self.addresses(&request).await?;
        let record = StartRecord::new(old.node, old.raft_id, &addresses);
        if let Some(running) = self.take_running(Role::Starting(record.clone())).await {
            running.stop().await;
        }
        if let Err(error) = self.start_again(&record, &keys).await {
            self.go_back(old, keys).await;
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
    async fn start_again(&self, record: &StartRecord, keys: &SharedKeys) -> Result<(), NodeError> {
        drop(reserve(record)?);
        record.save(&self.0.config)?;
        self.resume_manager(record.clone(), keys.clone(), true)
            .await
    }

    async fn go_back(&self, old: StartRecord, keys: SharedKeys) {
        let saved = old.save(&self.0.config).map_err(NodeError::from);
        let resumed = match saved {
            Ok(()) => self.resume_manager(old, keys, false).await,
            failed => failed,
        };
        if let Err(error) = resumed {
            error!(%error, "the manager does not start again");
            self.0.take_up(Role::Error(error.to_string()));
        }
    }
}
