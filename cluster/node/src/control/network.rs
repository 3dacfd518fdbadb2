//! Requests about networks.

use crate::ids::RandomIds;
use crate::role::{Node, Role};
use std::time::Duration;
use swarmrs_core::State;
use swarmrs_core::control::network;
use swarmrs_types::spec::NetworkSpec;
use swarmrs_types::{Fault, NetworkId};
use tokio::time::{Instant, sleep};

/// How long a new network waits for a removed one whose subnet it wants: the tasks on that are stopping.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

impl Node {
    /// Makes a network of the swarm.
    pub async fn create_network(&self, spec: NetworkSpec) -> Result<NetworkId, Fault> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let decide =
                |state: &State, now| network::create(state, spec.clone(), now, &mut RandomIds);
            match self.decide(decide).await {
                Ok((id, _)) => return Ok(id),
                Err(fault) if Instant::now() > deadline || !self.is_departing(&spec) => {
                    return Err(fault);
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Whether what the network asks for is about to become free.
    fn is_departing(&self, spec: &NetworkSpec) -> bool {
        match &**self.0.role.load() {
            Role::Manager(manager) => network::waits_for_departed(&manager.desk.store.view(), spec),
            _ => false,
        }
    }

    /// Removes a network that nothing uses.
    pub async fn remove_network(&self, term: &str) -> Result<NetworkId, Fault> {
        let decide = |state: &State, _now| network::remove(state, term);
        Ok(self.decide(decide).await?.0)
    }
}
