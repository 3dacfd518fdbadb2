//! Three managers and 300 sessions over real sockets, most of them at one manager: what its end, and the silence of many
//! at once, do to tasks.
//!
//! The manager that ends is a process of its own, so that `kill -9` is what it says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::crowd::Walker;
use support::{FakeEngine, service_where, until};
use swarmrs_engine::Engine;
use swarmrs_node::{ClusterView, Config, Node};
use swarmrs_types::object::NodeState;
use swarmrs_types::spec::{InitRequest, JoinRequest, ServiceSpec};
use swarmrs_types::{TaskId, TaskState};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

const CROWD: usize = 300;
/// Of them, those that do not begin at the manager that ends.
const ELSEWHERE: usize = 40;
const PATIENCE: Duration = Duration::from_secs(240);
/// Longer than any node may be away: what is not replaced by then will not be.
const SETTLED: Duration = Duration::from_secs(12);
const ORDERS: &str = "SWARMRS_TEST_MANAGER";

/// What the other process is to do, and then what it has done.
#[derive(Serialize, Deserialize)]
struct Orders {
    folder: PathBuf,
    /// Whom it joins, and by which token; none: it makes the swarm.
    join: Option<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Made {
    address: String,
    worker: String,
    manager: String,
}

fn free_address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

async fn init(node: &Node, address: &str) {
    let request = InitRequest {
        listen_addr: address.to_owned(),
        advertise_addr: address.to_owned(),
        ..InitRequest::default()
    };
    node.init(request).await.unwrap();
}

async fn join(node: &Node, address: &str, remote: &str, token: &str) {
    let request = JoinRequest {
        listen_addr: address.to_owned(),
        advertise_addr: address.to_owned(),
        remote_addrs: vec![remote.to_owned()],
        join_token: token.to_owned(),
        ..JoinRequest::default()
    };
    node.join(request).await.unwrap();
}

async fn made(node: &Node, address: &str) -> Made {
    let view = node.view().await.unwrap();
    let tokens = &view.state.cluster().unwrap().join_tokens;
    Made {
        address: address.to_owned(),
        worker: tokens.worker.clone(),
        manager: tokens.manager.clone(),
    }
}

/// No test: the manager that ends. Without orders it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_in_a_process_of_its_own() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let engine = FakeEngine::start("1.41", "inactive");
    let config = Config::new(orders.folder.join("data"));
    let node = Node::start(config, Engine::connect(&engine.socket()))
        .await
        .unwrap();
    let address = free_address();
    match &orders.join {
        None => init(&node, &address).await,
        Some((remote, token)) => join(&node, &address, remote, token).await,
    }
    let made = serde_json::to_vec(&made(&node, &address).await).unwrap();
    fs::write(orders.folder.join("writing"), made).unwrap();
    fs::rename(orders.folder.join("writing"), orders.folder.join("made")).unwrap();
    std::future::pending::<()>().await;
}

/// The process, and what is left of it.
struct Victim {
    child: Child,
    _folder: TempDir,
    made: Made,
}

impl Victim {
    async fn start(join: Option<(String, String)>) -> Victim {
        let folder = TempDir::new().unwrap();
        let orders = Orders {
            folder: folder.path().to_owned(),
            join,
        };
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_manager_in_a_process_of_its_own"])
            .env(ORDERS, serde_json::to_string(&orders).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the other process", PATIENCE, || {
            read_made(folder.path()).is_some()
        })
        .await;
        Victim {
            child,
            made: read_made(folder.path()).unwrap(),
            _folder: folder,
        }
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_made(folder: &Path) -> Option<Made> {
    let bytes = fs::read(folder.join("made")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A manager in this process.
struct Survivor {
    _folder: TempDir,
    _engine: FakeEngine,
    address: String,
    node: Node,
}

impl Survivor {
    async fn start() -> Survivor {
        let folder = TempDir::new().unwrap();
        let engine = FakeEngine::start("1.41", "inactive");
        let config = Config::new(folder.path());
        let node = Node::start(config, Engine::connect(&engine.socket()));
        Survivor {
            node: node.await.unwrap(),
            address: free_address(),
            _engine: engine,
            _folder: folder,
        }
    }

    async fn sees(&self, what: &str, wanted: impl Fn(&ClusterView) -> Result<(), String>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = match self.node.view().await {
                Ok(view) => wanted(&view),
                Err(fault) => Err(fault.to_string()),
            };
            let Err(reason) = seen else { return };
            assert!(Instant::now() < deadline, "{what}: {reason}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A scene is enough work for a machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// All that a test needs: the victim, two survivors, the crowd with one task each.
struct Scene {
    _turn: MutexGuard<'static, ()>,
    victim: Victim,
    survivors: [Survivor; 2],
    crowd: Vec<Walker>,
}

impl Scene {
    /// The victim leads, or follows.
    async fn begin(victim_leads: bool) -> Scene {
        let turn = ONE_AT_A_TIME.lock().await;
        let (one, other) = (Survivor::start().await, Survivor::start().await);
        let victim = match victim_leads {
            true => {
                let victim = Victim::start(None).await;
                let (remote, token) = (&victim.made.address, &victim.made.manager);
                join(&one.node, &one.address, remote, token).await;
                victim
            }
            false => {
                init(&one.node, &one.address).await;
                let token = made(&one.node, &one.address).await.manager;
                Victim::start(Some((one.address.clone(), token))).await
            }
        };
        let (remote, token) = (&victim.made.address, &victim.made.manager);
        join(&other.node, &other.address, remote, token).await;
        let mut scene = Scene {
            _turn: turn,
            crowd: gather(&victim.made).await,
            victim,
            survivors: [one, other],
        };
        scene.walk().await;
        scene
    }

    fn managers(&self) -> Vec<String> {
        let survivors = self.survivors.iter().map(|one| one.address.clone());
        let first = [self.victim.made.address.clone()];
        first.into_iter().chain(survivors).collect()
    }

    async fn walk(&mut self) {
        let managers = self.managers();
        for (number, walker) in self.crowd.iter().enumerate() {
            let mut order = managers.clone();
            if number < ELSEWHERE {
                order.rotate_left(1 + number % 2);
            } else if number % 2 == 0 {
                order[1..].reverse();
            }
            walker.walk(order);
        }
        let one = &self.survivors[0];
        one.sees("all nodes ready", all_are_ready).await;
        let web = spread("web", CROWD as u64);
        one.node.create_service(web, None).await.unwrap();
        self.runs(CROWD).await;
    }

    /// Waits until so many tasks are seen running at each survivor.
    async fn runs(&self, count: usize) {
        for one in &self.survivors {
            one.sees("all tasks run", |view| match running(view).len() {
                found if found == count => Ok(()),
                found => Err(format!("{found} run")),
            })
            .await;
        }
    }
}

async fn gather(made: &Made) -> Vec<Walker> {
    let mut crowd = Vec::new();
    for from in (0..CROWD).step_by(20) {
        let some = from..CROWD.min(from + 20);
        let joining = some.map(|number| Walker::join(number, &made.address, &made.worker));
        crowd.extend(join_all(joining).await);
    }
    crowd
}

fn spread(name: &str, replicas: u64) -> ServiceSpec {
    service_where(name, replicas, "node.role==worker")
}

fn all_are_ready(view: &ClusterView) -> Result<(), String> {
    let ready = count(view, &NodeState::Ready);
    match ready == CROWD + 3 {
        true => Ok(()),
        false => Err(format!("{ready} are ready")),
    }
}

fn count(view: &ClusterView, state: &NodeState) -> usize {
    let nodes = view.state.nodes().iter();
    nodes.filter(|node| node.status.state == *state).count()
}

fn running(view: &ClusterView) -> BTreeSet<TaskId> {
    let tasks = view.state.tasks().iter();
    let running = tasks.filter(|task| task.status.state == TaskState::Running);
    running.map(|task| task.id).collect()
}

/// Every task that there is or was.
async fn all_tasks(of: &Survivor) -> BTreeSet<TaskId> {
    let view = of.node.view().await.unwrap();
    view.state.tasks().iter().map(|task| task.id).collect()
}

async fn kill_the_manager_of_most(victim_leads: bool) {
    let mut scene = Scene::begin(victim_leads).await;
    let one = &scene.survivors[0];
    let before = all_tasks(one).await;
    let at_victim = |walker: &&Walker| walker.at().as_ref() == Some(&scene.victim.made.address);
    let there = scene.crowd.iter().filter(at_victim).count();
    // On a machine with no time to spare some have moved on by then.
    assert!(there > CROWD / 2, "{there} sessions there");

    scene.victim.kill();
    let killed = Instant::now();
    let gone = scene.victim.made.address.clone();
    until("all sessions elsewhere", PATIENCE, || {
        let elsewhere = |walker: &Walker| walker.at().is_some_and(|at| at != gone);
        scene.crowd.iter().all(elsewhere)
    })
    .await;
    println!(
        "{there} sessions are elsewhere after {:?}",
        killed.elapsed()
    );
    // Statuses flow, whichever manager each node has found.
    let one = &scene.survivors[0];
    let more = spread("more", 30);
    one.node.create_service(more, None).await.unwrap();
    scene.runs(CROWD + 30).await;
    println!("30 more tasks run after {:?}", killed.elapsed());
    tokio::time::sleep(SETTLED.saturating_sub(killed.elapsed())).await;
    let after = all_tasks(&scene.survivors[1]).await;
    let replaced: Vec<_> = before.difference(&after).collect();
    assert_eq!((replaced.len(), after.len()), (0, CROWD + 30));
    scene.runs(CROWD + 30).await;
    let view = scene.survivors[0].node.view().await.unwrap();
    let workers = view
        .state
        .nodes()
        .iter()
        .filter(|node| node.raft_id.is_none());
    let lost = workers.filter(|node| node.status.state != NodeState::Ready);
    assert_eq!(lost.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_that_holds_most_sessions_is_killed_and_no_task_is_replaced() {
    kill_the_manager_of_most(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_holds_most_sessions_is_killed_and_no_task_is_replaced() {
    kill_the_manager_of_most(false).await;
}

/// A third of the nodes fall silent together: a network in trouble, not their loss. A few are lost as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_that_is_silent_at_once_keeps_its_tasks_and_a_few_are_replaced() {
    let scene = Scene::begin(true).await;
    let one = &scene.survivors[0];
    let before = all_tasks(one).await;
    let silent = &scene.crowd[..CROWD / 2];
    silent.iter().for_each(Walker::stop);
    one.sees("half of the nodes unknown", |view| {
        match count(view, &NodeState::Unknown) == silent.len() {
            true => Ok(()),
            false => Err(format!("{} are", count(view, &NodeState::Unknown))),
        }
    })
    .await;
    let managers = scene.managers();
    silent.iter().for_each(|one| one.walk(managers.clone()));
    one.sees("all back", all_are_ready).await;
    scene.runs(CROWD).await;
    assert_eq!(all_tasks(one).await, before);

    let lost = &scene.crowd[..2];
    let orphans: usize = lost.iter().map(|walker| walker.running().len()).sum();
    assert_eq!(orphans, 2);
    lost.iter().for_each(Walker::stop);
    one.sees("replacements", |view| {
        let new = running(view).difference(&before).count();
        match new == orphans && count(view, &NodeState::Down) == 2 {
            true => Ok(()),
            false => Err(format!("{new} of {orphans}")),
        }
    })
    .await;
}
