//! A peer that keeps no rules: TLS and HTTP/2 by hand.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::Request;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::sync::Arc;
use swarmrs_rpc::{Method, Refusal, from_json};
use swarmrs_security::{NodeCredentials, RootCert};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A client that trusts `roots`, shows `node` if there is one, and offers `protocol`.
pub fn config(roots: &RootCert, node: Option<&NodeCredentials>, protocol: &str) -> ClientConfig {
    config_of(rustls::DEFAULT_VERSIONS, roots, node, protocol)
}

/// The same, with these versions of TLS.
pub fn config_of(
    versions: &[&'static SupportedProtocolVersion],
    roots: &RootCert,
    node: Option<&NodeCredentials>,
    protocol: &str,
) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots.certificates_der() {
        store.add(root.clone()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store);
    let mut config = match node {
        None => builder.with_no_client_auth(),
        Some(node) => {
            let chain = node.certificate.chain_der().to_vec();
            let key = PrivatePkcs8KeyDer::from(node.key.pkcs8_der().unwrap().to_vec());
            let key = PrivateKeyDer::from(key);
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    if !protocol.is_empty() {
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    }
    config
}

pub async fn tls(address: &str, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("swarm-manager").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// An HTTP/2 connection, driven by a task.
pub async fn http(address: &str, config: ClientConfig) -> Result<SendRequest<Bytes>, String> {
    let stream = tls(address, config)
        .await
        .map_err(|error| error.to_string())?;
    let begun = h2::client::handshake(stream).await;
    let (requests, connection) = begun.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    requests.ready().await.map_err(|error| error.to_string())
}

/// Opens a stream for the path, and sends nothing on it yet.
pub fn open(requests: &mut SendRequest<Bytes>, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
    let request = Request::post(format!("https://swarm{path}"))
        .body(())
        .unwrap();
    requests.send_request(request, false).unwrap()
}

pub fn path(method: Method) -> String {
    format!("/rpc/v1/{}", method.name())
}

/// The refusal that is the whole answer.
pub async fn refusal(answer: ResponseFuture) -> Refusal {
    let body = body(answer.await.unwrap().into_body()).await;
    let (head, json) = body.split_first_chunk::<4>().unwrap();
    let head = u32::from_be_bytes(*head);
    assert_eq!(head >> 31, 1, "not marked as a refusal");
    assert_eq!((head & 0x7fff_ffff) as usize, json.len());
    from_json(json).unwrap()
}

async fn body(mut stream: RecvStream) -> Vec<u8> {
    let mut body = Vec::new();
    // After a refusal the rest of the request is not wanted, which is an error to this library.
    while let Some(Ok(piece)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    body
}
