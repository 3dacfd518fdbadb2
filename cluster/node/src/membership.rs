//! Becoming part of a swarm, and leaving it.

use crate::address;
use crate::depart;
use crate::health::{self, Health};
use crate::ids::{RandomIds, raft_id};
use crate::lane::Lane;
use crate::lock::SharedKeys;
use crate::manager::{self, Ground};
use crate::record::{StartRecord, discard, mark, unmark};
use crate::role::{Node, NodeError, Role, reserve};
use crate::trust::{Trust, issuer_of};
use std::sync::Arc;
use swarmrs_agent::description::describe;
use swarmrs_core::Ids;
use swarmrs_core::control::node::leave;
use swarmrs_core::control::swarm::{self, Addresses, BootstrapInput, host};
use swarmrs_security::{JoinToken, Keystore, Lock, UnlockKey};
use swarmrs_store::Store;
use swarmrs_types::object::{self, JoinTokens};
use swarmrs_types::spec::{InitRequest, NodeDescription, NodeSpec};
use swarmrs_types::{Code, Fault, NodeId, SecretText, Timestamp};
use tracing::{error, info, warn};

/// Docker's answers. Source: moby `daemon/cluster/errors.go`.
const ALREADY_IN_SWARM: &str = "This node is already part of a swarm. Use \"docker swarm leave\" \
     to leave this swarm and join another one.";
const NOT_IN_SWARM: &str = "This node is not part of a swarm";
const NOT_LOCKED: &str = "swarm is not locked";
const NO_KEY: &str = "invalid key string";
const WRONG_KEY: &str = "swarm could not be unlocked: invalid key provided";

impl Node {
    /// Makes a swarm of this node alone. Returns the node's id.
    ///
    /// Asked to force a new cluster, a manager goes on alone with all it has; see [`Node::force`].
    pub async fn init(&self, request: InitRequest) -> Result<NodeId, Fault> {
        let _turn = self.0.turn.lock().await;
        if request.force_new_cluster && !matches!(&**self.0.role.load(), Role::Alone) {
            return self.force(request).await;
        }
        self.check_free()?;
        if let Health::Unfit(reason) = health::check_engine(&self.0.engine).await {
            return Err(Fault::unavailable(reason));
        }
        let addresses = self.addresses(&request).await?;
        let record = StartRecord::new(NodeId(RandomIds.next()), raft_id(), &addresses);
        let made = self.make_swarm(&record, request).await;
        if made.is_err()
            && let Err(error) = discard(&self.0.config)
        {
            warn!(%error, "rubble of a failed init stays");
        }
        made.map(|()| record.node)
    }

    /// Checks a request and chooses the node's addresses by it.
    pub(crate) async fn addresses(&self, request: &InitRequest) -> Result<Addresses, Fault> {
        let interfaces = address::interfaces(&self.0.engine).await;
        swarm::check_init(request, &interfaces, "")
    }

    /// Without the engine the containers of this node's tasks could not be removed, and nobody would
    /// know them later.
    async fn require_engine(&self) -> Result<(), Fault> {
        let reached = self.0.engine.ping().await;
        reached.map_err(|error| {
            Fault::unavailable(format!(
                "the containers of this node's tasks cannot be removed: {error}. \
                 Start the engine, then leave again."
            ))
        })
    }

    pub(crate) fn check_free(&self) -> Result<(), Fault> {
        match &**self.0.role.load() {
            Role::Alone => Ok(()),
            Role::Manager(_)
            | Role::Worker(_)
            | Role::Joining(_)
            | Role::Locked(_)
            | Role::Unbound(_)
            | Role::Starting(_) => Err(Fault::unavailable(ALREADY_IN_SWARM)),
            Role::Error(reason) => Err(Fault::unavailable(reason.clone())),
        }
    }

    /// Certificates, then the log with its first entry, then the record that says all is there.
    async fn make_swarm(&self, record: &StartRecord, request: InitRequest) -> Result<(), Fault> {
        let config = &self.0.config;
        mark(config).map_err(internal)?;
        let reserved = reserve(record).map_err(internal)?;
        let validity = request.spec.ca_config.node_cert_expiry.duration();
        let trust = Trust::make(record.node, validity).map_err(internal)?;
        let keystore = Keystore::open(&config.certificates()).map_err(internal)?;
        keystore.save_root(trust.ca.cert()).map_err(internal)?;
        let key = swarm::locks(&request.spec).then(UnlockKey::mint);
        let key = key.transpose().map_err(internal)?;
        let unlock_key = key.as_ref().map(|key| key.to_text().as_str().into());
        let lock = Lock { key, agreed_at: 0 };
        let keys = keystore.create_keys(lock).map_err(internal)?;
        keys.save_node(&trust.node).map_err(internal)?;
        let way = self.way(&keys).map_err(internal)?;
        let lane = Lane::start().map_err(internal)?;
        let empty = record.clone().asking(record.raft_id);
        let store = self.open_store(&empty, &keys, &way, &lane, false).await;
        let store = store.map_err(internal)?;
        let store = Arc::new(store);
        store.initialize().await.map_err(internal)?;
        let node = self.first_node(record, &trust).await;
        let input = first_objects(&trust, unlock_key, request, node)?;
        self.bootstrap(&store, input).await?;
        record.save(config).map_err(internal)?;
        unmark(config).map_err(internal)?;
        info!(node = %record.node, cluster = %trust.cluster, "swarm made");
        let ground = Ground {
            record: record.clone(),
            keys: SharedKeys::new(keys),
            store,
            reserved,
            lane,
            way,
            turns: self.0.turns.clone(),
        };
        self.run_manager(ground).map_err(internal)
    }

    /// This node as the first object of its kind.
    async fn first_node(&self, record: &StartRecord, trust: &Trust) -> object::Node {
        let description = match self.0.engine.info().await {
            Ok(info) => describe(&info, self.generic_resources(), &trust.tls_info()),
            Err(error) => {
                warn!(%error, "the engine does not say what this node is yet");
                NodeDescription {
                    tls_info: trust.tls_info(),
                    ..NodeDescription::default()
                }
            }
        };
        let mut node = object::Node::new(record.node, NodeSpec::default());
        node.role = swarmrs_types::spec::Role::Manager;
        node.description = description;
        host(&record.advertise_addr).clone_into(&mut node.status.addr);
        node.manager_addr = Some(record.advertise_addr.clone());
        node.raft_id = Some(record.raft_id);
        let data_path = record.data_path_addr.as_ref();
        node.data_path = data_path.and_then(|addr| addr.parse().ok());
        node.routes = swarmrs_agent::routes::read();
        node
    }

    async fn bootstrap(&self, store: &Store, input: BootstrapInput) -> Result<(), Fault> {
        let clock = crate::clock::ClusterClock::start(store.view().time());
        clock.lead(store.view().time());
        let plan = swarm::bootstrap(input, clock.now(), &mut RandomIds)?;
        let command = plan.into_command(clock.now(), Timestamp::now());
        let proposed = store.propose(command).await;
        proposed.map_err(|error| crate::desk::store_fault(&error))?;
        Ok(())
    }

    /// Leaves the swarm: this node's task containers and everything the node knew of the swarm go.
    pub async fn leave(&self, force: bool) -> Result<(), Fault> {
        let _turn = self.0.turn.lock().await;
        let said = match &**self.0.role.load() {
            Role::Alone => return Err(Fault::unavailable(NOT_IN_SWARM)),
            Role::Manager(manager) if !force => {
                return Err(leave::refusal(leave::Manager::Active(&manager.members())));
            }
            Role::Locked(_) if !force => return Err(leave::refusal(leave::Manager::Locked)),
            Role::Starting(_) | Role::Unbound(_) if !force => {
                return Err(leave::refusal(leave::Manager::Starting));
            }
            Role::Manager(manager) => Some(manager.way.clone()),
            Role::Worker(worker) => Some(worker.way.clone()),
            Role::Joining(_)
            | Role::Locked(_)
            | Role::Unbound(_)
            | Role::Starting(_)
            | Role::Error(_) => None,
        };
        self.require_engine().await?;
        if let Some(way) = said {
            depart::say(self, &way).await;
        }
        match self.take_running(Role::Alone).await {
            Some(running) => running.leave().await,
            None => self.remove_containers().await,
        }
        self.0.networks.leave().await;
        discard(&self.0.config).map_err(internal)?;
        info!("left the swarm");
        Ok(())
    }

    /// Removes the containers of a node whose manager does not run, as far as it is known which.
    async fn remove_containers(&self) {
        let (config, engine) = (&self.0.config, self.0.engine.clone());
        let networks = self.0.networks.clone();
        match StartRecord::load(config) {
            Ok(Some(record)) => {
                let removed = manager::remove_containers(config, engine, networks, record.node);
                if let Err(error) = removed.await {
                    error!(%error, "containers of this node's tasks may be left");
                }
            }
            Ok(None) => {}
            Err(error) => error!(%error, "containers of this node's tasks may be left"),
        }
    }

    /// Tells a locked manager the unlock key (`SWMKEY-1-…`) and returns when it is ready. A wrong key
    /// changes nothing.
    pub async fn unlock(&self, key: &str) -> Result<(), Fault> {
        let _turn = self.0.turn.lock().await;
        let record = match &**self.0.role.load() {
            Role::Locked(record) => record.clone(),
            Role::Manager(_) => return Err(Fault::daemon(Code::AlreadyExists, NOT_LOCKED)),
            Role::Alone
            | Role::Worker(_)
            | Role::Joining(_)
            | Role::Unbound(_)
            | Role::Starting(_)
            | Role::Error(_) => return self.require_manager(),
        };
        let wrong = || Fault::daemon(Code::Unauthenticated, WRONG_KEY);
        let key = match UnlockKey::parse(key) {
            Ok(key) => key,
            Err(swarmrs_security::Error::UnlockKeyLength { .. }) => return Err(wrong()),
            Err(_) => return Err(Fault::invalid(NO_KEY)),
        };
        match self.resume_member(record, Some(&key)).await {
            Ok(()) => self.require_bound(),
            Err(NodeError::Certificates(swarmrs_security::Error::WrongUnlockKey)) => Err(wrong()),
            Err(error) => Err(Fault::daemon(
                Code::Unknown,
                format!("swarm component could not be started: {}", chain(&error)),
            )),
        }
    }
}

/// What the first node brings into a swarm.
fn first_objects(
    trust: &Trust,
    unlock_key: Option<SecretText>,
    request: InitRequest,
    node: object::Node,
) -> Result<BootstrapInput, Fault> {
    let mint = || JoinToken::mint(trust.ca.cert()).map_err(internal);
    Ok(BootstrapInput {
        cluster_id: Some(trust.cluster),
        root_ca: object::RootCa {
            certificate: trust.ca.cert().pem().to_owned(),
            key: trust.ca.key_pem().into(),
            issuer: issuer_of(&trust.issuer),
        },
        join_tokens: JoinTokens {
            worker: mint()?.as_str().to_owned(),
            manager: mint()?.as_str().to_owned(),
        },
        unlock_key,
        init: request,
        node,
    })
}

/// A failure of ours while making the swarm: 500 with its text.
pub(crate) fn internal(error: impl std::error::Error) -> Fault {
    Fault::daemon(Code::Internal, chain(&error))
}

/// An error and what lies behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
