//! The API's door: each request becomes a plan, the plan an entry, the entry an answer.
//!
//! Only this file knows where a request is decided. On a conflict that is not the user's own (an
//! object moved between the look and the write) the request is decided anew on the newer state.

mod network;
mod payload;

use crate::ids::RandomIds;
use crate::local::ClusterView;
use crate::lock;
use crate::manager::Manager;
use crate::role::{Node, Role};
use swarmrs_core::control::swarm::Rotations;
use swarmrs_core::control::{self, service::UpdateOptions};
use swarmrs_core::{Plan, Rejected, State};
use swarmrs_security::{JoinToken, RootCert, UnlockKey};
use swarmrs_store::ProposeError;
use swarmrs_types::default::REQUEST_TIMEOUT;
use swarmrs_types::object::RegistryAuth;
use swarmrs_types::spec::{NodeSpec, ServiceSpec, SwarmSpec};
use swarmrs_types::{ClusterTime, Code, Fault, SecretText, ServiceId, Timestamp};

/// Decisions made anew before a request is given up.
const MOST_TRIES: usize = 64;

/// Docker's answer outside a swarm. Source: moby `daemon/cluster/errors.go`.
const NOT_A_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \
     \"docker swarm join\" to connect this node to swarm and try again.";

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
            Role::Alone => Err(Fault::unavailable(NOT_A_MANAGER)),
            Role::Starting(_) => Err(Fault::unavailable(STARTING)),
            Role::Locked(_) => Err(Fault::unavailable(LOCKED)),
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
        let state = in_time(manager.store.read_index()).await?;
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
        let decide = |state: &State, now| {
            control::node::update(state, term, version, spec.clone(), &[], now)
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
        let decide = |state: &State, now| {
            let rotations = new_secrets(state, rotation)?;
            control::swarm::update(state, version, spec.clone(), rotations, now)
                .map(|plan| ((), plan))
        };
        self.decide_and_lock(decide).await
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
        let version = lock::agreed(&manager.store.view());
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
        in_time(propose(manager, decide)).await
    }
}

/// A plan is made on what this node has applied: its guards are compared when it comes into force. A
/// refusal, and the answer that nothing is to be done, have no guards, so they are given only on a state that
/// is known to be the newest.
async fn propose<T>(
    manager: &Manager,
    decide: impl Fn(&State, ClusterTime) -> Result<(T, Plan), Fault>,
) -> Result<(T, Changed), ProposeFault> {
    let mut last = None;
    let mut newest = None;
    let mut turn = None;
    for _ in 0..MOST_TRIES {
        let known = newest.is_some();
        let state = newest.take().unwrap_or_else(|| manager.store.view());
        let now = manager.clock.now();
        match decide(&state, now) {
            Ok((answer, plan)) if !plan.is_empty() => {
                let command = plan.into_command(now, Timestamp::now());
                match manager.store.propose(command).await {
                    Ok(version) => return Ok((answer, Changed { version })),
                    Err(ProposeError::Rejected(
                        rejected @ (Rejected::OutOfSequence(_) | Rejected::Taken { .. }),
                    )) => {
                        last = Some(rejected);
                        // Those who lost go on one by one: of many who want the same thing each has
                        // it after one more try.
                        if turn.is_none() {
                            turn = Some(manager.turn.lock().await);
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok((answer, _)) if known => {
                let version = state.applied();
                return Ok((answer, Changed { version }));
            }
            Err(fault) if known => return Err(ProposeFault::Fault(fault)),
            Ok(_) | Err(_) => {}
        }
        newest = Some(manager.store.read_index().await?);
    }
    let rejected = last.map(|rejected| control::fault_of(&rejected));
    Err(ProposeFault::Fault(rejected.unwrap_or_else(|| {
        Fault::daemon(Code::Internal, "the request met too many changes")
    })))
}

/// Either kind of refusal on the way into the log.
enum ProposeFault {
    Fault(Fault),
    Store(ProposeError),
}

impl From<ProposeError> for ProposeFault {
    fn from(error: ProposeError) -> Self {
        ProposeFault::Store(error)
    }
}

impl From<ProposeFault> for Fault {
    fn from(fault: ProposeFault) -> Self {
        match fault {
            ProposeFault::Fault(fault) => fault,
            ProposeFault::Store(error) => store_fault(&error),
        }
    }
}

/// Runs a call to the store under the request's deadline.
async fn in_time<T, E: Into<ProposeFault>>(
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(REQUEST_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| error.into().into()),
        Err(_) => Err(Fault::manager(
            Code::DeadlineExceeded,
            "context deadline exceeded",
        )),
    }
}

/// A failure of the store as the user reads it.
pub(crate) fn store_fault(error: &ProposeError) -> Fault {
    match error {
        ProposeError::Rejected(rejected) => control::fault_of(rejected),
        ProposeError::NotLeader { .. } => Fault::manager(
            Code::Unknown,
            "The swarm does not have a leader. It's possible that too few managers are online. \
             Make sure more than half of the managers are online.",
        ),
        ProposeError::Closed => Fault::unavailable(NOT_A_MANAGER),
        other => Fault::daemon(Code::Internal, other.to_string()),
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
