//! Who may become a node, and who stays one: certificates, issued for tokens and renewed for nodes.
//!
//! Any manager does it: all of them hold the authority's key. What a certificate says is the cluster's
//! to decide, never the asker's.

mod throttle;

use crate::authority;
use crate::desk::Desk;
use crate::ids::RandomIds;
use crate::trust;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use swarmrs_core::control::node::join::{Newcomer, check_availability, join};
use swarmrs_core::{Ids, State};
use swarmrs_rpc::message::join::{
    IssueRequest, Issued, ManagerAddress, RenewRequest, Renewed, Root,
};
use swarmrs_rpc::{Credentials, Refusal};
use swarmrs_security::{CertificateRequest, Identity, JoinToken, Subject};
use swarmrs_types::object::Cluster;
use swarmrs_types::spec::{NodeDescription, Role};
use swarmrs_types::{Code, Fault, NodeId};
use throttle::Throttle;
use tracing::{info, warn};

/// Docker's answer to a token that is none of this swarm's. Source: swarmkit `ca/server.go`.
const WRONG_TOKEN: &str = "A valid join token is necessary to join this cluster";

/// The answer to whoever has no token of this swarm.
pub fn wrong_token() -> Fault {
    Fault::manager(Code::InvalidArgument, WRONG_TOKEN)
}

/// Issues certificates at one manager.
pub struct CaServer {
    desk: Arc<Desk>,
    /// What an authority outside is shown.
    credentials: Credentials,
    wrong_tokens: Throttle,
}

impl CaServer {
    pub fn new(desk: Arc<Desk>, credentials: Credentials) -> Self {
        CaServer {
            desk,
            credentials,
            wrong_tokens: Throttle::default(),
        }
    }

    /// The roots, for a newcomer that knows their digest.
    pub fn root(&self) -> Result<Root, Fault> {
        let state = self.desk.store.view();
        Ok(Root {
            pem: cluster(&state)?.root_ca.certificate.clone(),
        })
    }

    /// A certificate for whoever has a token, and with it a place among the nodes.
    pub async fn issue(&self, from: SocketAddr, request: IssueRequest) -> Result<Issued, Refusal> {
        self.wrong_tokens.admit(from.ip())?;
        let csr = read(&request.request)?;
        let state = self.desk.newest().await?;
        let Some(role) = role_of(cluster(&state)?, &request.token) else {
            self.wrong_tokens.note(from.ip());
            warn!(addr = %from, "a node was refused: wrong join token");
            return Err(wrong_token().into());
        };
        check_availability(request.availability.as_str())?;
        let newcomer = newcomer(&request, role.clone(), from.ip());
        let node = newcomer.id;
        // First the certificate: should there be none, there is no node either.
        let certificate = self.certify(cluster(&state)?, node, &role, &csr).await?;
        let decide = |state: &State, now| join(state, newcomer.clone(), now).map(|plan| ((), plan));
        self.desk.decide(decide).await?;
        let state = self.desk.store.view();
        let cluster = cluster(&state)?;
        let roots = trust::roots_of(cluster);
        info!(%node, addr = %from, role = role.as_str(), "node joined");
        Ok(Issued {
            node_id: node.to_string(),
            cluster_id: cluster.id.to_string(),
            certificate,
            roots: roots.root,
            next_root: roots.next,
            managers: managers(&state),
            seen_at: Some(from.ip()),
            data_path_port: u16::try_from(cluster.data_path_port).unwrap_or_default(),
        })
    }

    /// The next certificate of a node, in the role that it has by now.
    pub async fn renew(
        &self,
        identity: &Identity,
        request: RenewRequest,
    ) -> Result<Renewed, Refusal> {
        let csr = read(&request.request)?;
        let state = self.desk.newest().await?;
        let known = identity.node_id.parse::<NodeId>().ok();
        let node = known.and_then(|id| state.nodes().get(&id));
        let Some(node) = node else {
            let id = &identity.node_id;
            let text = format!("node {id} not found");
            return Err(Fault::manager(Code::NotFound, text).into());
        };
        let cluster = cluster(&state)?;
        let certificate = self.certify(cluster, node.id, &node.role, &csr).await?;
        let roots = trust::roots_of(cluster);
        info!(node = %node.id, role = node.role.as_str(), "certificate issued");
        Ok(Renewed {
            certificate,
            roots: roots.root,
            next_root: roots.next,
            managers: managers(&state),
        })
    }

    /// A certificate in PEM, with what goes with it.
    async fn certify(
        &self,
        cluster: &Cluster,
        node: NodeId,
        role: &Role,
        request: &CertificateRequest,
    ) -> Result<String, Refusal> {
        let subject = Subject {
            node_id: node.as_str(),
            role: match role {
                Role::Manager => swarmrs_security::Role::Manager,
                _ => swarmrs_security::Role::Worker,
            },
            cluster_id: cluster.id.as_str(),
        };
        let certified = authority::certify(cluster, subject, request, &self.credentials).await;
        let certificate = certified.inspect_err(|error| warn!(%node, %error, "nothing issued"))?;
        Ok(certificate.pem().to_owned())
    }
}

/// Where the managers are, as the nodes' objects say.
pub fn managers(state: &State) -> Vec<ManagerAddress> {
    let address = |node: &swarmrs_types::object::Node| {
        Some(ManagerAddress {
            node_id: node.id.to_string(),
            address: node.manager_addr.clone()?,
        })
    };
    let nodes = state.nodes().iter();
    nodes.filter_map(|node| address(node)).collect()
}

fn cluster(state: &State) -> Result<&Arc<Cluster>, Fault> {
    let missing = || Fault::unavailable("this manager does not know the swarm yet");
    state.cluster().ok_or_else(missing)
}

fn read(request: &str) -> Result<CertificateRequest, Fault> {
    let read = CertificateRequest::from_pem(request);
    read.map_err(|error| Fault::manager(Code::InvalidArgument, error.to_string()))
}

/// Both tokens are compared whatever the first comparison says: how long it takes tells nothing.
fn role_of(cluster: &Cluster, presented: &str) -> Option<Role> {
    let matches = |token: &str| JoinToken::parse(token).is_ok_and(|token| token.matches(presented));
    let worker = matches(&cluster.join_tokens.worker);
    let manager = matches(&cluster.join_tokens.manager);
    match (manager, worker) {
        (true, _) => Some(Role::Manager),
        (false, true) => Some(Role::Worker),
        (false, false) => None,
    }
}

fn newcomer(request: &IssueRequest, role: Role, seen: IpAddr) -> Newcomer {
    let asked = swarmrs_core::control::swarm::host(&request.addresses.advertise);
    let addr = match asked.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() => address.to_string(),
        _ => seen.to_string(),
    };
    Newcomer {
        id: NodeId(RandomIds.next()),
        role,
        availability: request.availability.as_str().to_owned(),
        addr,
        data_path: request.addresses.data_path.parse().ok(),
        description: NodeDescription {
            hostname: request.name.clone(),
            ..NodeDescription::default()
        },
    }
}
