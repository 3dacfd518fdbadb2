//! A worker with a valid certificate that is up to no good, against every call that a manager answers: it speaks for itself
//! alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use serde::Serialize;
use std::process::Command;
use support::crowd::Walker;
use support::host::{Host, PATIENCE, managers, tokens};
use support::{overlay, place_on, service_where, until};
use swarmrs_engine::{LogOptions, Tail};
use swarmrs_node::{ClusterView, LogSelector};
use swarmrs_rpc::message::attachment::{AttachmentAnswer, AttachmentCall, Seen};
use swarmrs_rpc::message::join::{IssueRequest, RenewRequest, Renewed};
use swarmrs_rpc::message::logs::LogLine;
use swarmrs_rpc::{
    CallError, Conversation, FromNode, Hello, Method, Needs, Purpose, Reason, Shape, ToNode,
    from_json, session, to_json,
};
use swarmrs_security::{NodeCertificate, Role as Certified};
use swarmrs_types::assignment::StatusReport;
use swarmrs_types::object::{Attachment, NodeState, TaskStatus};
use swarmrs_types::spec::{NodeDescription, Role};
use swarmrs_types::{Code, TaskId, TaskState, Timestamp};
use tempfile::TempDir;
use tokio::time::timeout;

/// A manager; a worker that runs a task and has a container on a network; and the one that would have what is the other's.
struct Scene {
    manager: Host,
    honest: Walker,
    hostile: Walker,
    task: TaskId,
    lease: Attachment,
}

impl Scene {
    async fn begin() -> Scene {
        let manager = managers(1).await.remove(0);
        let (token, _) = tokens(&manager).await;
        let honest = Walker::join(1, &manager.addr, &token).await;
        let hostile = Walker::join(2, &manager.addr, &token).await;
        honest.walk(vec![manager.addr.clone()]);
        let network = overlay("app", true);
        manager.node.create_network(network).await.unwrap();
        let web = service_where("web", 1, &format!("node.id=={}", honest.id));
        manager.node.create_service(web, None).await.unwrap();
        until("its task", PATIENCE, || honest.running().len() == 1).await;
        let task = *honest.running().first().unwrap();
        let given = attach(&honest, &manager).await;
        let view = manager.node.view().await.unwrap();
        let lease = (**view.state.attachments().get(&given.id).unwrap()).clone();
        assert_eq!(lease.node, honest.id);
        let scene = Scene {
            manager,
            honest,
            hostile,
            task,
            lease,
        };
        scene.manager.sees("it run", |view| scene.runs(view)).await;
        scene
    }

    fn runs(&self, view: &ClusterView) -> bool {
        let task = view.state.tasks().get(&self.task).unwrap();
        task.status.state == TaskState::Running
            && task.desired == TaskState::Running
            && view.status(task).state == TaskState::Running
            && task.node == Some(self.honest.id)
    }

    /// Nothing of the other's is other than it was.
    async fn is_whole(&self, method: Method) {
        let view = self.manager.node.view().await.unwrap();
        let node = view.state.nodes().get(&self.honest.id).unwrap();
        assert_eq!(node.status.state, NodeState::Ready, "{method:?}");
        assert_eq!(node.role, Role::Worker, "{method:?}");
        assert!(self.runs(&view), "{method:?}");
        let lease = view.state.attachments().get(&self.lease.id).unwrap();
        assert_eq!(**lease, self.lease, "{method:?}");
        assert_eq!(view.state.nodes().len(), 3, "{method:?}");
        assert_eq!(view.state.services().len(), 1, "{method:?}");
    }

    async fn call(&self, method: Method, body: &impl Serialize) -> Result<Bytes, CallError> {
        let client = self.hostile.client(&self.manager.addr, method.purpose());
        client.call(method, to_json(body).unwrap(), PATIENCE).await
    }

    async fn converse(&self, of: &Walker, method: Method) -> Result<Conversation, CallError> {
        let client = of.client(&self.manager.addr, method.purpose());
        client.converse(method, PATIENCE).await
    }

    async fn attack(&self, method: Method) {
        match method {
            // What anybody may know.
            Method::RootCertificate => {}
            Method::Issue => self.guesses_a_token().await,
            Method::Renew => self.asks_for_a_certificate_of_another().await,
            Method::Attachment => self.meddles_with_a_lease().await,
            Method::Session => self.reports_on_a_task().await,
            Method::Logs => self.brings_lines_of_a_task().await,
            Method::Leave => {
                self.call(method, &()).await.unwrap();
            }
            _ => {
                assert_eq!(method.needs(), Needs::Manager, "{method:?} is not tried");
                let refused = match method.shape() {
                    Shape::Call => self.call(method, &"x").await.map(drop),
                    Shape::Conversation => self.converse(&self.hostile, method).await.map(drop),
                };
                assert_eq!(refusal(refused), (Reason::Role, Code::PermissionDenied));
            }
        }
    }

    async fn guesses_a_token(&self) {
        let (worker, _) = tokens(&self.manager).await;
        let known = worker.rsplit_once('-').unwrap().0;
        let guess = IssueRequest {
            request: request_of("x", "swarm-manager"),
            token: format!("{known}-{}", "0".repeat(25)).into(),
            ..IssueRequest::default()
        };
        let refused = refusal(self.call(Method::Issue, &guess).await);
        assert_eq!(refused, (Reason::Service, Code::InvalidArgument));
    }

    /// Whatever the request says, the certificate is of the one that asks, in its own role.
    async fn asks_for_a_certificate_of_another(&self) {
        let request = request_of(self.honest.id.as_str(), "swarm-manager");
        let request = RenewRequest { request };
        let renewed = self.call(Method::Renew, &request).await.unwrap();
        let renewed: Renewed = from_json(&renewed).unwrap();
        let certificate = NodeCertificate::from_pem(&renewed.certificate).unwrap();
        let identity = certificate.identity();
        assert_eq!(identity.node_id, self.hostile.id.as_str());
        assert_eq!(identity.role, Certified::Worker);
    }

    async fn meddles_with_a_lease(&self) {
        let lease = self.lease.id;
        let seen = Seen {
            lease,
            name: "/mine".to_owned(),
            active: false,
            own_way_out: true,
        };
        for call in [AttachmentCall::Follow(seen), AttachmentCall::Detach(lease)] {
            let refused = refusal(self.call(Method::Attachment, &call).await);
            assert_eq!(refused, (Reason::Service, Code::PermissionDenied));
        }
        // A container of the same name is another one, on its own node.
        let own = attach(&self.hostile, &self.manager).await;
        assert_eq!(own.node, self.hostile.id);
        assert_ne!(own.id, lease);
    }

    async fn reports_on_a_task(&self) {
        let client = self.hostile.client(&self.manager.addr, Purpose::General);
        let mut end = session::dial(&client, PATIENCE).await.unwrap();
        let hello = Hello {
            description: NodeDescription::default(),
            routes: Vec::new(),
            seen: Default::default(),
        };
        end.send(FromNode::Hello(Box::new(hello))).await.unwrap();
        let report = StatusReport {
            task: self.task,
            status: TaskStatus {
                at: Timestamp::now(),
                state: TaskState::Failed,
                ..TaskStatus::default()
            },
        };
        end.send(FromNode::Statuses(vec![report])).await.unwrap();
        let heard = timeout(PATIENCE, async {
            while let Some(message) = end.receive().await {
                match message {
                    ToNode::Acknowledged(tasks) => return tasks == [self.task],
                    ToNode::Assignments(message) => {
                        let told = format!("{message:?}");
                        assert!(!told.contains(self.task.as_str()), "told of it: {told}");
                    }
                    ToNode::Notice(_) => {}
                }
            }
            false
        });
        assert!(heard.await.unwrap(), "it is not heard out");
    }

    async fn brings_lines_of_a_task(&self) {
        let options = LogOptions {
            stdout: true,
            stderr: true,
            follow: true,
            since: None,
            tail: Tail::All,
            timestamps: false,
        };
        let selected = LogSelector::Task(self.task);
        let mut logs = self.manager.node.logs(selected, options).await.unwrap();
        until("a wish for lines", PATIENCE, || {
            !self.honest.wanted().is_empty()
        })
        .await;
        let ticket = self.honest.wanted()[0].ticket;
        let mut talks = Vec::new();
        // The ticket of the other, known by whatever means.
        for (walker, bytes) in [(&self.hostile, "forged"), (&self.honest, "true")] {
            let mut talk = self.converse(walker, Method::Logs).await.unwrap();
            let line = LogLine {
                is_error: false,
                time_nano: None,
                bytes: bytes.into(),
            };
            // Who is refused may not get as far as its line.
            for frame in [to_json(&ticket).unwrap(), line.frame()] {
                let _ = talk.sender.send(frame).await;
            }
            if walker.id == self.hostile.id {
                let refused = timeout(PATIENCE, talk.receiver.next()).await;
                let refused = refusal(refused.expect("they are taken"));
                assert_eq!(refused, (Reason::Service, Code::NotFound));
            }
            talks.push(talk);
        }
        let line = timeout(PATIENCE, logs.next()).await.unwrap();
        let (task, frame) = line.unwrap();
        assert_eq!((task, &frame.bytes[..]), (self.task, &b"true"[..]));
    }
}

async fn attach(walker: &Walker, manager: &Host) -> Attachment {
    let request = place_on("app", "shell");
    let client = walker.client(&manager.addr, Purpose::General);
    let body = to_json(&AttachmentCall::Attach(request)).unwrap();
    let answer = client.call(Method::Attachment, body, PATIENCE).await;
    let answer: AttachmentAnswer = from_json(&answer.unwrap()).unwrap();
    answer.lease.unwrap()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, CallError>) -> (Reason, Code) {
    match answer {
        Err(CallError::Refused(refusal)) => (refusal.reason, refusal.fault.code),
        other => panic!("no refusal: {other:?}"),
    }
}

/// A request for a certificate of this subject.
fn request_of(name: &str, unit: &str) -> String {
    let place = TempDir::new().unwrap();
    let made = Command::new("openssl")
        .args(["req", "-new", "-newkey", "ec", "-nodes", "-keyout", "key"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", &format!("/CN={name}/OU={unit}")])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_for_itself_alone_whatever_it_calls() {
    let scene = Scene::begin().await;
    let leave_last = |method: &Method| *method == Method::Leave;
    let (last, first): (Vec<_>, Vec<_>) = Method::all().partition(leave_last);
    for method in first.into_iter().chain(last) {
        scene.attack(method).await;
        scene.is_whole(method).await;
    }
    scene.manager.node.stop().await;
}
