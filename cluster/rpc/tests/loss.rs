//! A peer that is gone, one that is silent, and what a node shows replaced under way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use support::proxy::Line;
use support::{LONG, Rig, Trust, limits, until};
use swarmrs_rpc::message::control::SessionEnd;
use swarmrs_rpc::{
    CallError, Client, FromNode, Keepalive, Method, Purpose, Reason, ToNode, session,
};
use swarmrs_security::{Role, RootCa, RootCert};
use swarmrs_types::RawId;
use tokio::runtime::Handle;

/// Pings that come too late to help.
const NO_PINGS: Keepalive = Keepalive {
    every: LONG,
    within: LONG,
};

const PINGS: Keepalive = Keepalive {
    every: Duration::from_millis(50),
    within: Duration::from_millis(400),
};

/// Not a test: the process that another one starts and kills.
#[tokio::test]
async fn a_manager_until_it_is_killed() {
    let Ok(pem) = std::env::var("SWARMRS_RPC_TEST_CA") else {
        return;
    };
    let (certificate, key) = pem.split_once("-----END CERTIFICATE-----\n").unwrap();
    let certificate = format!("{certificate}-----END CERTIFICATE-----\n");
    let trust = Trust {
        ca: RootCa::from_pem(&certificate, key).unwrap(),
        cluster: support::CLUSTER,
    };
    let rig = Rig::of(trust, limits(), NO_PINGS, Handle::current());
    println!("\naddress {}", rig.address());
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_process_that_is_killed_is_noticed_at_once() {
    let trust = Trust::new();
    let pem = format!("{}{}", trust.roots().pem(), trust.ca.key_pem());
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_manager_until_it_is_killed", "--nocapture"])
        .env("SWARMRS_RPC_TEST_CA", pem)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| Some(line.unwrap().strip_prefix("address ")?.to_owned()));
    let credentials = trust.credentials("manager1", Role::Manager);
    let client = Client::new(address.unwrap(), credentials, Purpose::General).keepalive(NO_PINGS);
    let mut session = session::dial(&client, LONG).await.unwrap();
    let call = {
        let client = client.clone();
        tokio::spawn(async move { client.call(Method::Propose, "wait".into(), LONG).await })
    };
    client
        .call(Method::ReadIndex, "x".into(), LONG)
        .await
        .unwrap();

    process.kill().unwrap();
    let killed = Instant::now();
    assert_eq!(session.receive().await, None);
    let lost = call.await.unwrap();
    let noticed = killed.elapsed();
    assert!(matches!(lost, Err(CallError::Lost(_))), "{lost:?}");
    process.wait().unwrap();
    let refused = client.call(Method::ReadIndex, "x".into(), LONG).await;
    assert!(
        matches!(refused, Err(CallError::ConnectionRefused(_))),
        "{refused:?}"
    );
    assert!(noticed < LONG / 2, "noticed after {noticed:?}");
    println!("noticed after {noticed:?}");
}

#[tokio::test]
async fn a_silent_peer_is_given_up_by_both_and_found_again() {
    let rig = Rig::with(limits(), PINGS, Handle::current());
    let line = Line::to(rig.server.address()).await;
    let credentials = rig.trust.credentials("manager1", Role::Manager);
    let client = Client::new(line.address.to_string(), credentials, Purpose::General)
        .keepalive(PINGS)
        .connect_within(Duration::from_millis(300));
    let mut session = session::dial(&client, LONG).await.unwrap();
    until("a session", || rig.waiting() == 1).await;
    line.fall_silent();
    assert_eq!(session.receive().await, None);
    until("the manager's end of it", || rig.waiting() == 0).await;
    let how = [SessionEnd::Reset, SessionEnd::Silence].map(Some);
    assert_eq!(rig.sessions_ended(), [how]);
    let error = client.call(Method::ReadIndex, "x".into(), LONG).await;
    assert!(
        matches!(error, Err(CallError::Unreachable { .. })),
        "{error:?}"
    );
    let within = Duration::from_millis(50);
    let error = client.call(Method::ReadIndex, "x".into(), within).await;
    assert!(
        matches!(error, Err(CallError::Unreachable { .. })),
        "{error:?}"
    );
    line.heal();
    let answer = client.call(Method::ReadIndex, "x".into(), LONG).await;
    assert_eq!(answer.unwrap(), "x");
}

#[tokio::test]
async fn who_is_slow_but_speaks_is_not_silent() {
    let keepalive = Keepalive {
        every: Duration::from_millis(50),
        within: Duration::from_secs(1),
    };
    let rig = Rig::with(limits(), keepalive, Handle::current());
    // 400 KB a second: the answer to a ping waits longer than a second, behind what is under way.
    let line = Line::slow(rig.server.address(), Duration::from_millis(40)).await;
    let credentials = rig.trust.credentials("manager1", Role::Manager);
    let client =
        Client::new(line.address.to_string(), credentials, Purpose::General).keepalive(keepalive);
    let calls = (0..3).map(|_| {
        let client = client.clone();
        let body = Bytes::from(vec![1; 600_000]);
        tokio::spawn(async move {
            let answer = client.call(Method::Propose, body.clone(), LONG).await;
            assert_eq!(answer.unwrap(), body);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_goes_down_finishes_what_it_has_begun() {
    let rig = Rig::new();
    let client = rig.worker();
    let mut talk = client.converse(Method::Logs, LONG).await.unwrap();
    until("a conversation", || rig.waiting() == 1).await;
    let server = tokio::spawn(rig.server.shutdown(LONG));
    until("no new calls", || {
        std::net::TcpStream::connect(client.address()).is_err()
    })
    .await;
    talk.sender.send("still".into()).await.unwrap();
    assert_eq!(talk.receiver.next().await.unwrap().unwrap(), "still");
    talk.sender.send("leave".into()).await.unwrap();
    assert_eq!(talk.receiver.next().await, Ok(None));
    server.await.unwrap();
    let refused = client.call(Method::Leave, "x".into(), LONG).await;
    assert!(
        matches!(refused, Err(CallError::ConnectionRefused(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_server_that_goes_down_waits_no_longer_than_it_is_told() {
    let rig = Rig::new();
    let mut session = session::dial(&rig.worker(), LONG).await.unwrap();
    until("a session", || rig.waiting() == 1).await;
    rig.server.shutdown(Duration::from_millis(100)).await;
    assert_eq!(session.receive().await, None);
    assert_eq!(rig.answers.waiting.load(Ordering::SeqCst), 0);
}

/// Replaces certificates and roots of both sides step by step, as a rotation of the root does, under calls.
#[tokio::test]
async fn what_a_node_shows_and_trusts_is_replaced_under_calls() {
    let rig = Rig::new();
    let mine = rig.trust.credentials("manager1", Role::Manager);
    let client = rig.client_of(mine.clone(), Purpose::General);
    let (is_over, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let calls = (0..4).map(|_| {
        let (client, is_over, done) = (client.clone(), is_over.clone(), done.clone());
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let answer = client.call(Method::ReadIndex, "x".into(), LONG).await;
                assert_eq!(answer.unwrap(), "x");
                done.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    let session = session::dial(&client, LONG).await.unwrap();

    let now = SystemTime::now();
    let next = Trust::new();
    let both = format!("{}{}", rig.trust.roots().pem(), next.roots().pem());
    let both = RootCert::from_pem(&both).unwrap();
    let steps = [
        (&rig.trust, rig.trust.roots()),
        (&rig.trust, &both),
        (&next, &both),
        (&next, next.roots()),
    ];
    for (trust, roots) in steps {
        for (credentials, node_id) in [(&rig.credentials, "manager0"), (&mine, "manager1")] {
            let node = trust.node_at(node_id, Role::Manager, now);
            credentials.replace(&node, roots, now).unwrap();
            let before = done.load(Ordering::SeqCst);
            until("more calls", || done.load(Ordering::SeqCst) >= before + 20).await;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    for call in calls {
        call.await.unwrap();
    }
    session.send(FromNode::Statuses(Vec::new())).await.unwrap();
    // The old root is not believed any more, on either side.
    let old = rig.client_of(
        rig.trust.credentials("manager2", Role::Manager),
        Purpose::General,
    );
    let error = old.call(Method::ReadIndex, "x".into(), LONG).await;
    assert!(matches!(error, Err(CallError::Tls { .. })), "{error:?}");
}

#[tokio::test]
async fn a_worker_that_becomes_a_manager_is_one_at_its_next_call() {
    let rig = Rig::new();
    let mine = rig.trust.credentials("node1", Role::Worker);
    let client = rig.client_of(mine.clone(), Purpose::General);
    let error = client.call(Method::ReadIndex, "x".into(), LONG).await;
    assert!(
        matches!(&error, Err(CallError::Refused(refusal)) if refusal.reason == Reason::Role),
        "{error:?}"
    );
    let now = SystemTime::now();
    let node = rig.trust.node_at("node1", Role::Manager, now);
    mine.replace(&node, rig.trust.roots(), now).unwrap();
    let answer = client.call(Method::ReadIndex, "x".into(), LONG).await;
    assert_eq!(answer.unwrap(), "x");
}

#[tokio::test]
async fn calls_that_are_given_up_by_the_thousand_cost_no_connection() {
    let rig = Rig::new();
    let line = Line::to(rig.server.address()).await;
    let credentials = rig.trust.credentials("manager1", Role::Manager);
    let client = Client::new(line.address.to_string(), credentials, Purpose::General);
    client.connect().await.unwrap();
    let body = Bytes::from(vec![7; 20_000]);
    for number in 0..3000 {
        let call = client.call(Method::Propose, body.clone(), LONG);
        // Some are dropped before they are sent, some while their answer is under way.
        let within = Duration::from_micros(number % 600);
        let _ = tokio::time::timeout(within, call).await;
    }
    let answer = client.call(Method::Propose, "x".into(), LONG).await;
    assert_eq!(answer.unwrap(), "x");
    assert_eq!(line.met.load(Ordering::SeqCst), 1, "connections");
}

#[tokio::test]
async fn a_long_message_goes_in_parts() {
    let rig = Rig::new();
    let mut node = session::dial(&rig.worker(), LONG).await.unwrap();
    let report = |number: u32| {
        let mut random = [0; swarmrs_types::id::RANDOM_BYTES];
        random[8..12].copy_from_slice(&number.to_be_bytes());
        let task = swarmrs_types::TaskId(RawId::from_random(random));
        let status = swarmrs_types::object::TaskStatus {
            message: "x".repeat(1000),
            ..Default::default()
        };
        swarmrs_types::assignment::StatusReport { task, status }
    };
    let reports: Vec<_> = (0..4000).map(report).collect();
    let tasks = reports.iter().map(|report| report.task).collect();
    for _ in 0..3 {
        node.send(FromNode::Statuses(reports.clone()))
            .await
            .unwrap();
    }
    for _ in 0..3 {
        assert_eq!(
            node.receive().await,
            Some(ToNode::Acknowledged(Vec::clone(&tasks)))
        );
    }
    // More than a manager takes of a node ends the session.
    let reports: Vec<_> = (0..8000).map(report).collect();
    node.send(FromNode::Statuses(reports)).await.unwrap();
    assert_eq!(node.receive().await, None);
}
