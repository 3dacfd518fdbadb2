//! An authority outside of the swarm, as CFSSL speaks, played in this process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use support::{CLUSTER, DAY, Trust};
use swarmrs_rpc::Credentials;
use swarmrs_rpc::external::{ExternalError, Name, SignRequest, Subject, reach, sign};
use swarmrs_security::{CertificateRequest, NodeCertificate, PrivateKey, Role};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the authority answers.
#[derive(Clone, Copy)]
enum Mood {
    Signs,
    Refuses,
    Breaks,
    TalksOn,
    Mumbles,
}

struct Authority {
    url: String,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Authority {
    /// Listens with a certificate of `trust`, and takes only clients that have one too.
    async fn start(trust: Trust, mood: Mood) -> Self {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = acceptor(&trust);
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (noted, trust) = (heard.clone(), Arc::new(trust));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let (noted, trust) = (noted.clone(), trust.clone());
                let service =
                    service_fn(move |request| answer(request, mood, noted.clone(), trust.clone()));
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Authority {
            url: format!("https://localhost:{port}/api/v1/cfssl/sign"),
            heard,
        }
    }
}

fn acceptor(trust: &Trust) -> TlsAcceptor {
    // A node's certificate is good for the host that is called as the node is.
    let node = trust.node_at("localhost", Role::Manager, SystemTime::now());
    let mut roots = RootCertStore::empty();
    for root in trust.roots().certificates_der() {
        roots.add(root.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(
        node.key.pkcs8_der().unwrap().to_vec(),
    ));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(node.certificate.chain_der().to_vec(), key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn answer(
    request: Request<Incoming>,
    mood: Mood,
    noted: Arc<Mutex<Vec<Value>>>,
    trust: Arc<Trust>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let text = match mood {
        Mood::Signs => {
            assert_eq!(path, "/api/v1/cfssl/sign");
            json!({"success": true, "result": {"certificate": signed(&trust, &asked)}, "errors": [], "messages": []})
                .to_string()
        }
        Mood::Refuses => {
            json!({"success": false, "result": null, "errors": [{"code": 1200, "message": "not today"}]}).to_string()
        }
        Mood::TalksOn => "x".repeat(300 * 1024),
        Mood::Mumbles | Mood::Breaks => "mumble".to_owned(),
    };
    noted.lock().unwrap().push(asked);
    let mut response = Response::new(Full::new(text.into()));
    if matches!(mood, Mood::Breaks) {
        *response.status_mut() = StatusCode::BAD_GATEWAY;
    }
    Ok(response)
}

fn signed(trust: &Trust, asked: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let request = CertificateRequest::from_pem(&text(&asked["certificate_request"])).unwrap();
    let name = &asked["subject"]["names"][0];
    let node = text(&asked["subject"]["CN"]);
    let cluster = text(&name["O"]);
    let subject = swarmrs_security::Subject {
        node_id: &node,
        role: match name["OU"].as_str() {
            Some("swarm-manager") => Role::Manager,
            _ => Role::Worker,
        },
        cluster_id: &cluster,
    };
    let certificate = trust.ca.issue(&request, &subject, DAY, SystemTime::now());
    certificate.unwrap().pem().to_owned()
}

fn asked(key: &PrivateKey) -> SignRequest {
    SignRequest {
        hosts: vec!["swarm-worker".to_owned(), "node1".to_owned()],
        certificate_request: key.request().unwrap().pem().to_owned(),
        subject: Subject {
            common_name: "node1".to_owned(),
            names: vec![Name {
                unit: "swarm-worker".to_owned(),
                organisation: CLUSTER.to_owned(),
            }],
        },
        ..SignRequest::default()
    }
}

/// A trust and a second copy of it, for the authority.
fn twins() -> (Trust, Trust) {
    let trust = Trust::new();
    let twin = Trust {
        ca: trust.ca.clone(),
        cluster: trust.cluster,
    };
    (trust, twin)
}

fn manager(trust: &Trust) -> Credentials {
    trust.credentials("manager1", Role::Manager)
}

#[tokio::test]
async fn a_certificate_is_had_from_an_authority_outside_as_cfssl_gives_it() {
    let (trust, twin) = twins();
    let authority = Authority::start(twin, Mood::Signs).await;
    let key = PrivateKey::generate().unwrap();
    reach(&authority.url, &manager(&trust)).await.unwrap();
    let pem = sign(&authority.url, &manager(&trust), &asked(&key))
        .await
        .unwrap();
    let certificate = NodeCertificate::from_pem(&pem).unwrap();
    certificate
        .verify(trust.roots(), SystemTime::now())
        .unwrap();
    assert!(certificate.belongs_to(&key));
    let heard = authority.heard.lock().unwrap();
    let mut expected = json!({
        "hosts": ["swarm-worker", "node1"],
        "subject": {"CN": "node1", "names": [{"OU": "swarm-worker", "O": CLUSTER}]},
        "profile": "",
    });
    expected["certificate_request"] = heard[0]["certificate_request"].clone();
    assert_eq!(*heard, [expected]);
}

#[tokio::test]
async fn what_an_authority_does_not_do_is_told_in_its_words_and_bounded() {
    let key = PrivateKey::generate().unwrap();
    for (mood, text) in [
        (Mood::Refuses, "refused: not today (code 1200)"),
        (Mood::Breaks, "502 Bad Gateway: mumble"),
        (Mood::Mumbles, "no JSON of CFSSL"),
        (Mood::TalksOn, "length limit exceeded"),
    ] {
        let (trust, twin) = twins();
        let authority = Authority::start(twin, mood).await;
        let error = sign(&authority.url, &manager(&trust), &asked(&key))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        let is_final = matches!(error, ExternalError::Refused { .. });
        assert_eq!(is_final, matches!(mood, Mood::Refuses), "{error}");
    }
}

#[tokio::test]
async fn strangers_are_not_asked_and_addresses_that_are_none_are_said_so() {
    let trust = Trust::new();
    let stranger = Authority::start(Trust::new(), Mood::Signs).await;
    let error = reach(&stranger.url, &manager(&trust)).await.unwrap_err();
    assert!(matches!(error, ExternalError::Unanswered { .. }), "{error}");
    let key = PrivateKey::generate().unwrap();
    sign(&stranger.url, &manager(&trust), &asked(&key))
        .await
        .unwrap_err();
    assert!(stranger.heard.lock().unwrap().is_empty());
    let free = TcpListener::bind("localhost:0").await.unwrap();
    let gone = format!("https://localhost:{}/", free.local_addr().unwrap().port());
    drop(free);
    let error = reach(&gone, &manager(&trust)).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    for url in [
        "http://localhost/",
        "localhost",
        "https://",
        "",
        "https:///x",
    ] {
        let error = reach(url, &manager(&trust)).await.unwrap_err();
        assert_eq!(error, ExternalError::Url(url.to_owned()));
    }
}
