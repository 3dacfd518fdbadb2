//! The API's door: what is asked of this node's swarm, if a manager runs here.

mod attachment;
mod network;
mod payload;

use crate::authority;
use crate::ids::RandomIds;
use crate::local::ClusterView;
use crate::lock;
use crate::role::{Node, Role};
use swarmrs_core::control::swarm::{Authority, Rotations};
use swarmrs_core::control::{self, service::UpdateOptions};
use swarmrs_core::{Plan, State};
use swarmrs_security::{JoinToken, RootCert, RootDigest, UnlockKey};
use swarmrs_types::default::REQUEST_TIMEOUT;
use swarmrs_types::object::RegistryAuth;
use swarmrs_types::spec::{NodeSpec, ServiceSpec, SwarmSpec};
use swarmrs_types::{ClusterTime, Code, Fault, SecretText, ServiceId, Timestamp};
use tracing::info;

/// Docker's answer outside a swarm. Source: moby `daemon/cluster/errors.go`.
pub(crate) const NOT_A_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \
     \"docker swarm join\" to connect this node to swarm and try again.";

/// Docker's answer of a worker. Source: as above.
pub(crate) const WORKER: &str = "This node is not a swarm manager. Worker nodes can't be used to view \
     or modify cluster state. Please run this command on a manager node or promote the current node \
     to a manager.";

/// Docker's answer of a manager that waits for the unlock key. Source: as above.
pub(crate) const LOCKED: &str = "Swarm is encrypted and needs to be unlocked before it can be used. \
     Please use \"docker swarm unlock\" to unlock it.";

/// Docker's answer of a manager that is not ready yet. Source: as above.
const STARTING: &str = "This node is not a swarm manager. Manager is being prepared or has trouble \
     connecting to the cluster.";

/// What a request changed: the version it was written at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    pub version: u64,
}

/// Which of the swarm's secrets are drawn anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Join tokens.
    pub worker: bool,
    pub manager: bool,
    /// The unlock key, if the swarm locks managers.
    pub unlock_key: bool,
}

impl Node {
    /// The gate in front of every cluster call: 503 with Docker's text unless a manager runs here.
    pub fn require_manager(&self) -> Result<(), Fault> {
        match &**self.0.role.load() {
            Role::Manager(_) => Ok(()),
            Role::Worker(_) => Err(Fault::unavailable(WORKER)),
            Role::Alone | Role::Joining(_) => Err(Fault::unavailable(NOT_A_MANAGER)),
            Role::Starting(_) => Err(Fault::unavailable(STARTING)),
            Role::Locked(_) => Err(Fault::unavailable(LOCKED)),
            Role::Unbound(unbound) => Err(Fault::unavailable(unbound.why.clone())),
            Role::Error(reason) => Err(Fault::unavailable(reason.clone())),
        }
    }

    /// The cluster as it is now: everything acknowledged before the call is in it.
    pub async fn view(&self) -> Result<ClusterView, Fault> {
        self.require_manager()?;
        let role = self.0.role.load_full();
        let Role::Manager(manager) = &*role else {
            return Err(Fault::unavailable(NOT_A_MANAGER));
        };
        let state = manager.desk.newest().await?;
        Ok(manager.view(state))
    }

    /// Creates a service.
    pub async fn create_service(
        &self,
        spec: ServiceSpec,
        auth: Option<RegistryAuth>,
    ) -> Result<ServiceId, Fault> {
        let (id, _) = self
            .decide(|state, now| {
                control::service::create(state, spec.clone(), auth.clone(), now, &mut RandomIds)
            })
            .await?;
        Ok(id)
    }

    /// Updates a service that stands at `version`, or rolls it back.
    pub async fn update_service(
        &self,
        term: &str,
        version: u64,
        spec: ServiceSpec,
        options: UpdateOptions,
    ) -> Result<Changed, Fault> {
        let wall = Timestamp::now();
        let decide = |state: &State, now| {
            let (spec, options) = (spec.clone(), options.clone());
            control::service::update(state, term, version, spec, options, now, wall)
                .map(|plan| ((), plan))
        };
        Ok(self.decide(decide).await?.1)
    }

    /// Removes a service; its tasks are told to go in the same entry.
    pub async fn remove_service(&self, term: &str) -> Result<ServiceId, Fault> {
        let decide = |state: &State, _now| control::service::remove(state, term);
        Ok(self.decide(decide).await?.0)
    }

    /// Updates what is wanted of a node.
    pub async fn update_node(
        &self,
        term: &str,
        version: u64,
        spec: NodeSpec,
    ) -> Result<Changed, Fault> {
        let members = self.members();
        let decide = |state: &State, now| {
            control::node::update(state, term, version, spec.clone(), &members, now)
                .map(|plan| ((), plan))
        };
        Ok(self.decide(decide).await?.1)
    }

    /// Forgets a node.
    pub async fn remove_node(&self, term: &str, force: bool) -> Result<(), Fault> {
        let wall = Timestamp::now();
        let decide = |state: &State, now| control::node::remove(state, term, force, now, wall);
        self.decide(decide).await.map(|_| ())
    }

    /// Updates the swarm's settings and draws its secrets anew. Returns once the lock it asks for is
    /// in force on this node's disk.
    pub async fn update_swarm(
        &self,
        version: u64,
        spec: SwarmSpec,
        rotation: Rotation,
    ) -> Result<Changed, Fault> {
        self.require_manager()?;
        control::swarm::check_update(&spec)?;
        // Judged on the version that the user read, or refused for another.
        let authority = self.judge_authority(&spec).await?;
        let decide = |state: &State, now| {
            let rotations = Rotations {
                authority: authority.clone(),
                ..new_secrets(state, rotation)?
            };
            control::swarm::update(state, version, spec.clone(), rotations, now)
                .map(|plan| ((), plan))
        };
        let changed = self.decide_and_lock(decide).await?;
        if let Authority::Replaced(next) = &authority {
            let root = RootDigest::of(next.certificate.as_bytes());
            info!(%root, "another root is on its way");
        }
        Ok(changed)
    }

    async fn judge_authority(&self, spec: &SwarmSpec) -> Result<Authority, Fault> {
        let role = self.0.role.load_full();
        let Role::Manager(manager) = &*role else {
            return Err(Fault::unavailable(NOT_A_MANAGER));
        };
        let state = manager.desk.newest().await?;
        match state.cluster() {
            Some(cluster) => authority::change::judge(cluster, spec, &manager.keys).await,
            None => Ok(Authority::Stays),
        }
    }

    /// Decides, and returns once the lock that was decided on is in force.
    pub(crate) async fn decide_and_lock(
        &self,
        decide: impl Fn(&State, ClusterTime) -> Result<((), Plan), Fault>,
    ) -> Result<Changed, Fault> {
        let changed = self.decide(decide).await?.1;
        self.lock_in_force().await?;
        Ok(changed)
    }

    /// Waits until the lock that is agreed on by now is in force.
    async fn lock_in_force(&self) -> Result<(), Fault> {
        let role = self.0.role.load_full();
        let Role::Manager(manager) = &*role else {
            return Ok(());
        };
        let version = lock::agreed(&manager.desk.store.view());
        let mut in_force = manager.lock_in_force.clone();
        let wait = in_force.wait_for(|reached| *reached >= version);
        match tokio::time::timeout(REQUEST_TIMEOUT, wait).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::daemon(
                Code::Internal,
                "the swarm agreed on the update, but this node cannot write its data key: see the daemon's log",
            )),
        }
    }

    /// Decides on the newest state and proposes, until the entry is in or the fault is the user's.
    async fn decide<T>(
        &self,
        decide: impl Fn(&State, ClusterTime) -> Result<(T, Plan), Fault>,
    ) -> Result<(T, Changed), Fault> {
        self.require_manager()?;
        let role = self.0.role.load_full();
        let Role::Manager(manager) = &*role else {
            return Err(Fault::unavailable(NOT_A_MANAGER));
        };
        manager.desk.decide(decide).await
    }

    /// The members of the log as this manager knows them.
    fn members(&self) -> Vec<swarmrs_core::roles::Member> {
        match &**self.0.role.load() {
            Role::Manager(manager) => manager.members(),
            _ => Vec::new(),
        }
    }
}

/// Tokens for the present root, drawn only where asked for, and an unlock key, should one be needed.
fn new_secrets(state: &State, rotation: Rotation) -> Result<Rotations, Fault> {
    let internal =
        |error: swarmrs_security::Error| Fault::daemon(Code::Internal, error.to_string());
    let Some(cluster) = state.cluster() else {
        return Ok(Rotations::default());
    };
    let root = RootCert::from_pem(&cluster.root_ca.certificate).map_err(internal)?;
    let mint = |wanted: bool| {
        let token = wanted.then(|| JoinToken::mint(&root)).transpose();
        token.map(|token| token.map(|token| token.as_str().to_owned()))
    };
    Ok(Rotations {
        authority: Authority::Stays,
        worker_token: mint(rotation.worker).map_err(internal)?,
        manager_token: mint(rotation.manager).map_err(internal)?,
        unlock_key: draw_unlock_key()?,
        rotate_unlock_key: rotation.unlock_key,
    })
}

/// An unlock key that nobody knows yet.
pub(crate) fn draw_unlock_key() -> Result<SecretText, Fault> {
    let drawn = UnlockKey::mint();
    let key = drawn.map_err(|error| Fault::daemon(Code::Internal, error.to_string()))?;
    Ok(key.to_text().as_str().into())
}
