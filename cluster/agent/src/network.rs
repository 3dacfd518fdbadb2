//! The swarm's networks on this node: told to the plane, and made in the engine.
//!
//! ```text
//!   session ──facts──▶ Networks ─┬─ owed ──▶ plane      in force before a task is acted on
//!                                └─ twins ─▶ engine     made before a container is
//!   orders ──▶ networks of the engine's own ─▶ twins
//! ```
//!
//! A plane that cannot be told holds nothing up but what needs it: tasks that are on no network of the swarm go on, others
//! wait, and once it can be told again it is told everything.

pub mod drain;
pub mod facts;
#[cfg(test)]
mod fixture;
pub mod label;
pub mod link;
mod node_local;
mod owed;
pub mod twin;
pub mod way_out;

use self::facts::Facts;
use self::link::Link;
use self::node_local::Needed;
use self::owed::Owed;
use self::twin::{Twin, Twins, Wanted};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swarmrs_engine::Engine;
use swarmrs_network::{Absent, BoundPort, Error, Plane};
use swarmrs_types::assignment::{NodeLocal, Order};
use swarmrs_types::endpoint::{Endpoint, FactDiff, Overlay};
use swarmrs_types::id::RawId;
use swarmrs_types::{NetworkId, TaskId};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tracing::{debug, warn};

/// How long tasks wait for the plane to take over what concerns them before they are acted on all the same.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries to tell the plane, or to be rid of a network that is still in use.
const AGAIN: Duration = Duration::from_millis(500);

/// A network cannot be used yet; the text says why.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    #[error("the task is not known on network {0} yet")]
    Untold(NetworkId),
    #[error("the network plane has not taken over the task's networks yet")]
    NotInForce,
    #[error(transparent)]
    Engine(#[from] swarmrs_engine::Error),
}

/// See the module.
pub struct Networks {
    engine: Engine,
    plane: Arc<dyn Plane>,
    pub twins: Twins,
    facts: Mutex<Facts>,
    needed: Mutex<Needed>,
    owed: Mutex<Owed>,
    asked: Notify,
    /// The number of the last change that is in force.
    in_force: watch::Sender<u64>,
    /// Counts changes of the facts; told also when a task needs its networks no more.
    changed: watch::Sender<u64>,
}

impl Networks {
    /// `driver` is our name in the engine.
    pub fn new(engine: Engine, driver: String, plane: Arc<dyn Plane>) -> Self {
        Networks {
            plane,
            twins: Twins::new(engine.clone(), driver),
            engine,
            facts: Mutex::default(),
            needed: Mutex::default(),
            owed: Mutex::default(),
            asked: Notify::new(),
            in_force: watch::Sender::new(0),
            changed: watch::Sender::new(0),
        }
    }

    /// On a node that carries no packets: what is told is kept, and that is all.
    pub fn without_plane(engine: Engine) -> Self {
        Networks::new(engine, "swarmrs".to_owned(), Arc::new(Absent::default()))
    }

    /// What the node was told. Held for a moment only.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn needed(&self) -> MutexGuard<'_, Needed> {
        self.needed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task of this node: the networks it needs of the engine are kept from here on.
    pub fn expect(&self, order: &Order) {
        self.needed().add(order);
    }

    /// The task and its container are gone.
    pub fn release(&self, task: TaskId) {
        if self.needed().release(task) {
            self.changed.send_modify(|_| ());
        }
    }

    /// Takes facts over and comes back when they are in force, or after a second.
    pub async fn tell(&self, diff: FactDiff, complete: bool) {
        if diff.is_empty() && !complete {
            return;
        }
        let number = {
            let mut facts = self.facts();
            facts.take(&diff, complete);
            self.owed().add(diff, complete)
        };
        self.changed.send_replace(number);
        self.asked.notify_one();
        if !self.came_into_force(number).await {
            warn!("the network plane is late: tasks go on without it");
        }
    }

    async fn came_into_force(&self, number: u64) -> bool {
        let mut in_force = self.in_force.subscribe();
        let reached = in_force.wait_for(|reached| *reached >= number);
        matches!(tokio::time::timeout(PATIENCE, reached).await, Ok(Ok(_)))
    }

    /// Tells the plane and keeps the engine's networks to those that the node carries, for good.
    pub async fn serve(self: Arc<Self>) {
        tokio::join!(self.tell_plane(), self.sweep());
    }

    async fn tell_plane(&self) {
        loop {
            let telling = {
                let facts = self.facts();
                self.owed().take(&facts)
            };
            let Some(telling) = telling else {
                self.asked.notified().await;
                continue;
            };
            match self.plane.tell(telling.diff, telling.complete).await {
                Ok(()) => {
                    self.in_force.send_replace(telling.last);
                }
                Err(error) => {
                    warn!(%error, "the network plane cannot be told");
                    self.owed().everything();
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Removes the twins of networks that this node carries no more.
    async fn sweep(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            let clean = self
                .twins
                .drop_stale(|network| self.is_stale(network))
                .await;
            let clean = clean.unwrap_or_else(|error| {
                debug!(%error, "the engine does not say which networks it has");
                false
            });
            match clean {
                true => {
                    if changed.changed().await.is_err() {
                        return;
                    }
                }
                false => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Whether the node is not told of the network, and no task of its needs it. Before it was told anything, none is.
    fn is_stale(&self, network: NetworkId) -> bool {
        let (facts, needed) = (self.facts(), self.needed());
        facts.are_grounded() && facts.network(network).is_none() && !needed.contains(network)
    }

    /// The networks of a task or container, made in the engine and in force in the plane; its way out first. `expected`
    /// are those it must be on.
    pub async fn links(&self, owner: RawId, expected: &[NetworkId]) -> Result<Vec<Link>, Unready> {
        let (number, found) = {
            let facts = self.facts();
            let found = facts.endpoints_of(owner).into_iter();
            let found: Vec<(Overlay, Endpoint)> = found
                .map(|(network, endpoint)| (network.clone(), endpoint.clone()))
                .collect();
            (self.owed().last(), found)
        };
        let told = |id: &&NetworkId| found.iter().any(|(network, _)| network.id == **id);
        if let Some(missing) = expected.iter().find(|id| !told(id)) {
            return Err(Unready::Untold(*missing));
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if !self.came_into_force(number).await {
            return Err(Unready::NotInForce);
        }
        let mut links = Vec::new();
        for (network, endpoint) in found {
            let twin = self.ensure(&network, &[]).await?;
            links.push(Link::new(twin, &endpoint));
        }
        Ok(links)
    }

    /// The network's twin, made if need be. `listed` are networks that the engine has just listed: a twin among them is
    /// not asked for again.
    pub async fn ensure(
        &self,
        network: &Overlay,
        listed: &[Value],
    ) -> Result<Twin, swarmrs_engine::Error> {
        let wanted = Wanted::overlay(network, self.twins.driver());
        let is_stale = |network| self.is_stale(network);
        self.twins.ensure(&wanted, listed, is_stale).await
    }

    /// A network of the engine's own, made if need be. Once it is there its configuration is of no matter.
    pub async fn ensure_node_local(
        &self,
        network: &NodeLocal,
    ) -> Result<Twin, swarmrs_engine::Error> {
        if let Some(twin) = self.twins.present(network.id).await? {
            return Ok(twin);
        }
        let configuration = match node_local::configuration(network) {
            Some(name) => Some(self.configuration(name).await?),
            None => None,
        };
        let wanted = node_local::wanted(network, configuration.as_ref());
        let is_stale = |network| self.is_stale(network);
        self.twins.ensure(&wanted, &[], is_stale).await
    }

    async fn configuration(&self, name: &str) -> Result<Value, swarmrs_engine::Error> {
        match self.engine.inspect_network(name).await {
            Ok(shown) if node_local::is_configuration(&shown, name) => Ok(shown),
            Err(error) if !error.is_not_found() => Err(error),
            _ => Err(node_local::no_configuration(name)),
        }
    }

    /// Waits until a task or container has an endpoint on a network that is in force, no longer than `limit`.
    pub async fn await_endpoint(
        &self,
        network: NetworkId,
        owner: RawId,
        limit: Duration,
    ) -> Option<(Overlay, Endpoint)> {
        let look = || {
            let facts = self.facts();
            let endpoint = facts.endpoint(network, owner)?.clone();
            let network = facts.network(network)?.clone();
            Some((self.owed().last(), network, endpoint))
        };
        let mut changed = self.changed.subscribe();
        let mut in_force = self.in_force.subscribe();
        let wait = async {
            let (number, network, endpoint) = loop {
                if let Some(found) = look() {
                    break found;
                }
                changed.changed().await.ok()?;
            };
            in_force.wait_for(|reached| *reached >= number).await.ok()?;
            Some((network, endpoint))
        };
        tokio::time::timeout(limit, wait).await.ok().flatten()
    }

    /// Returns when no flow to the owner lives any more on any network, or after `limit`.
    pub async fn drain(&self, owner: RawId, limit: Duration) {
        let networks: Vec<NetworkId> = {
            let facts = self.facts();
            let found = facts.endpoints_of(owner).into_iter();
            found.map(|(network, _)| network.id).collect()
        };
        let drains = networks.into_iter().map(|network| async move {
            if let Err(error) = self.plane.drain(network, owner, limit).await {
                debug!(%network, %error, "connections are not waited for");
            }
        });
        futures_util::future::join_all(drains).await;
    }

    /// What the plane published for containers of this node.
    pub async fn ports(&self) -> Vec<BoundPort> {
        match self.plane.ports().await {
            Ok(ports) => ports,
            Err(error) => {
                debug!(%error, "the network plane does not say which ports it published");
                Vec::new()
            }
        }
    }

    /// What is worth a warning, told within that time.
    ///
    /// # Errors
    /// Why the node carries no networks.
    pub async fn warnings(&self, patience: Duration) -> Result<Vec<String>, Error> {
        match timeout(patience, self.plane.warnings()).await {
            Ok(Err(Error::Alone)) => Ok(Vec::new()),
            Ok(told) => told,
            Err(late) => Err(Error::Away(late.into())),
        }
    }

    /// The node has left: nothing of any network stays. What cannot be removed is told in the log.
    pub async fn leave(&self) {
        *self.facts() = Facts::default();
        *self.needed() = Needed::default();
        if let Err(error) = self.twins.dissolve().await {
            warn!(%error, "networks of the swarm may be left in the engine");
        }
        if let Err(error) = self.plane.clear().await {
            warn!(%error, "the network plane may be left");
        }
    }
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Networks(..)")
    }
}

#[cfg(test)]
mod tests;
