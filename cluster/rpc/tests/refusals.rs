//! Who gets no answer, and what is said to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use std::time::{Duration, SystemTime};
use support::raw;
use support::{CLUSTER, DAY, LONG, Rig, Trust, limits, until};
use swarmrs_rpc::message::control::SessionEnd;
use swarmrs_rpc::{
    CallError, Client, Credentials, Keepalive, Limits, Malformed, Method, Needs, Purpose, Reason,
    Shape, session,
};
use swarmrs_security::{NodeCertificate, NodeCredentials, Role, RootCert};
use swarmrs_types::Code;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// What becomes of a method, in either shape.
async fn ask(client: &Client, method: Method) -> Result<(), CallError> {
    match method.shape() {
        Shape::Call => client.call(method, "x".into(), LONG).await.map(drop),
        Shape::Conversation => client.converse(method, LONG).await.map(drop),
    }
}

/// The reason for which each method is refused to these credentials, on the connection where it belongs.
async fn reasons(rig: &Rig, credentials: &Credentials) -> Vec<(Method, Option<Reason>)> {
    let mut reasons = Vec::new();
    for method in Method::all() {
        let client = rig.client_of(credentials.clone(), method.purpose());
        let reason = match ask(&client, method).await {
            Ok(()) => None,
            Err(CallError::Refused(refusal)) => {
                assert_eq!(refusal.fault.code, Code::PermissionDenied);
                Some(refusal.reason)
            }
            Err(other) => panic!("{method:?}: {other}"),
        };
        reasons.push((method, reason));
    }
    reasons
}

fn expected(needs: impl Fn(Needs) -> Option<Reason>) -> Vec<(Method, Option<Reason>)> {
    Method::all()
        .map(|method| (method, needs(method.needs())))
        .collect()
}

#[tokio::test]
async fn a_worker_gets_nothing_that_is_a_managers() {
    let rig = Rig::new();
    let worker = rig.trust.credentials("worker1", Role::Worker);
    let refused = expected(|needs| (needs == Needs::Manager).then_some(Reason::Role));
    assert_eq!(reasons(&rig, &worker).await, refused);
    let open = Method::all().filter(|method| method.needs() != Needs::Manager);
    let calls = open.filter(|method| method.shape() == Shape::Call).count();
    assert_eq!(rig.heard(), calls, "the service heard what was refused");
}

#[tokio::test]
async fn a_manager_gets_everything() {
    let rig = Rig::new();
    let manager = rig.trust.credentials("manager1", Role::Manager);
    assert_eq!(reasons(&rig, &manager).await, expected(|_| None));
}

#[tokio::test]
async fn who_has_no_certificate_gets_no_more_than_joining_needs() {
    let rig = Rig::new();
    let refused = expected(|needs| (needs != Needs::Anyone).then_some(Reason::NoCertificate));
    assert_eq!(reasons(&rig, &rig.trust.anonymous()).await, refused);
    assert_eq!(rig.heard(), 2);
}

#[tokio::test]
async fn a_removed_node_is_refused_at_once_and_its_session_ends() {
    let keepalive = Keepalive {
        every: Duration::from_millis(50),
        within: LONG,
    };
    let rig = Rig::with(limits(), keepalive, Handle::current());
    let worker = rig.trust.credentials("worker1", Role::Worker);
    let client = rig.client_of(worker.clone(), Purpose::General);
    let mut session = session::dial(&client, LONG).await.unwrap();
    until("a session", || rig.waiting() == 1).await;
    rig.removed.lock().unwrap().insert("worker1".into());
    let refused = expected(|needs| (needs != Needs::Anyone).then_some(Reason::NotMember));
    assert_eq!(reasons(&rig, &worker).await, refused);
    assert_eq!(session.receive().await, None);
    until("the end of it", || rig.waiting() == 0).await;
    let answer = client.call(Method::Issue, "caller".into(), LONG).await;
    assert_eq!(answer.unwrap(), "", "a removed node is nobody");
}

#[tokio::test]
async fn another_cluster_is_refused_by_its_root_and_by_its_name() {
    let rig = Rig::new();
    let stranger = Trust::of("cluster2");
    // It trusts our root, so only its own certificate is wrong. All roots have one name, so what is wrong is the signature.
    let now = SystemTime::now();
    let node = stranger.node_at("manager1", Role::Manager, now);
    let credentials = Credentials::new(&node, rig.trust.roots(), now).unwrap();
    let error = ask(&rig.client_of(credentials, Purpose::General), Method::Issue).await;
    assert!(
        matches!(&error, Err(CallError::Tls { reason, .. }) if reason.contains("DecryptError")),
        "{error:?}"
    );
    // The same root, as an external authority may have it: the name tells.
    let renamed = Trust {
        ca: rig.trust.ca.clone(),
        cluster: stranger.cluster,
    };
    let credentials = renamed.credentials("manager1", Role::Manager);
    let refused = expected(|needs| (needs != Needs::Anyone).then_some(Reason::Cluster));
    assert_eq!(reasons(&rig, &credentials).await, refused);
    // And we do not speak to a server of another cluster.
    let credentials = stranger.credentials("manager1", Role::Manager);
    let error = ask(&rig.client_of(credentials, Purpose::General), Method::Issue).await;
    assert!(
        matches!(&error, Err(CallError::Tls { reason, .. }) if reason.contains("BadSignature")),
        "{error:?}"
    );
    assert_eq!(rig.heard(), 2, "only what is open to anyone");
}

/// The server of a rig whose root is on its way out: it has a certificate of the next one, which the old one vouches for.
struct Rotation {
    next: Trust,
    node: NodeCredentials,
}

impl Rotation {
    fn of(rig: &Rig) -> Self {
        let next = Trust::of(rig.trust.cluster);
        let cross_signed = rig.trust.ca.cross_sign(next.roots()).unwrap();
        let next = Trust {
            ca: next.ca.below(&cross_signed).unwrap(),
            cluster: next.cluster,
        };
        let node = next.node_at("manager0", Role::Manager, SystemTime::now());
        Rotation { next, node }
    }

    /// The server trusts these from now on.
    fn trust(&self, rig: &Rig, roots: &RootCert) {
        let replaced = rig
            .credentials
            .replace(&self.node, roots, SystemTime::now());
        replaced.unwrap();
    }

    /// A worker's certificate of the next root, for one that trusts `roots` only.
    fn worker(&self, roots: &RootCert) -> Credentials {
        let now = SystemTime::now();
        let node = self.next.node_at("worker1", Role::Worker, now);
        Credentials::new(&node, roots, now).unwrap()
    }
}

#[tokio::test]
async fn while_roots_change_certificates_of_both_are_good_whichever_root_is_trusted() {
    let rig = Rig::new();
    let rotation = Rotation::of(&rig);
    let (old, next) = (rig.trust.roots(), rotation.next.roots());
    // A manager that has not heard of the next root yet, one that has, and one to which the old one is gone.
    for trusted in [old.clone(), old.and(next), next.clone()] {
        rotation.trust(&rig, &trusted);
        for credentials in [
            rotation.worker(old),
            rotation.worker(next),
            rotation.worker(&old.and(next)),
        ] {
            let client = rig.client_of(credentials, Purpose::General);
            assert_eq!(ask(&client, Method::Leave).await, Ok(()));
        }
        let before = ask(&rig.worker(), Method::Leave).await;
        assert_eq!(before.is_ok(), trusted != *next, "{before:?}");
    }
}

#[tokio::test]
async fn who_came_by_a_root_that_is_gone_is_refused_by_name_also_on_an_open_connection() {
    let keepalive = Keepalive {
        every: LONG,
        within: LONG,
    };
    let rig = Rig::with(limits(), keepalive, Handle::current());
    let before = rig.worker();
    assert_eq!(ask(&before, Method::Leave).await, Ok(()));
    let rotation = Rotation::of(&rig);
    rotation.trust(&rig, &rig.trust.roots().and(rotation.next.roots()));
    assert_eq!(ask(&before, Method::Leave).await, Ok(()));
    rotation.trust(&rig, rotation.next.roots());
    let Err(CallError::Refused(refusal)) = ask(&before, Method::Leave).await else {
        panic!("a certificate of a root that is gone was good");
    };
    assert_eq!(refusal.reason, Reason::Untrusted);
    assert_eq!(
        refusal.fault.text,
        "Permission denied: client certificate is of a root that is not trusted any more"
    );
    // To what is open to anyone it is as good as none.
    assert_eq!(ask(&before, Method::Issue).await, Ok(()));
    // A new connection does not even come about; both roots have one name, so it is the signature that is wrong.
    let error = ask(&rig.worker(), Method::Issue).await;
    assert!(
        matches!(&error, Err(CallError::Tls { reason, .. }) if reason.contains("DecryptError")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_session_that_was_begun_by_a_root_that_is_gone_ends() {
    let keepalive = Keepalive {
        every: Duration::from_millis(50),
        within: LONG,
    };
    let rig = Rig::with(limits(), keepalive, Handle::current());
    let mut old = session::dial(&rig.worker(), LONG).await.unwrap();
    let rotation = Rotation::of(&rig);
    rotation.trust(&rig, &rig.trust.roots().and(rotation.next.roots()));
    let credentials = rotation.worker(rig.trust.roots());
    let client = rig.client_of(credentials, Purpose::General);
    let _new = session::dial(&client, LONG).await.unwrap();
    until("two sessions", || rig.waiting() == 2).await;
    rotation.trust(&rig, rotation.next.roots());
    assert_eq!(old.receive().await, None);
    until("the end of the old one alone", || rig.waiting() == 1).await;
}

#[tokio::test]
async fn a_session_ends_with_its_certificate_and_goes_on_by_a_renewed_one_alone() {
    let keepalive = Keepalive {
        every: Duration::from_millis(50),
        within: LONG,
    };
    let rig = Rig::with(limits(), keepalive, Handle::current());
    let now = SystemTime::now();
    let (hour, left) = (Duration::from_secs(3600), Duration::from_secs(4));
    let [renewed, old] = ["worker1", "worker2"].map(|name| {
        let node = rig.trust.node_at(name, Role::Worker, now - hour + left);
        Credentials::new(&node, rig.trust.roots(), now).unwrap()
    });
    let end = renewed.identity().unwrap().not_after;
    let clients =
        [&renewed, &old].map(|credentials| rig.client_of(credentials.clone(), Purpose::General));
    for client in &clients {
        let mut session = session::dial(client, LONG).await.unwrap();
        tokio::spawn(async move { session.receive().await });
    }
    until("two sessions", || rig.waiting() == 2).await;
    let node = rig.trust.node_at("worker1", Role::Worker, now);
    renewed.replace(&node, rig.trust.roots(), now).unwrap();
    until("the end of both", || rig.waiting() == 0).await;
    assert!(SystemTime::now() > end, "ended before its time");
    let how = [SessionEnd::Reset, SessionEnd::Goodbye].map(Some);
    assert_eq!(rig.sessions_ended(), [how, how]);

    let _session = session::dial(&clients[0], LONG).await.unwrap();
    let refused = match session::dial(&clients[1], LONG).await.unwrap_err() {
        // The handshake counts in whole seconds.
        CallError::Refused(refusal) => refusal.reason == Reason::Expired,
        CallError::Tls { reason, .. } => reason.contains("CertificateExpired"),
        _ => false,
    };
    assert!(refused);
}

#[tokio::test]
async fn an_expired_certificate_opens_nothing() {
    let rig = Rig::new();
    let now = SystemTime::now();
    let node = rig.trust.node_at("manager1", Role::Manager, now - DAY);
    let credentials = Credentials::new(&node, rig.trust.roots(), now).unwrap();
    let error = ask(&rig.client_of(credentials, Purpose::General), Method::Issue).await;
    assert!(
        matches!(&error, Err(CallError::Tls { reason, .. }) if reason.contains("CertificateExpired")),
        "{error:?}"
    );

    let node = rig.trust.node_at("manager0", Role::Manager, now - DAY);
    rig.credentials
        .replace(&node, rig.trust.roots(), now)
        .unwrap();
    let error = ask(&rig.manager(), Method::Issue).await;
    assert!(
        matches!(&error, Err(CallError::Tls { reason, .. }) if reason.contains("expired")),
        "{error:?}"
    );
    assert_eq!(rig.heard(), 0);
}

#[tokio::test]
async fn a_server_must_be_the_one_that_is_meant() {
    let rig = Rig::new();
    let right = rig.manager().expecting("manager0").unwrap();
    assert_eq!(ask(&right, Method::ReadIndex).await, Ok(()));
    let wrong = rig.manager().expecting("manager9").unwrap();
    let error = ask(&wrong, Method::ReadIndex).await;
    assert!(matches!(error, Err(CallError::Tls { .. })), "{error:?}");
    // A worker that listens is no manager.
    let (now, roots) = (SystemTime::now(), rig.trust.roots());
    let node = rig.trust.node_at("worker0", Role::Worker, now);
    rig.credentials.replace(&node, roots, now).unwrap();
    let error = ask(&rig.manager(), Method::ReadIndex).await;
    assert!(matches!(error, Err(CallError::Tls { .. })), "{error:?}");
    assert!(rig.manager().expecting("no name").is_err());
}

#[tokio::test]
async fn more_than_a_method_takes_is_not_sent_and_not_read() {
    let rig = Rig::new();
    let method = Method::Leave;
    let length = method.request_limit() + 1;
    let error = rig
        .worker()
        .call(method, vec![0; length].into(), LONG)
        .await;
    assert_eq!(error, Err(CallError::TooLong { method, length }));

    let node = rig
        .trust
        .node_at("worker1", Role::Worker, SystemTime::now());
    let config = raw::config(rig.trust.roots(), Some(&node), "swarmrs");
    let mut requests = raw::http(&rig.address(), config).await.unwrap();
    let (answer, mut stream) = raw::open(&mut requests, &raw::path(method));
    let head = u32::try_from(length).unwrap().to_be_bytes();
    stream
        .send_data(Bytes::copy_from_slice(&head), false)
        .unwrap();
    let refusal = raw::refusal(answer).await;
    assert_eq!(refusal.reason, Reason::Malformed);
    let limit = method.request_limit();
    let text = Malformed::TooLong { length, limit }.to_string();
    assert_eq!(refusal.fault.text, text);
    assert_eq!(rig.heard(), 0);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_an_error_of_the_one_that_gave_it() {
    let rig = Rig::new();
    let answer = rig.worker().call(Method::Leave, "long".into(), LONG).await;
    let Err(CallError::Refused(refusal)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.fault.code, Code::Internal);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = Limits {
        body: Duration::from_millis(200),
        ..limits()
    };
    let rig = Rig::with(limits, Keepalive::default(), Handle::current());
    let config = raw::config(rig.trust.roots(), None, "swarmrs");
    let mut requests = raw::http(&rig.address(), config).await.unwrap();
    let (answer, mut stream) = raw::open(&mut requests, &raw::path(Method::Issue));
    stream
        .send_data(Bytes::from_static(b"\0\0\0\x09slow"), false)
        .unwrap();
    assert_eq!(raw::refusal(answer).await.reason, Reason::Slow);
    assert_eq!(rig.heard(), 0);
}

#[tokio::test]
async fn what_is_no_request_of_ours_is_refused() {
    let rig = Rig::new();
    let node = rig
        .trust
        .node_at("manager1", Role::Manager, SystemTime::now());
    let config = raw::config(rig.trust.roots(), Some(&node), "swarmrs");
    let mut requests = raw::http(&rig.address(), config).await.unwrap();
    let long = format!("/rpc/v1/{}", "x".repeat(4000));
    for path in [
        "/",
        "/rpc/v2/session",
        "/rpc/v1/",
        "/rpc/v1/raft-vote",
        &long,
    ] {
        requests = requests.ready().await.unwrap();
        let (answer, _stream) = raw::open(&mut requests, path);
        let refusal = raw::refusal(answer).await;
        assert_eq!(refusal.reason, Reason::UnknownMethod);
        assert!(refusal.fault.text.len() < 200);
    }
    let path = raw::path(Method::ReadIndex);
    for (body, last) in [(&b""[..], true), (b"\0\0\0\x05abc", true), (b"\0\0", true)] {
        requests = requests.ready().await.unwrap();
        let (answer, mut stream) = raw::open(&mut requests, &path);
        stream.send_data(Bytes::from_static(body), last).unwrap();
        assert_eq!(raw::refusal(answer).await.reason, Reason::Malformed);
    }
    assert_eq!(rig.heard(), 0);
}

#[tokio::test]
async fn streams_of_one_connection_are_bounded() {
    let limits = Limits {
        streams_of_workers: 2,
        ..limits()
    };
    let rig = Rig::with(limits, Keepalive::default(), Handle::current());
    let client = rig.worker();
    let first = client.converse(Method::Logs, LONG).await.unwrap();
    let _second = client.converse(Method::Logs, LONG).await.unwrap();
    let within = Duration::from_millis(300);
    let third = client.converse(Method::Logs, within).await;
    assert_eq!(third.err(), Some(CallError::TimedOut(within)));
    drop(first);
    client.converse(Method::Logs, LONG).await.unwrap();
}

#[tokio::test]
async fn a_connection_without_a_certificate_does_not_last() {
    let limits = Limits {
        anonymous_life: Duration::from_millis(200),
        anonymous: 1,
        ..limits()
    };
    let rig = Rig::with(limits, Keepalive::default(), Handle::current());
    let first = rig.client_of(rig.trust.anonymous(), Purpose::General);
    let waits = tokio::spawn(async move { first.call(Method::Issue, "wait".into(), LONG).await });
    until("a call that waits", || rig.waiting() == 1).await;
    let second = rig.client_of(rig.trust.anonymous(), Purpose::General);
    let error = second.connect().await;
    assert!(
        matches!(error, Err(CallError::Unreachable { .. })),
        "{error:?}"
    );
    assert!(matches!(waits.await.unwrap(), Err(CallError::Lost(_))));
    until("a free place", || rig.waiting() == 0).await;
    let answer = second.call(Method::Issue, "x".into(), LONG).await;
    assert_eq!(answer.unwrap(), "x");
}

#[tokio::test]
async fn one_node_has_its_share_of_connections_and_no_more() {
    let limits = Limits {
        connections_per_node: 2,
        ..limits()
    };
    let rig = Rig::with(limits, Keepalive::default(), Handle::current());
    let first = rig.worker();
    let second = rig.worker();
    assert_eq!(ask(&first, Method::Leave).await, Ok(()));
    assert_eq!(ask(&second, Method::Leave).await, Ok(()));
    let error = ask(&rig.worker(), Method::Leave).await;
    assert!(
        matches!(error, Err(CallError::Unreachable { .. })),
        "{error:?}"
    );
    assert_eq!(ask(&rig.manager(), Method::Leave).await, Ok(()));
}

#[tokio::test]
async fn tls_begins_with_1_2() {
    let rig = Rig::new();
    let node = rig
        .trust
        .node_at("worker1", Role::Worker, SystemTime::now());
    let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
    for version in versions {
        let config = raw::config_of(&[version], rig.trust.roots(), Some(&node), "swarmrs");
        let mut requests = raw::http(&rig.address(), config).await.unwrap();
        let (answer, mut stream) = raw::open(&mut requests, &raw::path(Method::ReadIndex));
        let _ = stream.send_data(Bytes::from_static(b"\0\0\0\0"), true);
        assert_eq!(raw::refusal(answer).await.reason, Reason::Role);
    }
}

/// The first message of a client that knows `version` of TLS at most, by hand: our TLS library offers no older one than 1.2.
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let random = [7; 32];
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x13, 0xc0, 0x0a];
    let extensions = [
        // secp256r1, x25519
        &[0, 10, 0, 6, 0, 4, 0, 23, 0, 29][..],
        // Uncompressed points.
        &[0, 11, 0, 2, 1, 0],
        // ECDSA and RSA with SHA-256.
        &[0, 13, 0, 6, 0, 4, 4, 3, 4, 1],
        // The protocol is swarmrs.
        b"\0\x10\0\x0a\0\x08\x07swarmrs",
    ]
    .concat();
    let mut hello = [&version[..], &random, &[0, 0, 8], &suites, &[1, 0]].concat();
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let length = u16::try_from(hello.len()).unwrap();
    let handshake = [&[1, 0][..], &length.to_be_bytes(), &hello].concat();
    let length = length + 4;
    [&[22, 3, 1][..], &length.to_be_bytes(), &handshake].concat()
}

#[tokio::test]
async fn a_client_of_an_older_tls_is_told_so_in_an_alert() {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    let rig = Rig::new();
    for (version, answer) in [([3, 1], ALERT), ([3, 2], ALERT), ([3, 3], HANDSHAKE)] {
        let mut stream = TcpStream::connect(rig.server.address()).await.unwrap();
        stream.write_all(&client_hello(version)).await.unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head[0], answer, "{version:?}");
        if answer == ALERT {
            let mut alert = [0; 2];
            stream.read_exact(&mut alert).await.unwrap();
            assert_eq!(alert, [2, 70], "fatal, protocol_version");
            assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
        }
    }
    assert_eq!(rig.heard(), 0);
}

#[test]
fn roots_that_are_not_valid_are_not_trusted() {
    let now = SystemTime::now();
    let trust = Trust::new();
    let node = trust.node_at("worker1", Role::Worker, now);
    let later = now + 21 * 365 * DAY;
    assert!(Credentials::new(&node, trust.roots(), later).is_err());
    assert!(Credentials::anonymous(trust.roots(), later).is_err());
    let identity = NodeCertificate::from_pem(node.certificate.pem()).unwrap();
    assert_eq!(identity.identity().cluster_id, CLUSTER);
}

#[tokio::test]
async fn who_says_nothing_shuts_nobody_out() {
    let limits = Limits {
        handshake: LONG,
        handshakes: 8,
        ..limits()
    };
    let rig = Rig::with(limits, Keepalive::default(), Handle::current());
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(rig.server.address()).await.unwrap());
        if silent.len() % 10 == 0 {
            assert_eq!(ask(&rig.manager(), Method::ReadIndex).await, Ok(()));
        }
    }
    // All but the last few were sent away.
    for stream in silent.iter_mut().take(90) {
        let ended = tokio::time::timeout(LONG, stream.read(&mut [0])).await;
        assert!(matches!(ended.unwrap(), Ok(0) | Err(_)));
    }
}

#[tokio::test]
async fn one_source_has_its_share_of_handshakes_and_no_more() {
    let limits = Limits {
        handshake: Duration::from_millis(500),
        handshakes_per_source: 3,
        ..limits()
    };
    let rig = Rig::with(limits, Keepalive::default(), Handle::current());
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(rig.server.address()).await.unwrap());
    }
    let error = ask(&rig.manager(), Method::ReadIndex).await;
    assert!(
        matches!(error, Err(CallError::Unreachable { .. })),
        "{error:?}"
    );
    for stream in &mut silent {
        assert!(
            matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)),
            "too slow"
        );
    }
    assert_eq!(ask(&rig.manager(), Method::ReadIndex).await, Ok(()));
}
