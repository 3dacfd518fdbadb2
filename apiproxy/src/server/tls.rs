//! TLS on a TCP port: who we are, and whose certificates we take.
//!
//! The certificates are files that somebody renews: they are read again on a reload, and whoever connects from then on meets
//! the new ones. Sessions are never resumed, because a resumed one would not be asked for its certificate again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsFiles;

/// A client that has not shown its certificate by now is not one.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why a port cannot be protected.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("invalid TLS configuration: could not read CA certificate {path:?}: {source}")]
    Ca { path: String, source: pem::Error },
    #[error("invalid TLS configuration: no usable CA certificate in {path:?}: {reason}")]
    NoCa { path: String, reason: String },
    #[error(
        "invalid TLS configuration: could not load X509 key pair (cert: {certificate:?}, key: {key:?}): {reason}"
    )]
    Pair {
        certificate: String,
        key: String,
        reason: String,
    },
}

/// What a port shows and demands; clones share it.
#[derive(Debug, Clone)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let current = Arc::new(ArcSwap::from_pointee(read(files)?));
        let files = files.clone();
        Ok(Self { files, current })
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// If one of them cannot be used; then the former ones hold on.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(&self.files)?));
        Ok(())
    }

    /// Whether clients must show a certificate.
    pub fn verifies(&self) -> bool {
        self.files.client_ca.is_some()
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Encrypted> {
        let handshake = TlsAcceptor::from(self.current.load_full()).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE, handshake).await??;
        Ok(Encrypted(stream))
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let broken = |reason: String| TlsError::Pair {
        certificate: files.certificate.display().to_string(),
        key: files.key.display().to_string(),
        reason,
    };
    let chain = certificates(&files.certificate).map_err(|error| broken(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| broken(error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(error.to_string()))?;
    let builder = match &files.client_ca {
        Some(ca) => builder.with_client_cert_verifier(verifier(ca)?),
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| broken(error.to_string()))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes certificates that come from this CA and no other.
fn verifier(ca: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let path = || ca.display().to_string();
    let found = certificates(ca);
    let found = found.map_err(|source| TlsError::Ca {
        path: path(),
        source,
    })?;
    let unfit = |reason: String| TlsError::NoCa {
        path: path(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for certificate in found {
        let added = roots.add(certificate);
        added.map_err(|error| unfit(error.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    built.map_err(|error| unfit(error.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let found = CertificateDer::pem_file_iter(path)?;
    let found = found.collect::<Result<Vec<_>, _>>()?;
    match found.is_empty() {
        true => Err(pem::Error::NoItemsFound),
        false => Ok(found),
    }
}

/// A client's connection behind its handshake. Its descriptor is that of the stream below, for those who watch it.
pub(super) struct Encrypted(TlsStream<TcpStream>);

impl AsFd for Encrypted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().0.as_fd()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, to)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// Says so inside TLS (close_notify) and below it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
