//! The swarm itself: made, and changed.
//!
//! Making one reads what the user left out of the defaults; changing one does not: what an update
//! leaves out is zero from then on, as Docker has it, and clients read before they write.

mod address;
pub mod authority;
mod settings;

pub use address::{Addresses, Interface, JoinAddresses, choose_addresses, host, join_addresses};
pub use authority::Authority;

use super::{expect_version, network, node, refused, scope};
use crate::allocator;
use crate::plan::{Draft, Ids, Plan};
use crate::state::State;
use std::collections::BTreeMap;
use swarmrs_types::feature::LEVEL;
use swarmrs_types::object::{
    Cluster, JoinTokens, Network, Node, NodeState, PREDEFINED_LABEL, RootCa,
};
use swarmrs_types::spec::{Availability, InitRequest, NetworkSpec, Role, SwarmSpec};
use swarmrs_types::{ClusterId, ClusterTime, Code, Fault, NetworkId, NodeId, SecretText};

/// Name of every swarm: the API allows no other.
const NAME: &str = "default";

/// Networks every engine has, known to the swarm so that services can name them. The stock swarm
/// does not have `none`; users who ask for no network at all get it here.
pub(super) const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// What the first node brings.
#[derive(Clone, Debug)]
pub struct BootstrapInput {
    /// Stands in the node's certificate already; drawn if not given.
    pub cluster_id: Option<ClusterId>,
    pub root_ca: RootCa,
    pub join_tokens: JoinTokens,
    /// What restarted managers are to be told, if [`locks`] says so.
    pub unlock_key: Option<SecretText>,
    /// As the user sent it; [`check_init`] has passed it.
    pub init: InitRequest,
    /// Id, description, status address and manager address are the caller's to fill; role,
    /// availability and state are set here.
    pub node: Node,
}

/// New secrets, drawn by the caller, and what was found out of the authority.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Rotations {
    pub authority: Authority,
    /// Join tokens; one that is not given stays.
    pub worker_token: Option<String>,
    pub manager_token: Option<String>,
    /// An unlock key that nobody knows yet; taken if the swarm needs one.
    pub unlock_key: SecretText,
    /// Whether it replaces the one there is.
    pub rotate_unlock_key: bool,
}

/// Everything that is checked before a swarm is made, in Docker's order, and the addresses chosen
/// on the way. `default_advertise` is the daemon's own option, used if the request names none.
pub fn check_init(
    request: &InitRequest,
    interfaces: &[Interface],
    default_advertise: &str,
) -> Result<Addresses, Fault> {
    address::check_listen(&request.listen_addr)?;
    check_name(&request.spec)?;
    let addresses = choose_addresses(request, interfaces, default_advertise)?;
    settings::pool(&request.default_addr_pool, request.subnet_size)?;
    settings::data_path_port(request.data_path_port)?;
    availability(&request.availability)?;
    settings::protocols(&request.spec)
        .and_then(|()| settings::check(&request.spec))
        .map_err(|fault| settings::wrapped(&fault))?;
    scope::init(request)?;
    Ok(addresses)
}

/// Whether a swarm with this spec locks its managers. Docker's request says it twice, and its daemon
/// heeds the spec (moby `daemon/cluster/convert/swarm.go`).
pub fn locks(spec: &SwarmSpec) -> bool {
    spec.encryption_config.auto_lock_managers
}

/// The first objects of a swarm: the cluster, its first node, and the predefined networks.
pub fn bootstrap(
    input: BootstrapInput,
    now: ClusterTime,
    ids: &mut dyn Ids,
) -> Result<Plan, Fault> {
    let init = input.init;
    let nothing = State::default();
    let mut draft = Draft::new(&nothing, now);
    let mut node = input.node;
    node.role = Role::Manager;
    node.spec.role = Role::Manager;
    node.spec.availability = availability(&init.availability)?;
    node.status.state = NodeState::Ready;
    // Its routes are to be seen by whoever draws a subnet.
    draft.put_node(node.clone());
    let locks = locks(&init.spec);
    draft.put_cluster(Cluster {
        id: input.cluster_id.unwrap_or_else(|| ClusterId(ids.next())),
        meta: Default::default(),
        spec: settings::of_root(settings::over_defaults(init.spec), &input.root_ca),
        root_ca: input.root_ca,
        root_rotation: None,
        join_tokens: input.join_tokens,
        unlock_key: input.unlock_key.filter(|_| locks),
        default_addr_pool: init.default_addr_pool,
        subnet_size: init.subnet_size,
        data_path_port: init.data_path_port,
        // Whoever joins later has to know it.
        level: LEVEL,
        unknown: Default::default(),
    });
    for name in PREDEFINED {
        draft.put_network(Network {
            id: NetworkId(ids.next()),
            meta: Default::default(),
            spec: predefined(name),
            segments: Vec::new(),
            unknown: Default::default(),
        });
    }
    let ingress = network::ingress(&draft, NetworkId(ids.next()))?;
    draft.put_network(ingress);
    allocator::node::give(&draft, &mut node);
    draft.put_node(node);
    Ok(draft.finish())
}

/// What is refused of a spec by itself, before its authority is looked at.
pub fn check_update(spec: &SwarmSpec) -> Result<(), Fault> {
    check_name(spec)?;
    settings::protocols(spec)?;
    settings::check(spec)?;
    if spec.ca_config.signing_ca_cert.is_empty() && !spec.ca_config.signing_ca_key.is_empty() {
        return Err(refused(
            "if a signing CA key is provided, the signing CA cert must also be provided",
        ));
    }
    Ok(())
}

/// Gives the swarm a new spec, and new join tokens and another authority where the caller brings them.
pub fn update(
    state: &State,
    version: u64,
    spec: SwarmSpec,
    rotations: Rotations,
    now: ClusterTime,
) -> Result<Plan, Fault> {
    check_update(&spec)?;
    let Some(old) = state.cluster() else {
        return Err(Fault::daemon(Code::Internal, "the swarm is not made yet"));
    };
    expect_version(version, old.meta.version)?;
    rotations.authority.check(state)?;
    let mut new = (**old).clone();
    new.spec = settings::of_root(settings::whole(spec), &old.root_ca);
    rotations.authority.apply(&mut new);
    new.unlock_key = unlock_key(&new, rotations.unlock_key, rotations.rotate_unlock_key);
    if let Some(token) = rotations.worker_token {
        new.join_tokens.worker = token;
    }
    if let Some(token) = rotations.manager_token {
        new.join_tokens.manager = token;
    }
    let mut draft = Draft::new(state, now);
    draft.put_cluster(new);
    Ok(draft.finish())
}

/// A swarm that goes on with one manager: what its maker's spec says is laid over the present one, as
/// Docker does, and all else stays. A swarm that is locked stays so: that nothing was said of the lock
/// does not open it. (Docker's daemon, asked for this, cannot start its manager and erases the swarm:
/// seen with 20.10.) [`check_init`] has passed the spec; `drawn` is an unlock key that nobody knows
/// yet, should one be needed.
pub fn force(
    state: &State,
    spec: SwarmSpec,
    drawn: SecretText,
    now: ClusterTime,
) -> Result<Plan, Fault> {
    let Some(old) = state.cluster() else {
        return Err(Fault::daemon(Code::Internal, "the swarm is not made yet"));
    };
    let mut new = (**old).clone();
    new.spec = settings::of_root(settings::over(new.spec, spec), &old.root_ca);
    new.spec.encryption_config.auto_lock_managers |= locks(&old.spec);
    new.unlock_key = unlock_key(&new, drawn, false);
    let mut draft = Draft::new(state, now);
    if new != **old {
        draft.put_cluster(new);
    }
    Ok(draft.finish())
}

/// Says which member of the log a manager is and where (`host:port`); an empty plan if that is known.
/// One that the others took for no member any more stays so: it has to ask anew.
pub fn moved(
    state: &State,
    manager: NodeId,
    raft_id: u64,
    address: &str,
    now: ClusterTime,
) -> Plan {
    let mut draft = Draft::new(state, now);
    if let Some(node) = state.nodes().get(&manager)
        && node.manager_addr.is_some()
    {
        let mut new = (**node).clone();
        // Of an earlier release, which knew one manager.
        new.raft_id = new.raft_id.or(Some(raft_id));
        if node.manager_addr.as_deref() != Some(address) {
            new.manager_addr = Some(address.to_owned());
            new.status.addr = host(address).to_owned();
        }
        if new != **node {
            draft.put_node(new);
        }
    }
    draft.finish()
}

/// The unlock key that goes with the cluster's new spec: none where nothing locks, else the one there
/// is, unless there is none or it is to be replaced.
fn unlock_key(cluster: &Cluster, drawn: SecretText, rotate: bool) -> Option<SecretText> {
    match &cluster.unlock_key {
        _ if !locks(&cluster.spec) => None,
        Some(key) if !rotate => Some(key.clone()),
        _ => Some(drawn),
    }
}

/// The network of the swarm that stands for one of every engine.
fn predefined(name: &'static str) -> NetworkSpec {
    NetworkSpec {
        name: name.to_owned(),
        driver: driver(name).to_owned(),
        labels: BTreeMap::from([(PREDEFINED_LABEL.to_owned(), "true".to_owned())]),
        ..NetworkSpec::default()
    }
}

/// The driver that engines have for a network of theirs.
fn driver(network: &'static str) -> &'static str {
    match network {
        "none" => "null",
        same => same,
    }
}

fn check_name(spec: &SwarmSpec) -> Result<(), Fault> {
    if spec.name.is_empty() || spec.name == NAME {
        return Ok(());
    }
    Err(Fault::invalid("swarm spec must be named \"default\""))
}

/// The availability a node joins with; none is active. 500 for an unknown word, as Docker has it.
pub(super) fn availability(word: &str) -> Result<Availability, Fault> {
    if word.is_empty() {
        return Ok(Availability::Active);
    }
    node::availability(&Availability::from(word))
        .ok_or_else(|| Fault::daemon(Code::Unknown, node::invalid_availability(word)))
}
