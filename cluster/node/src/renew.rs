//! Certificates are renewed long before they run out, and at once when another authority issues them.
//!
//! A manager renews its own: it holds the authority's key, unless that is held outside of the swarm. Also one that has
//! expired, while the daemon or the machine was down: nobody else could. A worker asks a manager, also when it was told
//! that its role has changed.

use crate::authority::{self, NotIssued};
use crate::desk::Desk;
use crate::lock::SharedKeys;
use crate::trust::{self, CredentialsError};
use crate::way::Way;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use swarmrs_core::control::swarm::authority::must_change;
use swarmrs_core::{Event, State};
use swarmrs_rpc::message::join::{RenewRequest, Renewed};
use swarmrs_rpc::{CallError, Credentials, Method, Roots};
use swarmrs_security::{
    Error, Identity, NodeCertificate, NodeCredentials, PrivateKey, Role, Subject,
};
use swarmrs_types::object::Cluster;
use swarmrs_types::{Fault, NodeId};
use tracing::{debug, error, info};

/// The most between two looks. The wall clock decides and may jump, so there is no one long sleep.
const LOOK: Duration = Duration::from_secs(600);
/// Between two looks if the last one failed (swarmkit's signer tries again as often).
const AGAIN: Duration = Duration::from_secs(10);

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

/// A manager does not have what it should show or trust.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    State(#[from] Fault),
    #[error(transparent)]
    Issue(#[from] NotIssued),
    #[error(transparent)]
    Keystore(#[from] Error),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Keeps a manager's certificate and trust as the swarm has them, until the store closes.
pub async fn follow(desk: Arc<Desk>, keys: SharedKeys, way: Way, node: NodeId) {
    let mut bell = desk.store.bell(|event| matches!(event, Event::Cluster(_)));
    loop {
        let wait = match keep(&desk, &keys, &way, node).await {
            Ok(()) => next_look(&keys),
            Err(KeepError::State(fault)) => {
                debug!(%fault, "what the swarm trusts is not known for sure");
                AGAIN
            }
            Err(error) => {
                error!(%error, "the node's certificate cannot be renewed");
                AGAIN
            }
        };
        tokio::select! {
            open = bell.rung() => if !open { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Only what is known to be the newest state says whom to trust: an older one would bring back a root that is gone.
async fn keep(desk: &Desk, keys: &SharedKeys, way: &Way, node: NodeId) -> Result<(), KeepError> {
    let state = desk.newest().await?;
    let Some(cluster) = state.cluster() else {
        return Ok(());
    };
    let is_manager =
        |node: &Arc<swarmrs_types::object::Node>| node.role == swarmrs_types::spec::Role::Manager;
    let roots = trust::roots_of(cluster);
    let kept = trust::keep_roots(keys, &roots);
    if matches!(kept, Ok(true)) {
        // At once: who issues may be one that was not trusted before.
        way.show(&keys.get())?;
    }
    let is_to_renew = state.nodes().get(&node).is_some_and(is_manager)
        && (is_due(keys) || must_change(cluster, &way.tls_info.borrow()));
    if !is_to_renew {
        return Ok(kept.map(drop)?);
    }
    renew(keys, cluster, node, &way.credentials).await?;
    // Roots to which the old certificate did not lead.
    trust::keep_roots(keys, &roots)?;
    Ok(way.show(&keys.get())?)
}

/// Renews the certificate of a manager that starts, if its time is over or nearly so: it could speak to nobody to learn
/// the newest state. A state that is behind what the node trusts already is no ground to do it on.
pub async fn at_start(
    keys: &SharedKeys,
    state: &State,
    node: NodeId,
    way: &Way,
) -> Result<(), NotIssued> {
    let Some(cluster) = state.cluster() else {
        return Ok(());
    };
    let trusted = trust::trusted(&keys.get()).map_err(NotIssued::Own)?;
    let knows = trusted.is_some_and(|trusted| authority::is_known(cluster, &trusted));
    match knows && is_due(keys) {
        true => renew(keys, cluster, node, &way.credentials).await,
        false => Ok(()),
    }
}

/// A new key, and a manager's certificate for it.
async fn renew(
    keys: &SharedKeys,
    cluster: &Cluster,
    node: NodeId,
    credentials: &Credentials,
) -> Result<(), NotIssued> {
    let key = PrivateKey::generate()?;
    let subject = Subject {
        node_id: node.as_str(),
        role: Role::Manager,
        cluster_id: cluster.id.as_str(),
    };
    let certificate = authority::certify(cluster, subject, &key.request()?, credentials).await?;
    keys.with(|keys| keys.save_node(&NodeCredentials { certificate, key }))?;
    info!(%node, "certificate renewed");
    Ok(())
}

/// How long a manager may take: it looks for the newest state first, and may have to ask outside.
const ASK: Duration = Duration::from_secs(15);

/// Asks a manager for the next certificate, and keeps it. Returns the role that it is for.
pub async fn ask(way: &Way, keys: &SharedKeys) -> Result<Role, AskError> {
    let key = PrivateKey::generate()?;
    let request = RenewRequest {
        request: key.request()?.pem().to_owned(),
    };
    let renewed: Renewed = way.ask(Method::Renew, &request, ASK).await?;
    let certificate = NodeCertificate::from_pem(&renewed.certificate)?;
    let role = certificate.identity().role;
    let roots = Roots {
        root: renewed.roots,
        next: renewed.next_root,
    };
    trust::keep_node(keys, &NodeCredentials { certificate, key }, &roots)?;
    way.show(&keys.get())?;
    way.managers.replace(renewed.managers);
    info!(role = role.as_str(), "certificate renewed");
    Ok(role)
}

/// Whether the certificate held should be renewed by now: two thirds of its time are over.
pub fn is_due(keys: &SharedKeys) -> bool {
    left_at(keys, SystemTime::now()).is_zero()
}

/// When to look again: as soon as it is due. One that is due by now was just asked for.
pub fn next_look(keys: &SharedKeys) -> Duration {
    match left_at(keys, SystemTime::now()) {
        Duration::ZERO => LOOK,
        left => left.min(LOOK),
    }
}

/// How long the certificate held is not due. Nothing is said against one that cannot be read now.
fn left_at(keys: &SharedKeys, now: SystemTime) -> Duration {
    match keys.get().node() {
        Ok(Some(held)) => {
            let due = due(held.certificate.identity());
            due.duration_since(now).unwrap_or_default()
        }
        Ok(None) => Duration::ZERO,
        Err(_) => LOOK,
    }
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
    use swarmrs_security::{Keystore, Lock};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_time_and_when_it_has_expired() {
        let folder = tempfile::tempdir().unwrap();
        let made = trust::Trust::make(NodeId(RandomIds.next()), 30 * DAY).unwrap();
        let keystore = Keystore::open(folder.path()).unwrap();
        let keys = keystore.create_keys(Lock::default()).unwrap();
        keys.save_node(&made.node).unwrap();
        let keys = SharedKeys::new(keys);
        let begin = SystemTime::now();
        for (days, due) in [(0, false), (19, false), (21, true), (200, true)] {
            let left = left_at(&keys, begin + days * DAY);
            assert_eq!(left.is_zero(), due, "after {days} days");
        }
    }
}
