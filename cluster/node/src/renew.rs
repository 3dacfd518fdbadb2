//! Certificates are renewed long before they run out.
//!
//! A manager renews its own: it holds the authority's key. Also one that has expired, while the daemon or
//! the machine was down: nobody else could. A worker asks a manager, also when it was told that its role
//! has changed.

use crate::lock::SharedKeys;
use crate::trust::{self, CredentialsError};
use crate::way::Way;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use swarmrs_core::State;
use swarmrs_rpc::message::join::{RenewRequest, Renewed};
use swarmrs_rpc::{CallError, Credentials, Method};
use swarmrs_security::{
    Error, Identity, NodeCertificate, NodeCredentials, PrivateKey, Role, RootCa, RootCert,
};
use swarmrs_store::Store;
use swarmrs_types::NodeId;
use tracing::{error, info};

/// Between two looks. The wall clock decides and may jump, so there is no one long sleep.
pub const LOOK: Duration = Duration::from_secs(600);

/// Looks until the store closes.
pub async fn follow(store: Arc<Store>, keys: SharedKeys, credentials: Credentials, node: NodeId) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = renew_if_due(&keys, &store.view(), node, SystemTime::now()) {
            error!(%error, "the node's certificate cannot be renewed");
        }
        if let Err(error) = trust::refresh(&credentials, &keys.get()) {
            error!(%error, "the node's new certificate cannot be shown");
        }
    }
}

/// A certificate was asked for and not had.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Certificate(#[from] Error),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// How long a manager may take: it looks for the newest state first.
const ASK: Duration = Duration::from_secs(10);

/// Asks a manager for the next certificate, and keeps it. Returns the role that it is for.
pub async fn ask(way: &Way, keys: &SharedKeys) -> Result<Role, AskError> {
    let key = PrivateKey::generate()?;
    let request = RenewRequest {
        request: key.request()?.pem().to_owned(),
    };
    let renewed: Renewed = way.ask(Method::Renew, &request, ASK).await?;
    let certificate = NodeCertificate::from_pem(&renewed.certificate)?;
    let roots = RootCert::from_pem(&renewed.roots)?;
    certificate.verify(&roots, SystemTime::now())?;
    let role = certificate.identity().role;
    keys.with(|keys| {
        keys.keystore().save_root(&roots)?;
        keys.save_node(&NodeCredentials { certificate, key })
    })?;
    trust::refresh(&way.credentials, &keys.get())?;
    way.managers.replace(renewed.managers);
    info!(role = role.as_str(), "certificate renewed");
    Ok(role)
}

/// Whether the certificate held should be renewed by now.
pub fn is_due(keys: &SharedKeys) -> bool {
    let held = keys.get().node();
    let now = SystemTime::now();
    held.is_ok_and(|held| held.is_none_or(|held| now >= due(held.certificate.identity())))
}

/// Issues a new key and certificate once two thirds of the old one's time are over, for as long as the
/// cluster's spec says at that time.
pub fn renew_if_due(
    keys: &SharedKeys,
    state: &State,
    node: NodeId,
    now: SystemTime,
) -> Result<(), Error> {
    let Some(cluster) = state.cluster() else {
        return Ok(());
    };
    keys.with(|keys| {
        let held = keys.node()?;
        if held.is_some_and(|held| now < due(held.certificate.identity())) {
            return Ok(());
        }
        let ca = RootCa::from_pem(&cluster.root_ca.certificate, &cluster.root_ca.key)?;
        let validity = cluster.spec.ca_config.node_cert_expiry.duration();
        let credentials = trust::issue(&ca, node, cluster.id, validity, now)?;
        keys.save_node(&credentials)?;
        info!(%node, "certificate renewed");
        Ok(())
    })
}

fn due(certificate: &Identity) -> SystemTime {
    let (begin, end) = (certificate.not_before, certificate.not_after);
    let life = end.duration_since(begin).unwrap_or_default();
    begin + life * 2 / 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RandomIds;
    use swarmrs_core::Ids;
    use swarmrs_core::control::swarm::{BootstrapInput, bootstrap};
    use swarmrs_security::{Keystore, Lock};
    use swarmrs_types::ClusterTime;
    use swarmrs_types::object::{JoinTokens, Node, RootCa as AgreedCa};
    use swarmrs_types::spec::InitRequest;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A swarm of `node`, with this authority.
    fn agreed(node: NodeId, trust: &trust::Trust) -> State {
        let input = BootstrapInput {
            cluster_id: Some(trust.cluster),
            root_ca: AgreedCa {
                certificate: trust.ca.cert().pem().to_owned(),
                key: trust.ca.key_pem().into(),
            },
            join_tokens: JoinTokens {
                worker: String::new(),
                manager: String::new(),
            },
            unlock_key: None,
            init: InitRequest::default(),
            node: Node {
                id: node,
                meta: Default::default(),
                spec: Default::default(),
                role: swarmrs_types::spec::Role::Manager,
                description: Default::default(),
                status: Default::default(),
                manager_addr: None,
                raft_id: None,
                candidate: None,
                left: false,
                index: 0,
                ingress: None,
                data_path: None,
                routes: Vec::new(),
                unknown: Default::default(),
            },
        };
        let now = ClusterTime(1);
        let plan = bootstrap(input, now, &mut RandomIds).unwrap();
        let command = plan.into_command(now, swarmrs_types::Timestamp::now());
        let mut state = State::default();
        state.apply(1, &command).unwrap();
        state
    }

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_time_and_when_it_has_expired() {
        let folder = tempfile::tempdir().unwrap();
        let node = NodeId(RandomIds.next());
        let made = trust::Trust::make(node, 30 * DAY).unwrap();
        let state = agreed(node, &made);
        let keystore = Keystore::open(folder.path()).unwrap();
        let keys = keystore.create_keys(Lock::default()).unwrap();
        keys.save_node(&made.node).unwrap();
        let keys = SharedKeys::new(keys);
        let begin = SystemTime::now();
        let mut held = made.node.certificate;
        for (days, renewed) in [(19, false), (21, true), (21 + 59, false), (21 + 200, true)] {
            let now = begin + days * DAY;
            renew_if_due(&keys, &state, node, now).unwrap();
            let found = keys.get().node().unwrap().unwrap().certificate;
            assert_eq!(found != held, renewed, "after {days} days");
            found.verify(made.ca.cert(), now).unwrap();
            held = found;
        }
    }
}
