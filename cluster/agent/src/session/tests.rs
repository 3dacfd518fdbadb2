//! Sessions against a manager's end in the same process.

use super::*;
use crate::executor::fake::{Fake, assignment, task};
use swarmrs_rpc::session::local;
use swarmrs_rpc::{AssignmentSet, AssignmentsMessage, ManagerEnd, Position};
use swarmrs_types::TaskState;
use swarmrs_types::object::TaskStatus;
use tokio::sync::Mutex;

const SECOND: Duration = Duration::from_secs(1);

/// Hands out the sessions a test has made.
struct Opened(Mutex<mpsc::UnboundedReceiver<NodeEnd>>);

#[async_trait]
impl Transport for Opened {
    async fn open(&self) -> NodeEnd {
        match self.0.lock().await.recv().await {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }
}

struct Scene {
    ends: mpsc::UnboundedSender<NodeEnd>,
    orders: mpsc::UnboundedReceiver<Orders>,
    reporter: Arc<Reporter>,
}

fn scene() -> Scene {
    let (ends, opened) = mpsc::unbounded_channel();
    let (sender, orders) = mpsc::unbounded_channel();
    let reporter: Arc<Reporter> = Arc::default();
    let transport = Box::new(Opened(Mutex::new(opened)));
    let executor = Arc::new(Fake::default());
    tokio::spawn(Sessions::new(transport, executor, reporter.clone(), sender, None).run());
    Scene {
        ends,
        orders,
        reporter,
    }
}

impl Scene {
    /// A session that has said hello.
    async fn session(&self) -> ManagerEnd {
        let (node, mut manager) = local();
        self.ends.send(node).unwrap();
        assert!(matches!(hear(&mut manager).await, Some(FromNode::Hello(_))));
        manager
    }

    async fn orders(&mut self) -> Orders {
        let orders = tokio::time::timeout(Duration::from_secs(10), self.orders.recv());
        orders.await.unwrap().unwrap()
    }
}

async fn hear(manager: &mut ManagerEnd) -> Option<FromNode> {
    let heard = tokio::time::timeout(Duration::from_secs(10), manager.receive());
    heard.await.expect("the node says nothing")
}

fn complete(index: u64) -> ToNode {
    said(index, false)
}

/// By a manager that hears no leader.
fn leaderless(index: u64) -> ToNode {
    said(index, true)
}

fn said(index: u64, leaderless: bool) -> ToNode {
    ToNode::Assignments(AssignmentsMessage {
        position: Position { term: 1, index },
        leaderless,
        set: AssignmentSet::Complete(vec![assignment(1, TaskState::Running)]),
        payloads: Default::default(),
        facts: Default::default(),
    })
}

fn reported(message: Option<FromNode>) -> Vec<TaskState> {
    match message {
        Some(FromNode::Statuses(reports)) => {
            reports.iter().map(|report| report.status.state).collect()
        }
        other => panic!("not statuses: {other:?}"),
    }
}

fn status(state: TaskState) -> TaskStatus {
    TaskStatus {
        state,
        ..TaskStatus::default()
    }
}

#[tokio::test]
async fn assignments_go_to_the_worker_and_statuses_come_back() {
    let mut scene = scene();
    let mut manager = scene.session().await;
    manager.send(complete(1)).await.unwrap();
    assert_eq!(scene.orders().await.start.len(), 1);
    scene.reporter.report(task(1), status(TaskState::Running));
    assert_eq!(reported(hear(&mut manager).await), [TaskState::Running]);
    manager
        .send(ToNode::Acknowledged(vec![task(1)]))
        .await
        .unwrap();
    manager.send(complete(2)).await.unwrap();
    scene.orders().await;
    // The managers still show the task as assigned: they are told again.
    assert_eq!(reported(hear(&mut manager).await), [TaskState::Running]);
}

#[tokio::test]
async fn what_was_not_acknowledged_is_told_in_the_next_session() {
    let scene = scene();
    let mut manager = scene.session().await;
    scene.reporter.report(task(1), status(TaskState::Failed));
    assert_eq!(reported(hear(&mut manager).await), [TaskState::Failed]);
    drop(manager);
    let mut manager = scene.session().await;
    assert_eq!(reported(hear(&mut manager).await), [TaskState::Failed]);
}

#[tokio::test]
async fn a_manager_behind_what_the_node_has_seen_is_left() {
    let mut scene = scene();
    let manager = scene.session().await;
    manager.send(complete(5)).await.unwrap();
    scene.orders().await;
    manager.send(complete(4)).await.unwrap();
    let mut old = manager;
    assert_eq!(hear(&mut old).await, None);
    let manager = scene.session().await;
    manager.send(complete(5)).await.unwrap();
    assert!(scene.orders().await.start.is_empty());
}

#[tokio::test]
async fn whom_the_node_trusts_is_said_at_once_when_it_changes() {
    let (ends, opened) = mpsc::unbounded_channel();
    let (orders, _ordered) = mpsc::unbounded_channel();
    let transport = Box::new(Opened(Mutex::new(opened)));
    let executor = Arc::new(Fake::default());
    let mut sessions = Sessions::new(transport, executor, Arc::default(), orders, None);
    let (trust, trusted) = watch::channel(TlsInfo::default());
    sessions.tls_info = Some(trusted);
    tokio::spawn(sessions.run());
    let (node, mut manager) = local();
    ends.send(node).unwrap();
    assert!(matches!(hear(&mut manager).await, Some(FromNode::Hello(_))));
    let another = TlsInfo {
        trust_root: "another".to_owned(),
        ..TlsInfo::default()
    };
    trust.send_replace(another.clone());
    let Some(FromNode::Hello(hello)) = hear(&mut manager).await else {
        panic!("nothing was said");
    };
    assert_eq!(hello.description.tls_info, another);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_had_no_manager_for_long_says_so_to_its_worker() {
    let mut scene = scene();
    let manager = scene.session().await;
    manager.send(complete(1)).await.unwrap();
    assert!(!scene.orders().await.alone);
    // Another one in time: nothing happens.
    drop(manager);
    tokio::time::sleep(ALONE / 2).await;
    let manager = scene.session().await;
    manager.send(complete(2)).await.unwrap();
    assert!(!scene.orders().await.alone);
    tokio::time::sleep(2 * ALONE).await;
    assert!(scene.orders.try_recv().is_err());
    drop(manager);
    let lost = Instant::now();
    let told = tokio::time::timeout(2 * ALONE, scene.orders.recv());
    assert!(told.await.unwrap().unwrap().alone);
    assert!(lost.elapsed() >= ALONE);
    // Once.
    tokio::time::sleep(2 * ALONE).await;
    assert!(scene.orders.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_manager_without_a_leader_is_none() {
    let mut scene = scene();
    let manager = scene.session().await;
    manager.send(leaderless(1)).await.unwrap();
    assert!(!scene.orders().await.alone);
    tokio::time::sleep(ALONE / 2).await;
    manager.send(complete(1)).await.unwrap();
    assert!(!scene.orders().await.alone);
    tokio::time::sleep(2 * ALONE).await;
    assert!(scene.orders.try_recv().is_err());
    manager.send(leaderless(1)).await.unwrap();
    assert!(!scene.orders().await.alone);
    let told = tokio::time::timeout(2 * ALONE, scene.orders.recv());
    assert!(told.await.unwrap().unwrap().alone);
}

#[tokio::test(start_paused = true)]
async fn managers_without_a_leader_are_none_however_often_they_serve() {
    let mut scene = scene();
    let manager = scene.session().await;
    manager.send(complete(1)).await.unwrap();
    scene.orders().await;
    drop(manager);
    let lost = Instant::now();
    // Each lets the node go after a second.
    while lost.elapsed() < 2 * ALONE {
        let manager = scene.session().await;
        manager.send(leaderless(1)).await.unwrap();
        while let Ok(orders) = tokio::time::timeout(SECOND, scene.orders.recv()).await {
            if orders.unwrap().alone {
                assert!(lost.elapsed() >= ALONE && lost.elapsed() < ALONE + 2 * SECOND);
                return;
            }
        }
    }
    panic!("the worker is not told");
}
