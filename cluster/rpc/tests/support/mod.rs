//! A cluster's trust, a server with a service that answers in known ways, and clients for it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod proxy;
pub mod raw;

use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use swarmrs_rpc::message::control::SessionEnd;
use swarmrs_rpc::{
    Caller, Client, Conversation, Credentials, Keepalive, Limits, Method, Purpose, Refusal, Served,
    Server, ServerConfig, Service, session, to_json,
};
use swarmrs_security::{NodeCredentials, PrivateKey, Role, RootCa, RootCert, Subject};
use swarmrs_types::{Code, Fault};
use tokio::runtime::Handle;

/// Long enough for a busy machine, which may stop for a minute.
pub const LONG: Duration = Duration::from_secs(90);
pub const DAY: Duration = Duration::from_secs(24 * 3600);
pub const CLUSTER: &str = "cluster1";

/// A certificate authority.
pub struct Trust {
    pub ca: RootCa,
    pub cluster: &'static str,
}

impl Trust {
    pub fn new() -> Self {
        Self::of(CLUSTER)
    }

    pub fn of(cluster: &'static str) -> Self {
        let ca = RootCa::create(SystemTime::now()).unwrap();
        Trust { ca, cluster }
    }

    pub fn roots(&self) -> &RootCert {
        self.ca.cert()
    }

    /// A node's certificate, valid for an hour from `now`.
    pub fn node_at(&self, node_id: &str, role: Role, now: SystemTime) -> NodeCredentials {
        let key = PrivateKey::generate().unwrap();
        let subject = Subject {
            node_id,
            role,
            cluster_id: self.cluster,
        };
        let validity = Duration::from_secs(3600);
        let request = key.request().unwrap();
        let certificate = self.ca.issue(&request, &subject, validity, now).unwrap();
        NodeCredentials { certificate, key }
    }

    pub fn credentials(&self, node_id: &str, role: Role) -> Credentials {
        let now = SystemTime::now();
        let node = self.node_at(node_id, role, now);
        Credentials::new(&node, self.roots(), now).unwrap()
    }

    pub fn anonymous(&self) -> Credentials {
        Credentials::anonymous(self.roots(), SystemTime::now()).unwrap()
    }
}

/// Answers calls by their body's first word: `fault`, `caller`, `wait`, else the body itself.
pub struct Answers {
    pub root: String,
    /// Calls that wait.
    pub waiting: AtomicUsize,
    /// Bodies that reached the service.
    pub heard: AtomicUsize,
    /// How each session ended, and its line.
    pub sessions_ended: Mutex<Vec<[Option<SessionEnd>; 2]>>,
}

/// Counts one up while it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Service for Answers {
    async fn answer(&self, caller: Caller, method: Method, body: Bytes) -> Result<Bytes, Refusal> {
        self.heard.fetch_add(1, Ordering::SeqCst);
        if method == Method::RootCertificate {
            let pem = self.root.clone();
            return Ok(to_json(&swarmrs_rpc::message::join::Root { pem })?);
        }
        match body.as_ref() {
            b"fault" => Err(Fault::no_such("node", "x").into()),
            b"caller" => {
                let caller = caller.identity.map(|one| one.node_id).unwrap_or_default();
                Ok(caller.into())
            }
            b"thread" => Ok(std::thread::current()
                .name()
                .unwrap_or("")
                .to_owned()
                .into()),
            b"long" => Ok(vec![0; method.answer_limit() + 1].into()),
            b"wait" => {
                let _counted = Counted::new(&self.waiting);
                std::future::pending().await
            }
            _ => Ok(body),
        }
    }

    /// Sends each frame back; refuses at `fault`, leaves at `leave`, panics at `panic`.
    async fn converse(
        &self,
        caller: Caller,
        method: Method,
        mut conversation: Conversation,
    ) -> Result<(), Refusal> {
        let _counted = Counted::new(&self.waiting);
        if method == Method::Session {
            let mut end = session::accept(conversation);
            while let Some(swarmrs_rpc::FromNode::Statuses(reports)) = end.receive().await {
                let tasks = reports.iter().map(|report| report.task).collect();
                let _ = end.send(swarmrs_rpc::ToNode::Acknowledged(tasks)).await;
            }
            let how = [end.ending(), caller.line.ended()];
            self.sessions_ended.lock().unwrap().push(how);
            return Ok(());
        }
        while let Ok(Some(frame)) = conversation.receiver.next().await {
            match frame.as_ref() {
                b"fault" => {
                    return Err(Fault::manager(Code::FailedPrecondition, "enough").into());
                }
                b"leave" => return Ok(()),
                _ => {}
            }
            if conversation.sender.send(frame).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// A server on loopback, and what is needed to reach it.
pub struct Rig {
    pub trust: Trust,
    pub server: Server,
    pub credentials: Credentials,
    pub answers: Arc<Answers>,
    /// Ids of nodes that are no members any more.
    pub removed: Arc<Mutex<BTreeSet<String>>>,
}

pub fn limits() -> Limits {
    Limits::default()
}

impl Rig {
    pub fn new() -> Self {
        Self::with(limits(), Keepalive::default(), Handle::current())
    }

    pub fn with(limits: Limits, keepalive: Keepalive, raft: Handle) -> Self {
        Self::of(Trust::new(), limits, keepalive, raft)
    }

    pub fn of(trust: Trust, limits: Limits, keepalive: Keepalive, raft: Handle) -> Self {
        let answers = Arc::new(Answers {
            root: trust.roots().pem().to_owned(),
            waiting: AtomicUsize::new(0),
            heard: AtomicUsize::new(0),
            sessions_ended: Mutex::default(),
        });
        let removed = Arc::new(Mutex::new(BTreeSet::new()));
        let gone = removed.clone();
        let credentials = trust.credentials("manager0", Role::Manager);
        let config = ServerConfig {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            credentials: credentials.clone(),
            limits,
            keepalive,
            role_of: Arc::new(move |identity| {
                let removed = gone.lock().unwrap().contains(&identity.node_id);
                (!removed).then_some(identity.role)
            }),
        };
        let served = |runtime: Handle| Served {
            service: answers.clone(),
            runtime,
        };
        let server = Server::start(config, served(Handle::current()), served(raft)).unwrap();
        Rig {
            trust,
            server,
            credentials,
            answers,
            removed,
        }
    }

    pub fn address(&self) -> String {
        self.server.address().to_string()
    }

    pub fn client_of(&self, credentials: Credentials, purpose: Purpose) -> Client {
        Client::new(self.address(), credentials, purpose)
    }

    pub fn manager(&self) -> Client {
        let credentials = self.trust.credentials("manager1", Role::Manager);
        self.client_of(credentials, Purpose::General)
    }

    pub fn worker(&self) -> Client {
        let credentials = self.trust.credentials("worker1", Role::Worker);
        self.client_of(credentials, Purpose::General)
    }

    pub fn waiting(&self) -> usize {
        self.answers.waiting.load(Ordering::SeqCst)
    }

    pub fn sessions_ended(&self) -> Vec<[Option<SessionEnd>; 2]> {
        self.answers.sessions_ended.lock().unwrap().clone()
    }

    pub fn heard(&self) -> usize {
        self.answers.heard.load(Ordering::SeqCst)
    }
}

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LONG;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
