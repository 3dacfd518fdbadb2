//! The agent against a real dockerd, which the test starts for itself, and a manager that the test plays.
//!
//! One engine serves all the scenes, one after the other: starting it costs more than they do. An agent is killed by
//! dropping it in the middle of whatever it does, which leaves the engine as a SIGKILL of the daemon would.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

mod dockerd;
mod manager;

use dockerd::{Dockerd, IMAGE};
use futures_util::StreamExt;
use manager::Manager;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarmrs_agent::{Agent, Config, Handle, Networks};
use swarmrs_engine::{ContainerState, ContainerStatus, Engine, Filters, LogOptions};
use swarmrs_types::assignment::Order;
use swarmrs_types::object::TaskStatus;
use swarmrs_types::spec::{ContainerSpec, Labels, PortConfig, Protocol, PublishMode, TaskSpec};
use swarmrs_types::{NodeId, TaskId, TaskState};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_runs_tasks_on_a_live_engine() {
    let mut dockerd = Dockerd::start();
    let mut node = Node::new(dockerd.socket());
    node.start();
    a_task_runs_with_a_free_port_and_ends_as_wanted(&node).await;
    an_exit_code_is_the_tasks_failure(&node).await;
    an_image_that_is_nowhere_is_a_rejection_with_the_pulls_error(&node).await;
    a_bind_without_a_source_is_a_rejection(&node).await;
    a_health_check_holds_a_task_back_and_ends_it(&node).await;
    output_is_followed_from_before_the_start(&node).await;
    a_running_container_is_adopted_as_it_is(&mut node).await;
    an_exit_during_the_agents_absence_is_told(&mut node).await;
    an_agent_killed_at_any_moment_makes_no_second_container(&mut node).await;
    strangers_are_left_alone_and_the_forgotten_removed(&mut node).await;
    twenty_tasks_start_side_by_side(&node).await;
    the_engine_may_go_and_come_back(&node, &mut dockerd).await;
    leaving_removes_every_container(node).await;
}

/// A node whose agent comes and goes.
struct Node {
    engine: Engine,
    manager: Manager,
    data: TempDir,
    agent: Option<Handle>,
}

impl Node {
    fn new(socket: PathBuf) -> Self {
        Node {
            engine: Engine::connect(&socket),
            manager: Manager::default(),
            data: tempfile::tempdir().unwrap(),
            agent: None,
        }
    }

    fn start(&mut self) {
        let data = self.data.path().to_owned();
        let exec = data.join("exec");
        let networks = Arc::new(Networks::without_plane(self.engine.clone()));
        let config = Config::new(node_id(), data, exec, self.engine.clone(), networks);
        self.agent = Some(Agent::start(config, self.manager.clone()).unwrap());
    }

    async fn kill(&mut self) {
        self.agent.take().unwrap().shutdown().await;
    }

    /// Starts a task and waits until it is there.
    async fn run(&self, order: &Order, state: TaskState) -> TaskStatus {
        self.manager.want(order, TaskState::Running);
        self.manager.told(order.task, state).await
    }

    async fn container(&self, order: &Order) -> ContainerState {
        self.engine.inspect_container(&order.name).await.unwrap()
    }

    /// Forgets a task and waits until its container is gone.
    async fn remove(&self, order: &Order) {
        self.manager.forget(order.task);
        self.gone(&order.name).await;
    }

    async fn gone(&self, name: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.engine.inspect_container(name).await.is_ok() {
            assert!(Instant::now() < end, "{name} is still there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The containers of this node's tasks.
    async fn ours(&self) -> Vec<String> {
        let filters = Filters::new().label(format!("com.docker.swarm.node.id={}", node_id()));
        let listed = self.engine.list_containers(&filters, true).await.unwrap();
        listed.into_iter().flat_map(|one| one.names).collect()
    }
}

fn node_id() -> NodeId {
    format!("{:0>25}", "node").parse().unwrap()
}

fn task(n: u32) -> TaskId {
    format!("{n:025}").parse().unwrap()
}

/// A task that runs a shell line and stops at once when asked to.
fn order(n: u32, line: &str) -> Order {
    Order {
        task: task(n),
        name: format!("web.{n}.{}", task(n)),
        slot: n.into(),
        node: node_id(),
        service: format!("{:0>25}", "web").parse().unwrap(),
        service_name: "web".into(),
        service_labels: Labels::new(),
        spec: TaskSpec {
            container_spec: Some(ContainerSpec {
                image: IMAGE.into(),
                command: ["sh", "-c", line].map(str::to_owned).into(),
                stop_signal: "SIGKILL".into(),
                ..ContainerSpec::default()
            }),
            ..TaskSpec::default()
        },
        ports: Vec::new(),
        resources: Vec::new(),
        networks: Vec::new(),
        node_local: Vec::new(),
        registry_auth: None,
    }
}

fn with(mut order: Order, fields: Value) -> Order {
    let spec = order.spec.container_spec.as_ref().unwrap();
    let mut spec = serde_json::to_value(spec).unwrap();
    spec.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    order.spec.container_spec = Some(serde_json::from_value(spec).unwrap());
    order
}

async fn a_task_runs_with_a_free_port_and_ends_as_wanted(node: &Node) {
    let mut order = order(1, "exec sleep 1000");
    order.ports = vec![PortConfig {
        name: "http".into(),
        target_port: 80,
        protocol: Some(Protocol::Tcp),
        publish_mode: Some(PublishMode::Host),
        ..PortConfig::default()
    }];
    let status = node.run(&order, TaskState::Running).await;
    let container = node.container(&order).await;
    let shown = status.container.unwrap();
    assert_eq!((shown.id, shown.pid), (container.id, container.pid));
    assert_eq!(
        (status.message.as_str(), status.ports.len()),
        ("started", 1)
    );
    let port = &status.ports[0];
    assert!(port.published_port > 0 && port.name == "http" && port.target_port == 80);
    node.manager.want(&order, TaskState::Shutdown);
    let status = node.manager.told(order.task, TaskState::Shutdown).await;
    assert_eq!(
        (status.message.as_str(), status.container.unwrap().exit_code),
        ("shutdown", 137)
    );
    assert!(!node.container(&order).await.running);
    node.remove(&order).await;
}

async fn an_exit_code_is_the_tasks_failure(node: &Node) {
    let failing = order(2, "exit 3");
    let status = node.run(&failing, TaskState::Failed).await;
    assert_eq!(
        (status.message.as_str(), status.err.as_str()),
        ("started", "task: non-zero exit (3)")
    );
    assert_eq!(status.container.unwrap().exit_code, 3);
    let fine = order(3, "exit 0");
    assert_eq!(
        node.run(&fine, TaskState::Complete).await.message,
        "finished"
    );
    let unknown = with(order(4, ""), json!({"Command": ["/nowhere"]}));
    let status = node.run(&unknown, TaskState::Failed).await;
    assert!(
        status.err.starts_with("starting container failed: "),
        "{}",
        status.err
    );
    assert_eq!(status.message, "starting");
    for order in [failing, fine, unknown] {
        node.remove(&order).await;
    }
}

async fn an_image_that_is_nowhere_is_a_rejection_with_the_pulls_error(node: &Node) {
    let order = with(order(5, ""), json!({"Image": "127.0.0.1:1/nowhere:1"}));
    let status = node.run(&order, TaskState::Rejected).await;
    assert_eq!(status.message, "preparing");
    assert!(
        status.err.contains("127.0.0.1:1") && status.err.contains("connect: "),
        "{}",
        status.err
    );
    node.manager.forget(order.task);
}

async fn a_bind_without_a_source_is_a_rejection(node: &Node) {
    let mounts = json!({"Mounts": [{"Type": "bind", "Source": "/nowhere", "Target": "/x"}]});
    let order = with(order(6, ""), mounts);
    let status = node.run(&order, TaskState::Rejected).await;
    assert_eq!(
        status.err,
        "invalid mount config for type \"bind\": bind source path does not exist: /nowhere"
    );
    node.manager.forget(order.task);
}

async fn a_health_check_holds_a_task_back_and_ends_it(node: &Node) {
    let check = json!({"Healthcheck": {
        "Test": ["CMD-SHELL", "test -e /healthy"], "Interval": 100_000_000, "Retries": 1,
        "StartPeriod": 60_000_000_000_i64,
    }});
    let order = with(order(7, "exec sleep 1000"), check);
    node.manager.want(&order, TaskState::Running);
    node.manager.told(order.task, TaskState::Starting).await;
    let root = PathBuf::from(format!("/proc/{}/root", running_pid(node, &order).await));
    assert_eq!(
        node.manager.history(order.task).last(),
        Some(&TaskState::Starting)
    );
    std::fs::write(root.join("healthy"), "").unwrap();
    node.manager.told(order.task, TaskState::Running).await;
    std::fs::remove_file(root.join("healthy")).unwrap();
    let status = node.manager.told(order.task, TaskState::Failed).await;
    assert_eq!(
        status.err,
        "task: non-zero exit (137): dockerexec: unhealthy container"
    );
    node.remove(&order).await;
}

async fn running_pid(node: &Node, order: &Order) -> i64 {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let state = node.engine.inspect_container(&order.name).await;
        match state {
            Ok(state) if state.running => return state.pid,
            _ => assert!(Instant::now() < end, "{} does not run", order.name),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn output_is_followed_from_before_the_start(node: &Node) {
    let order = order(8, "echo one; echo two; exit 0");
    node.manager.want(&order, TaskState::Ready);
    node.manager.told(order.task, TaskState::Ready).await;
    let options = LogOptions {
        stdout: true,
        follow: true,
        timestamps: true,
        ..LogOptions::default()
    };
    let source = node.agent.as_ref().unwrap().log_source();
    let (logs, ()) = tokio::join!(source.open(order.task, &options), async {
        node.manager.want(&order, TaskState::Running);
    });
    let lines: Vec<_> = logs.unwrap().map(|line| line.unwrap()).collect().await;
    let texts: Vec<_> = lines.iter().map(|line| &line.bytes[..]).collect();
    assert_eq!(texts, [b"one\n", b"two\n"]);
    assert!(lines.iter().all(|line| line.time_nano.is_some()));
    node.remove(&order).await;
    assert!(source.open(order.task, &options).await.is_err());
}

async fn a_running_container_is_adopted_as_it_is(node: &mut Node) {
    let known = order(10, "exec sleep 1000");
    let lost = order(11, "exec sleep 1000");
    for order in [&known, &lost] {
        node.run(order, TaskState::Running).await;
    }
    let before = (node.container(&known).await, node.container(&lost).await);
    node.kill().await;
    node.manager.lose_status(lost.task);
    node.start();
    let status = node.manager.told(lost.task, TaskState::Running).await;
    assert_eq!(status.container.unwrap().id, before.1.id);
    let after = (node.container(&known).await, node.container(&lost).await);
    assert_eq!(before.0.started_at, after.0.started_at);
    assert_eq!(before.1.started_at, after.1.started_at);
    node.engine
        .kill_container(&known.name, "SIGKILL")
        .await
        .unwrap();
    node.manager.told(known.task, TaskState::Failed).await;
    for order in [known, lost] {
        node.remove(&order).await;
    }
}

async fn an_exit_during_the_agents_absence_is_told(node: &mut Node) {
    let order = order(12, "exec sleep 1000");
    node.run(&order, TaskState::Running).await;
    node.kill().await;
    node.engine
        .kill_container(&order.name, "SIGKILL")
        .await
        .unwrap();
    node.start();
    let status = node.manager.told(order.task, TaskState::Failed).await;
    assert_eq!(status.err, "task: non-zero exit (137)");
    node.remove(&order).await;
}

/// Kills later and later into the life of a new task, with a journal that knows all or nothing.
async fn an_agent_killed_at_any_moment_makes_no_second_container(node: &mut Node) {
    for round in 0..12_u32 {
        let order = order(20 + round, "exec sleep 1000");
        node.manager.want(&order, TaskState::Running);
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 15)).await;
        node.kill().await;
        if round % 3 == 0 {
            std::fs::remove_file(node.data.path().join("agent/journal")).unwrap();
        }
        if round % 2 == 0 {
            node.manager.lose_status(order.task);
        }
        node.start();
        let status = node.manager.told(order.task, TaskState::Running).await;
        let container = node.container(&order).await;
        assert_eq!(status.container.unwrap().id, container.id);
        assert_eq!(node.ours().await, std::slice::from_ref(&order.name));

        node.manager.want(&order, TaskState::Shutdown);
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 10)).await;
        node.kill().await;
        node.start();
        node.manager.told(order.task, TaskState::Shutdown).await;
        node.remove(&order).await;
    }
}

async fn strangers_are_left_alone_and_the_forgotten_removed(node: &mut Node) {
    let ours = order(40, "exec sleep 1000");
    node.run(&ours, TaskState::Running).await;
    let labelled = |node: &str, name: &str| {
        json!({"Image": IMAGE, "Cmd": ["sleep", "1000"], "Labels": {
            "com.docker.swarm.node.id": node, "com.docker.swarm.task.id": task(99).to_string(),
            "com.docker.swarm.task.name": name,
        }})
    };
    let other = labelled("another", "stranger");
    node.engine
        .create_container("stranger", &other)
        .await
        .unwrap();
    let merely = labelled(node_id().as_str(), "web.99");
    node.engine.create_container("mine", &merely).await.unwrap();
    let left = labelled(node_id().as_str(), "web.left");
    node.engine
        .create_container("web.left", &left)
        .await
        .unwrap();
    node.kill().await;
    node.manager.forget(ours.task);
    node.start();
    node.gone(&ours.name).await;
    node.gone("web.left").await;
    for name in ["stranger", "mine"] {
        let state = node.engine.inspect_container(name).await.unwrap();
        assert_eq!(state.status, ContainerStatus::Created);
        node.engine
            .remove_container(name, true, true)
            .await
            .unwrap();
    }
}

async fn twenty_tasks_start_side_by_side(node: &Node) {
    let orders: Vec<_> = (50..70).map(|n| order(n, "exec sleep 1000")).collect();
    let begin = Instant::now();
    for order in &orders {
        node.manager.want(order, TaskState::Running);
    }
    for order in &orders {
        node.manager.told(order.task, TaskState::Running).await;
    }
    eprintln!("twenty tasks run after {:?}", begin.elapsed());
    for order in &orders {
        node.manager.forget(order.task);
    }
    for order in &orders {
        node.gone(&order.name).await;
    }
}

async fn the_engine_may_go_and_come_back(node: &Node, dockerd: &mut Dockerd) {
    let running = order(80, "exec sleep 1000");
    node.run(&running, TaskState::Running).await;
    dockerd.stop();
    let fresh = order(81, "exec sleep 1000");
    node.manager.want(&fresh, TaskState::Running);
    dockerd.start_again();
    // It died with its engine, and the new one waited for the next.
    node.manager.told(running.task, TaskState::Failed).await;
    node.manager.told(fresh.task, TaskState::Running).await;
    node.engine
        .kill_container(&fresh.name, "SIGKILL")
        .await
        .unwrap();
    node.manager.told(fresh.task, TaskState::Failed).await;
    for order in [running, fresh] {
        node.remove(&order).await;
    }
}

async fn leaving_removes_every_container(mut node: Node) {
    let orders = [order(90, "exec sleep 1000"), order(91, "exit 1")];
    node.run(&orders[0], TaskState::Running).await;
    node.run(&orders[1], TaskState::Failed).await;
    node.agent.take().unwrap().leave().await.unwrap();
    assert_eq!(node.ours().await, Vec::<String>::new());
    assert!(!node.data.path().join("agent").exists());
}
