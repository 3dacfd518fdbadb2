//! What a node shows and whom it trusts.
//!
//! A [`Credentials`] is what every server and client of a node shares. Replacing what is in it changes
//! the next handshake of each; nothing is restarted. Sessions are never resumed, because a resumed
//! one would not be asked for its certificate again.

mod unverified;

use crate::Purpose;
use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;
use std::time::SystemTime;
use swarmrs_security::{Identity, NodeCredentials, RootCert, verify_chain};

/// The name under which every manager can be dialled.
pub const MANAGER: &str = "swarm-manager";

/// Why no TLS can be made of certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no root certificate is valid now")]
    NoRoot,
    #[error("cannot use the node's key")]
    Key(#[source] swarmrs_security::Error),
    #[error("cannot use the certificates: {0}")]
    Unusable(String),
    #[error("{0:?} is no name of a node")]
    Name(String),
}

impl Purpose {
    /// The ALPN name.
    pub(crate) fn protocol(self) -> &'static [u8] {
        match self {
            Purpose::General => b"swarmrs",
            Purpose::Raft => b"swarmrs-raft",
        }
    }

    pub(crate) fn of_protocol(protocol: Option<&[u8]>) -> Option<Purpose> {
        [Purpose::General, Purpose::Raft]
            .into_iter()
            .find(|purpose| Some(purpose.protocol()) == protocol)
    }
}

/// What a node shows and trusts, replaceable; clones share it.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<ArcSwap<Current>>);

#[derive(Debug)]
pub(crate) struct Current {
    /// None without a certificate: who has none serves nothing.
    pub(crate) server: Option<Arc<ServerConfig>>,
    general: Arc<ClientConfig>,
    raft: Arc<ClientConfig>,
    /// Who the node says it is.
    pub(crate) identity: Option<Identity>,
    /// Whom it trusts; none: anybody.
    roots: Option<RootCert>,
}

impl Credentials {
    /// Those of a node. `roots` may hold several during a rotation; the ones that are not valid at `now` are left out.
    pub fn new(
        node: &NodeCredentials,
        roots: &RootCert,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        Ok(Self::of(Current::node(node, roots, now)?))
    }

    /// Those of a newcomer that knows the roots and has no certificate yet.
    pub fn anonymous(roots: &RootCert, now: SystemTime) -> Result<Self, TlsError> {
        Ok(Self::of(Current::anonymous(roots, now)?))
    }

    /// Those of a newcomer that takes any certificate: for fetching the root, and nothing else.
    pub(crate) fn believing_anybody() -> Result<Self, TlsError> {
        let config = unverified::client()?;
        Ok(Self::of(Current {
            server: None,
            raft: config.clone(),
            general: config,
            identity: None,
            roots: None,
        }))
    }

    /// What the next handshakes use.
    pub fn replace(
        &self,
        node: &NodeCredentials,
        roots: &RootCert,
        now: SystemTime,
    ) -> Result<(), TlsError> {
        self.0.store(Arc::new(Current::node(node, roots, now)?));
        Ok(())
    }

    /// Who the node says it is; none without a certificate.
    pub fn identity(&self) -> Option<Identity> {
        self.0.load().identity.clone()
    }

    pub(crate) fn current(&self) -> Arc<Current> {
        self.0.load_full()
    }

    fn of(current: Current) -> Self {
        Credentials(Arc::new(ArcSwap::from_pointee(current)))
    }
}

impl Current {
    fn node(node: &NodeCredentials, trust: &RootCert, now: SystemTime) -> Result<Self, TlsError> {
        let roots = store(trust, now)?;
        let chain = node.certificate.chain_der();
        let key = node.key.pkcs8_der().map_err(TlsError::Key)?;
        let key = || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
        let general = client(roots.clone(), Some((chain.to_vec(), key())))?;
        Ok(Current {
            server: Some(Arc::new(server(roots, chain.to_vec(), key())?)),
            raft: Arc::new(speaking(&general, Purpose::Raft)),
            general: Arc::new(speaking(&general, Purpose::General)),
            identity: Some(node.certificate.identity().clone()),
            roots: Some(trust.clone()),
        })
    }

    fn anonymous(roots: &RootCert, now: SystemTime) -> Result<Self, TlsError> {
        let general = client(store(roots, now)?, None)?;
        Ok(Current {
            server: None,
            raft: Arc::new(speaking(&general, Purpose::Raft)),
            general: Arc::new(speaking(&general, Purpose::General)),
            identity: None,
            roots: Some(roots.clone()),
        })
    }

    /// Whether a handshake now would believe this chain, as far as its issuer goes.
    pub(crate) fn believes(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> bool {
        let leads = |roots| verify_chain(chain, roots, now).is_ok();
        self.roots.as_ref().is_none_or(leads)
    }

    /// For speaking to somebody who is no node.
    pub(crate) fn web(&self) -> ClientConfig {
        let mut config = (*self.general).clone();
        config.alpn_protocols.clear();
        config
    }

    pub(crate) fn client(&self, purpose: Purpose) -> Arc<ClientConfig> {
        match purpose {
            Purpose::General => self.general.clone(),
            Purpose::Raft => self.raft.clone(),
        }
    }
}

/// A chain and its key.
type Certified = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn server(
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
        // A newcomer has none; what it may call is judged by the table.
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Unusable(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = [Purpose::General, Purpose::Raft]
        .map(|purpose| purpose.protocol().to_vec())
        .to_vec();
    Ok(config)
}

fn client(
    roots: Arc<RootCertStore>,
    certified: Option<Certified>,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    match certified {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// A client's configuration for one kind of connection.
fn speaking(config: &ClientConfig, purpose: Purpose) -> ClientConfig {
    let mut config = config.clone();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![purpose.protocol().to_vec()];
    config
}

/// The library takes roots as given and ignores their dates, hence the choice here.
fn store(roots: &RootCert, now: SystemTime) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots.valid_der(now) {
        store.add(root.clone()).map_err(unusable)?;
    }
    match store.is_empty() {
        true => Err(TlsError::NoRoot),
        false => Ok(Arc::new(store)),
    }
}

/// The name a certificate must carry: [`MANAGER`] or a node's id.
pub(crate) fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unusable(error: rustls::Error) -> TlsError {
    TlsError::Unusable(error.to_string())
}
