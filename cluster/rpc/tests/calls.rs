//! Calls, conversations and sessions between good nodes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use support::{LONG, Rig, limits, until};
use swarmrs_rpc::message::control::SessionEnd;
use swarmrs_rpc::{
    CallError, Client, FromNode, Keepalive, Method, Purpose, Reason, Refusal, ToNode, fetch_root,
    session,
};
use swarmrs_security::{Role, RootDigest};
use swarmrs_types::{Code, Fault};

#[tokio::test]
async fn a_call_brings_the_answer() {
    let rig = Rig::new();
    let client = rig.manager();
    for length in [0, 1, 100_000, Method::Propose.request_limit()] {
        let body = Bytes::from(vec![7; length.min(Method::Propose.answer_limit())]);
        let answer = client.call(Method::Propose, body.clone(), LONG).await;
        assert_eq!(answer.unwrap(), body);
    }
    let answer = client.call(Method::Propose, "caller".into(), LONG).await;
    assert_eq!(answer.unwrap(), "manager1");
}

#[tokio::test]
async fn a_fault_crosses_the_wire_whole() {
    let rig = Rig::new();
    let answer = rig.worker().call(Method::Renew, "fault".into(), LONG).await;
    let fault = Fault::no_such("node", "x");
    assert_eq!(answer, Err(CallError::Refused(fault.into())));
}

#[tokio::test]
async fn a_newcomer_finds_the_root_by_its_digest_and_joins_without_a_certificate() {
    let rig = Rig::new();
    let digest = rig.trust.roots().digest();
    let root = fetch_root(&rig.address(), digest, LONG).await.unwrap();
    assert_eq!(&root, rig.trust.roots());
    let client = rig.client_of(rig.trust.anonymous(), Purpose::General);
    let answer = client.call(Method::Issue, "caller".into(), LONG).await;
    assert_eq!(answer.unwrap(), "");

    let expected = RootDigest::of(b"another");
    let answer = fetch_root(&rig.address(), expected, LONG).await;
    let found = digest;
    assert_eq!(answer, Err(CallError::WrongRoot { expected, found }));
}

#[tokio::test]
async fn a_conversation_goes_both_ways_until_one_side_ends_it() {
    let rig = Rig::new();
    let client = rig.worker();
    let mut talk = client.converse(Method::Logs, LONG).await.unwrap();
    for frame in ["one", "two", ""] {
        talk.sender.send(frame.into()).await.unwrap();
        assert_eq!(talk.receiver.next().await.unwrap().unwrap(), frame);
    }
    talk.sender.send("leave".into()).await.unwrap();
    assert_eq!(talk.receiver.next().await, Ok(None));

    let mut talk = client.converse(Method::Logs, LONG).await.unwrap();
    talk.sender.send("fault".into()).await.unwrap();
    let enough = Refusal::from(Fault::manager(Code::FailedPrecondition, "enough"));
    assert_eq!(talk.receiver.next().await, Err(CallError::Refused(enough)));

    let talk = client.converse(Method::Logs, LONG).await.unwrap();
    until("a conversation", || rig.waiting() == 1).await;
    drop(talk);
    until("the end of it", || rig.waiting() == 0).await;
}

#[tokio::test]
async fn a_session_ends_for_both_when_one_ends_it() {
    let rig = Rig::new();
    let worker = rig.worker();
    let mut node = session::dial(&worker, LONG).await.unwrap();
    node.send(FromNode::Statuses(Vec::new())).await.unwrap();
    assert_eq!(node.receive().await, Some(ToNode::Acknowledged(Vec::new())));
    until("a session", || rig.waiting() == 1).await;
    drop(node);
    until("the end of it", || rig.waiting() == 0).await;
    assert_eq!(
        rig.sessions_ended(),
        [[Some(SessionEnd::Goodbye), None]],
        "the service goes on to its own end"
    );

    let mut node = session::dial(&rig.worker(), LONG).await.unwrap();
    drop(rig);
    assert_eq!(node.receive().await, None);
}

#[tokio::test]
async fn raft_is_served_on_its_own_runtime() {
    let runtime = std::thread::spawn(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("raft")
            .enable_all()
            .build()
            .unwrap()
    });
    let runtime = runtime.join().unwrap();
    let rig = Rig::with(limits(), Keepalive::default(), runtime.handle().clone());
    let credentials = rig.trust.credentials("manager1", Role::Manager);
    let client = rig.client_of(credentials, Purpose::Raft);
    for _ in 0..3 {
        let answer = client.call(Method::RaftVote, "thread".into(), LONG).await;
        assert_eq!(answer.unwrap(), "raft");
    }
    let answer = client.call(Method::Propose, "thread".into(), LONG).await;
    let Err(CallError::Refused(refusal)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.reason, Reason::UnknownMethod);
    let client = rig.manager();
    let answer = client.call(Method::RaftVote, "thread".into(), LONG).await;
    assert!(matches!(answer, Err(CallError::Refused(_))), "{answer:?}");
    runtime.shutdown_background();
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let rig = Rig::new();
    let client = rig.manager();
    let calls = (0..3000).map(|number| {
        let client: Client = client.clone();
        tokio::spawn(async move {
            let body = Bytes::from(format!("{number}"));
            let answer = client.call(Method::ReadIndex, body.clone(), LONG).await;
            assert_eq!(answer.unwrap(), body);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(rig.heard(), 3000);
}

#[tokio::test]
async fn who_gives_up_stops_the_one_that_answers() {
    let rig = Rig::new();
    let client = rig.manager();
    let call = client.call(Method::Propose, "wait".into(), LONG);
    let call = tokio::time::timeout(std::time::Duration::from_secs(2), call);
    assert!(call.await.is_err());
    until("its end", || rig.waiting() == 0).await;
    let within = std::time::Duration::from_millis(300);
    let call = client.call(Method::Propose, "wait".into(), within).await;
    assert_eq!(call, Err(CallError::TimedOut(within)));
    until("its end", || rig.waiting() == 0).await;
    let answer = client.call(Method::Propose, "on".into(), LONG).await;
    assert_eq!(answer.unwrap(), "on");
}

/// As the thread of the consensus core is, which must not wait for sockets.
#[test]
fn a_caller_needs_no_io_of_its_own() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(async { Rig::new() });
    let credentials = rig.trust.credentials("manager1", Role::Manager);
    let client = rig
        .client_of(credentials, Purpose::Raft)
        .on(runtime.handle().clone());
    let bare = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let body = Bytes::from(vec![7; 1_000_000]);
    let call = client.call(Method::RaftAppend, body, LONG);
    let answer = bare.block_on(call);
    // More than the method answers: that it came is enough.
    assert!(matches!(answer, Err(CallError::Refused(_))), "{answer:?}");
    let answer = bare.block_on(client.call(Method::RaftVote, "x".into(), LONG));
    assert_eq!(answer.unwrap(), "x");
}
