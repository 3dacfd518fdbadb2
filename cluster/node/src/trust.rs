//! Whom a node trusts: made with a swarm, read from the keystore ever after.

use crate::ids::RandomIds;
use std::time::{Duration, SystemTime};
use swarmrs_core::Ids;
use swarmrs_rpc::{Credentials, TlsError};
use swarmrs_security::{
    Issuer, Keys, NodeCredentials, PrivateKey, Role, RootCa, RootCert, Subject,
};
use swarmrs_types::spec::TlsInfo;
use swarmrs_types::{ClusterId, NodeId};

/// The authority of a new swarm, and its first node's certificate.
pub struct Trust {
    pub cluster: ClusterId,
    pub ca: RootCa,
    pub node: NodeCredentials,
    issuer: Issuer,
}

impl Trust {
    /// A new authority, and a manager's certificate for `node` from it; `validity` as by [`issue`].
    pub fn make(node: NodeId, validity: Duration) -> Result<Trust, swarmrs_security::Error> {
        let now = SystemTime::now();
        let cluster = ClusterId(RandomIds.next());
        let ca = RootCa::create(now)?;
        let credentials = issue(&ca, node, cluster, validity, now)?;
        let issuer = credentials.certificate.verify(ca.cert(), now)?;
        Ok(Trust {
            cluster,
            ca,
            node: credentials,
            issuer,
        })
    }

    /// What the node says of its trust.
    pub fn tls_info(&self) -> TlsInfo {
        info(self.ca.cert(), &self.issuer)
    }
}

/// A new key for `node`, and a manager's certificate for it. Without a `validity` it is the default.
pub fn issue(
    ca: &RootCa,
    node: NodeId,
    cluster: ClusterId,
    validity: Duration,
    now: SystemTime,
) -> Result<NodeCredentials, swarmrs_security::Error> {
    let key = PrivateKey::generate()?;
    let subject = Subject {
        node_id: node.as_str(),
        role: Role::Manager,
        cluster_id: cluster.as_str(),
    };
    let certificate = ca.issue(&key.request()?, &subject, validity, now)?;
    Ok(NodeCredentials { certificate, key })
}

/// What the node says of its trust, from its keystore. Empty if it holds no certificate.
pub fn tls_info(keys: &Keys) -> Result<TlsInfo, swarmrs_security::Error> {
    let (Some(root), Some(node)) = (keys.keystore().root()?, keys.node()?) else {
        return Ok(TlsInfo::default());
    };
    let issuer = node.certificate.verify(&root, SystemTime::now())?;
    Ok(info(&root, &issuer))
}

/// What this node shows to others, and whom it trusts, from its keystore.
pub fn credentials(keys: &Keys) -> Result<Credentials, CredentialsError> {
    let (node, roots) = held(keys)?;
    Ok(Credentials::new(&node, &roots, SystemTime::now())?)
}

/// Has the next handshakes use what the keystore holds by now.
pub fn refresh(credentials: &Credentials, keys: &Keys) -> Result<(), CredentialsError> {
    let (node, roots) = held(keys)?;
    Ok(credentials.replace(&node, &roots, SystemTime::now())?)
}

fn held(keys: &Keys) -> Result<(NodeCredentials, RootCert), CredentialsError> {
    match (keys.node()?, keys.keystore().root()?) {
        (Some(node), Some(roots)) => Ok((node, roots)),
        _ => Err(CredentialsError::Missing),
    }
}

/// The keystore holds nothing that a node could show to others.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("the node has no certificate or trusts no root")]
    Missing,
    #[error(transparent)]
    Keystore(#[from] swarmrs_security::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn info(root: &RootCert, issuer: &Issuer) -> TlsInfo {
    TlsInfo {
        trust_root: root.pem().to_owned(),
        cert_issuer_subject: issuer.subject_base64(),
        cert_issuer_public_key: issuer.public_key_base64(),
    }
}
