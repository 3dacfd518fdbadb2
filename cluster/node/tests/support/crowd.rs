//! Nodes on paper: each has its certificate and its session over real sockets, says what an agent says, and runs nothing.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use swarmrs_rpc::message::join::{IssueRequest, Issued};
use swarmrs_rpc::message::logs::LogsNotice;
use swarmrs_rpc::{
    AssignmentSet, AssignmentsMessage, CallError, Client, Credentials, FromNode, Hello, Method,
    NodeEnd, Notice, Position, Purpose, ToNode, fetch_root, from_json, session, to_json,
};
use swarmrs_security::{JoinToken, NodeCertificate, NodeCredentials, PrivateKey, RootCert};
use swarmrs_types::assignment::{Assignment, StatusReport};
use swarmrs_types::object::TaskStatus;
use swarmrs_types::spec::NodeDescription;
use swarmrs_types::{NodeId, TaskId, TaskState, Timestamp};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);
/// Between two rounds in which no manager took the session.
const AGAIN: Duration = Duration::from_millis(100);

/// One of the crowd.
pub struct Walker {
    pub id: NodeId,
    credentials: Credentials,
    shared: Arc<Shared>,
    walking: Mutex<Option<JoinHandle<()>>>,
}

/// What is seen of it from outside.
#[derive(Default)]
struct Shared {
    /// Where managers are, the one that it asks first at the front.
    managers: Mutex<Vec<String>>,
    /// Whom it speaks to.
    at: Mutex<Option<String>>,
    tasks: Mutex<BTreeMap<TaskId, TaskState>>,
    seen: Mutex<Position>,
    /// Whether the manager heard a leader that gave it its assignments last.
    led: Mutex<Option<bool>>,
    /// How far it takes what is to run; none: until it runs.
    pause: Mutex<Option<TaskState>>,
    /// The log lines that it was asked for.
    wanted: Mutex<Vec<LogsNotice>>,
}

impl Walker {
    /// Gets a certificate for this token from the manager there.
    pub async fn join(number: usize, manager: &str, token: &str) -> Walker {
        let key = PrivateKey::generate().unwrap();
        let request = request(&format!("walker{number}"), &key, token);
        let issued = issue(manager, &request).await.unwrap();
        let roots = RootCert::from_pem(&issued.roots).unwrap();
        let certificate = NodeCertificate::from_pem(&issued.certificate).unwrap();
        let node = NodeCredentials { certificate, key };
        Walker {
            id: issued.node_id.parse().unwrap(),
            credentials: Credentials::new(&node, &roots, SystemTime::now()).unwrap(),
            shared: Arc::default(),
            walking: Mutex::default(),
        }
    }

    /// What it shows from its next handshake on.
    pub fn show(&self, node: &NodeCredentials, roots: &RootCert) {
        let replaced = self.credentials.replace(node, roots, SystemTime::now());
        replaced.unwrap();
    }

    /// A way to call that manager itself.
    pub fn client(&self, manager: &str, purpose: Purpose) -> Client {
        Client::new(manager, self.credentials.clone(), purpose)
    }

    /// Opens sessions until it is stopped: the first one at the first of these managers, whatever that takes.
    pub fn walk(&self, managers: Vec<String>) {
        *self.shared.managers.lock().unwrap() = managers;
        let hello = NodeDescription {
            hostname: self.id.to_string(),
            ..NodeDescription::default()
        };
        let walk = walk(self.credentials.clone(), self.shared.clone(), hello);
        *self.walking.lock().unwrap() = Some(tokio::spawn(walk));
    }

    /// What is to run comes no further than this from now on.
    pub fn pause_at(&self, state: Option<TaskState>) {
        *self.shared.pause.lock().unwrap() = state;
    }

    /// It ends its session, and does not come back.
    pub fn stop(&self) {
        if let Some(walking) = self.walking.lock().unwrap().take() {
            walking.abort();
        }
        *self.shared.at.lock().unwrap() = None;
    }

    /// The manager that it has a session with.
    pub fn at(&self) -> Option<String> {
        self.shared.at.lock().unwrap().clone()
    }

    /// Whether the manager heard a leader by which it knows what to run.
    pub fn led(&self) -> Option<bool> {
        *self.shared.led.lock().unwrap()
    }

    /// The log lines that it was asked for.
    pub fn wanted(&self) -> Vec<LogsNotice> {
        self.shared.wanted.lock().unwrap().clone()
    }

    /// What it runs.
    pub fn running(&self) -> BTreeSet<TaskId> {
        let tasks = self.shared.tasks.lock().unwrap();
        let running = tasks
            .iter()
            .filter(|(_, state)| **state == TaskState::Running);
        running.map(|(task, _)| *task).collect()
    }
}

/// What asks for a certificate by this token.
pub fn request(name: &str, key: &PrivateKey, token: &str) -> IssueRequest {
    IssueRequest {
        request: key.request().unwrap().pem().to_owned(),
        token: token.into(),
        name: name.to_owned(),
        ..IssueRequest::default()
    }
}

/// Asks the manager there, as whoever has no certificate yet.
pub async fn issue(manager: &str, request: &IssueRequest) -> Result<Issued, CallError> {
    let token = JoinToken::parse(&request.token).unwrap();
    let root = fetch_root(manager, token.digest(), PATIENCE).await.unwrap();
    let stranger = Credentials::anonymous(&root, SystemTime::now()).unwrap();
    let client = Client::new(manager, stranger, Purpose::General);
    let body = to_json(request).unwrap();
    let issued = client.call(Method::Issue, body, PATIENCE).await?;
    Ok(from_json(&issued).unwrap())
}

impl Drop for Walker {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn walk(credentials: Credentials, shared: Arc<Shared>, description: NodeDescription) {
    let mut is_first = true;
    loop {
        let mut managers = shared.managers.lock().unwrap().clone();
        if is_first {
            managers.truncate(1);
        }
        for address in managers {
            let client = Client::new(&address, credentials.clone(), Purpose::General);
            if let Ok(end) = session::dial(&client, Duration::from_secs(5)).await {
                is_first = false;
                hold(end, &address, &shared, &description).await;
                *shared.at.lock().unwrap() = None;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn hold(mut end: NodeEnd, address: &str, shared: &Shared, description: &NodeDescription) {
    let hello = Hello {
        description: description.clone(),
        routes: Vec::new(),
        seen: *shared.seen.lock().unwrap(),
    };
    if end.send(FromNode::Hello(Box::new(hello))).await.is_err() {
        return;
    }
    while let Some(message) = end.receive().await {
        let reports = match message {
            ToNode::Assignments(message) => {
                *shared.at.lock().unwrap() = Some(address.to_owned());
                *shared.led.lock().unwrap() = Some(!message.leaderless);
                follow(message, shared)
            }
            ToNode::Notice(Notice::Managers(known)) => {
                let mut managers = shared.managers.lock().unwrap();
                let new = known.into_iter().map(|one| one.address);
                let new: Vec<String> = new.filter(|one| !managers.contains(one)).collect();
                managers.extend(new);
                continue;
            }
            ToNode::Notice(Notice::Logs(wanted)) => {
                shared.wanted.lock().unwrap().push(wanted);
                continue;
            }
            ToNode::Notice(_) | ToNode::Acknowledged(_) => continue,
        };
        if !reports.is_empty() && end.send(FromNode::Statuses(reports)).await.is_err() {
            return;
        }
    }
}

/// What is wanted is so at once.
fn follow(message: AssignmentsMessage, shared: &Shared) -> Vec<StatusReport> {
    let mut seen = shared.seen.lock().unwrap();
    assert!(message.position.index >= seen.index, "back in time");
    *seen = message.position;
    let mut tasks = shared.tasks.lock().unwrap();
    let wanted: Vec<Assignment> = match message.set {
        AssignmentSet::Complete(all) => {
            let told: BTreeSet<TaskId> = all.iter().map(|one| one.order.task).collect();
            tasks.retain(|task, _| told.contains(task));
            all
        }
        AssignmentSet::Incremental(diff) => {
            for gone in &diff.remove {
                tasks.remove(gone);
            }
            diff.update
        }
    };
    let pause = *shared.pause.lock().unwrap();
    let mut reports = Vec::new();
    for one in wanted {
        let state = match one.desired {
            TaskState::Running => pause.unwrap_or(TaskState::Running),
            TaskState::Ready => TaskState::Ready,
            _ => TaskState::Shutdown,
        };
        let known = tasks.insert(one.order.task, state);
        if known != Some(state) || one.status.state != state {
            reports.push(StatusReport {
                task: one.order.task,
                status: TaskStatus {
                    at: Timestamp::now(),
                    state,
                    ..TaskStatus::default()
                },
            });
        }
    }
    reports
}
