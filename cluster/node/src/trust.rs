//! Whom a node trusts: made with a swarm, read from the keystore ever after.

use crate::ids::RandomIds;
use crate::lock::SharedKeys;
use std::time::{Duration, SystemTime};
use swarmrs_core::Ids;
use swarmrs_rpc::{Credentials, Roots, TlsError};
use swarmrs_security::{
    Issuer, Keys, NodeCredentials, PrivateKey, Role, RootCa, RootCert, Subject,
};
use swarmrs_types::object::{CertIssuer, Cluster};
use swarmrs_types::spec::TlsInfo;
use swarmrs_types::{ClusterId, NodeId};

/// The authority of a new swarm, and its first node's certificate.
pub struct Trust {
    pub cluster: ClusterId,
    pub ca: RootCa,
    pub node: NodeCredentials,
    pub issuer: Issuer,
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
fn issue(
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

/// What the node says of its trust, from its keystore. Empty if it holds no certificate. Who issued one that has expired
/// is said too: the node is what it was, and managers are to see who issued what it shows.
pub fn tls_info(keys: &Keys) -> Result<TlsInfo, swarmrs_security::Error> {
    let (root, roots) = (keys.keystore().root()?, trusted(keys)?);
    let (Some(root), Some(roots), Some(node)) = (root, roots, keys.node()?) else {
        return Ok(TlsInfo::default());
    };
    let moment = node.certificate.moment(SystemTime::now());
    let issuer = node.certificate.verify(&roots, moment);
    let issuer = issuer.map_err(|error| keys.keystore().contradicts(error))?;
    Ok(info(&root, &issuer))
}

/// What this node shows to others, and whom it trusts, from its keystore.
pub fn credentials(keys: &Keys) -> Result<Credentials, CredentialsError> {
    let (node, roots) = held(keys)?;
    Ok(Credentials::new(&node, &roots, SystemTime::now())?)
}

/// What this node shows to whoever has a certificate of `root`, and to nobody else.
pub fn credentials_for(keys: &Keys, root: &RootCert) -> Result<Credentials, CredentialsError> {
    let (node, _) = held(keys)?;
    Ok(Credentials::new(&node, root, SystemTime::now())?)
}

/// Has the next handshakes use what the keystore holds by now.
pub fn refresh(credentials: &Credentials, keys: &Keys) -> Result<(), CredentialsError> {
    let (node, roots) = held(keys)?;
    Ok(credentials.replace(&node, &roots, SystemTime::now())?)
}

fn held(keys: &Keys) -> Result<(NodeCredentials, RootCert), CredentialsError> {
    match (keys.node()?, trusted(keys)?) {
        (Some(node), Some(roots)) => Ok((node, roots)),
        _ => Err(CredentialsError::Missing),
    }
}

/// Whom the node trusts: the root and the one that is to take its place. None if it trusts nobody yet.
pub fn trusted(keys: &Keys) -> Result<Option<RootCert>, swarmrs_security::Error> {
    let (root, next) = (keys.keystore().root()?, keys.keystore().next_root()?);
    Ok(root.map(|root| both(root, next)))
}

/// Whom a node trusts that is told these.
pub fn believed(roots: &Roots) -> Result<RootCert, swarmrs_security::Error> {
    let (root, next) = read(roots)?;
    Ok(both(root, next))
}

fn both(root: RootCert, next: Option<RootCert>) -> RootCert {
    match next {
        Some(next) => root.and(&next),
        None => root,
    }
}

/// The roots of the swarm, as nodes are told them.
pub fn roots_of(cluster: &Cluster) -> Roots {
    let next = cluster.root_rotation.as_ref();
    Roots {
        root: cluster.root_ca.certificate.clone(),
        next: next
            .map(|next| next.certificate.clone())
            .unwrap_or_default(),
    }
}

/// Keeps what the node is to trust from now on; says whether it is something else. Roots that do not lead to the node's
/// own certificate are not kept: it would shut itself out.
pub fn keep_roots(keys: &SharedKeys, roots: &Roots) -> Result<bool, CredentialsError> {
    keys.with(|keys| {
        let (root, next) = read(roots)?;
        let keystore = keys.keystore();
        if (keystore.root()?.as_ref(), &keystore.next_root()?) == (Some(&root), &next) {
            return Ok(false);
        }
        if let Some(node) = keys.node()? {
            let moment = node.certificate.moment(SystemTime::now());
            node.certificate.verify(&believed(roots)?, moment)?;
        }
        keystore.save_roots(&root, next.as_ref())?;
        Ok(true)
    })
}

/// Keeps a certificate with its key, and the roots that it came with.
pub fn keep_node(
    keys: &SharedKeys,
    node: &NodeCredentials,
    roots: &Roots,
) -> Result<(), swarmrs_security::Error> {
    let (root, next) = read(roots)?;
    node.certificate
        .verify(&believed(roots)?, SystemTime::now())?;
    keys.with(|keys| {
        keys.keystore().save_roots(&root, next.as_ref())?;
        keys.save_node(node)
    })
}

/// The root, and the one that is to take its place.
pub fn read(roots: &Roots) -> Result<(RootCert, Option<RootCert>), swarmrs_security::Error> {
    let next = (!roots.next.is_empty()).then(|| RootCert::from_pem(&roots.next));
    Ok((RootCert::from_pem(&roots.root)?, next.transpose()?))
}

/// Who issues, as objects have it.
pub fn issuer_of(issuer: &Issuer) -> CertIssuer {
    CertIssuer {
        subject: issuer.subject_base64(),
        public_key: issuer.public_key_base64(),
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
