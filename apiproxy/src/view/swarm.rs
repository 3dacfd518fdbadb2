//! `Swarm` and `ClusterInfo` of the API. The signing key has no field here, nor has the signing certificate.

use std::borrow::Cow;

use serde::Serialize;
use swarmrs_core::State;
use swarmrs_types::default::{ADDR_POOL, DATA_PATH_PORT, SUBNET_SIZE};
use swarmrs_types::object::{self, Cluster};
use swarmrs_types::spec::{CaSettings, SwarmSpec, TlsInfo};
use swarmrs_types::{Code, Fault, NodeId};

use super::Head;

/// The swarm, as `/info` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClusterInfo<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    spec: SwarmSpec,
    #[serde(rename = "TLSInfo")]
    tls_info: TlsInfo,
    root_rotation_in_progress: bool,
    default_addr_pool: Vec<Cow<'a, str>>,
    subnet_size: u32,
    data_path_port: u32,
}

/// The swarm, as its managers see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Swarm<'a> {
    #[serde(flatten)]
    info: ClusterInfo<'a>,
    join_tokens: JoinTokens<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JoinTokens<'a> {
    worker: &'a str,
    manager: &'a str,
}

impl std::fmt::Debug for JoinTokens<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinTokens(..)")
    }
}

/// Shows the swarm with its join tokens, as the node `local` sees it.
///
/// # Errors
/// 500 if there is none in the state of a manager, which cannot be.
pub fn swarm(state: &State, local: NodeId) -> Result<Swarm<'_>, Fault> {
    let cluster = cluster(state)?;
    let tokens = &cluster.join_tokens;
    Ok(Swarm {
        info: info(state, local, cluster),
        join_tokens: JoinTokens {
            worker: &tokens.worker,
            manager: &tokens.manager,
        },
    })
}

/// Shows the swarm without them.
///
/// # Errors
/// As [`swarm`].
pub fn cluster_info(state: &State, local: NodeId) -> Result<ClusterInfo<'_>, Fault> {
    Ok(info(state, local, cluster(state)?))
}

fn cluster(state: &State) -> Result<&Cluster, Fault> {
    let cluster = state.cluster().map(AsRef::as_ref);
    cluster.ok_or_else(|| Fault::daemon(Code::Internal, "the swarm is not in the state"))
}

fn info<'a>(state: &State, local: NodeId, cluster: &'a Cluster) -> ClusterInfo<'a> {
    let pools = &cluster.default_addr_pool;
    let subnet_size = match cluster.subnet_size {
        0 => SUBNET_SIZE,
        size => size,
    };
    let data_path_port = match cluster.data_path_port {
        0 => DATA_PATH_PORT,
        port => port,
    };
    ClusterInfo {
        head: Head::new(cluster.id.as_str(), cluster.meta),
        spec: shown_spec(&cluster.spec),
        tls_info: tls_info(state, local, cluster),
        root_rotation_in_progress: cluster.root_rotation.is_some(),
        default_addr_pool: match pools.is_empty() {
            true => vec![Cow::Borrowed(ADDR_POOL)],
            false => pools.iter().map(|pool| pool.as_str().into()).collect(),
        },
        subnet_size,
        data_path_port,
    }
}

/// Without what a client may send and never gets back.
fn shown_spec(spec: &SwarmSpec) -> SwarmSpec {
    SwarmSpec {
        ca_config: CaSettings {
            signing_ca_cert: String::new(),
            signing_ca_key: String::new(),
            ..spec.ca_config.clone()
        },
        ..spec.clone()
    }
}

/// The root, and who issues certificates by now: while another authority takes the root's place, that one. In what an
/// earlier release wrote it does not stand; then it is who issued this node's own.
fn tls_info(state: &State, local: NodeId, cluster: &Cluster) -> TlsInfo {
    let trust_root = cluster.root_ca.certificate.clone();
    let issuer = cluster.issuer();
    if !issuer.is_empty() {
        return TlsInfo {
            trust_root,
            cert_issuer_subject: issuer.subject.clone(),
            cert_issuer_public_key: issuer.public_key.clone(),
        };
    }
    let node = state.nodes().get(&local);
    let issuer = |node: &std::sync::Arc<object::Node>| node.description.tls_info.clone();
    TlsInfo {
        trust_root,
        ..node.map(issuer).unwrap_or_default()
    }
}
