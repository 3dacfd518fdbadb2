//! Whom a node trusts: made with a swarm, read from the keystore ever after.

use crate::ids::RandomIds;
use std::time::SystemTime;
use swarmrs_core::Ids;
use swarmrs_security::{
    Issuer, Keystore, NodeCredentials, PrivateKey, Role, RootCa, RootCert, Subject, ca,
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
    /// A new authority, and a manager's certificate for `node` from it.
    pub fn make(node: NodeId) -> Result<Trust, swarmrs_security::Error> {
        let now = SystemTime::now();
        let cluster = ClusterId(RandomIds.next());
        let ca = RootCa::create(now)?;
        let key = PrivateKey::generate()?;
        let subject = Subject {
            node_id: node.as_str(),
            role: Role::Manager,
            cluster_id: cluster.as_str(),
        };
        let validity = ca::DEFAULT_NODE_VALIDITY;
        let certificate = ca.issue(&key.request()?, &subject, validity, now)?;
        let issuer = certificate.verify(ca.cert(), now)?;
        Ok(Trust {
            cluster,
            ca,
            node: NodeCredentials { certificate, key },
            issuer,
        })
    }

    /// What the node says of its trust.
    pub fn tls_info(&self) -> TlsInfo {
        info(self.ca.cert(), &self.issuer)
    }
}

/// What the node says of its trust, from its keystore. Empty if it holds no certificate.
pub fn tls_info(keystore: &Keystore) -> Result<TlsInfo, swarmrs_security::Error> {
    let (Some(root), Some(node)) = (keystore.root()?, keystore.node()?) else {
        return Ok(TlsInfo::default());
    };
    let issuer = node.certificate.verify(&root, SystemTime::now())?;
    Ok(info(&root, &issuer))
}

fn info(root: &RootCert, issuer: &Issuer) -> TlsInfo {
    TlsInfo {
        trust_root: root.pem().to_owned(),
        cert_issuer_subject: issuer.subject_base64(),
        cert_issuer_public_key: issuer.public_key_base64(),
    }
}
