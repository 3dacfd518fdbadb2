//! What several suites begin with: an engine of a few lines of HTTP on a unix socket, which runs nothing; a service.
#![allow(dead_code, reason = "each suite uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod crowd;
pub mod host;
pub mod outside;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swarmrs_engine::Engine;
use swarmrs_node::{Config, Node};
use swarmrs_types::object::AttachRequest;
use swarmrs_types::spec::{
    ContainerSpec, Mode, NetworkSpec, Placement, Replicated, ServiceSpec, TaskSpec,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// An engine that knows its version and its swarm's state, and notes what it is asked.
pub struct FakeEngine {
    folder: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeEngine {
    pub fn start(api: &'static str, swarm_state: &'static str) -> Self {
        let engine = Self {
            folder: TempDir::new().unwrap(),
            asked: Arc::default(),
        };
        let listener = UnixListener::bind(engine.socket()).unwrap();
        let asked = engine.asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                asked
                    .lock()
                    .unwrap()
                    .push(answer(stream.unwrap(), api, swarm_state));
            }
        });
        engine
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// A node in front of this engine.
    pub async fn node(&self) -> Node {
        let config = Config::new(self.folder.path().join("data"));
        Node::start(config, Engine::connect(&self.socket()))
            .await
            .unwrap()
    }

    pub fn was_only_read(&self) -> bool {
        let asked = self.asked.lock().unwrap();
        !asked.is_empty() && asked.iter().all(|line| line.starts_with("GET "))
    }
}

/// Answers the connection's one request and returns its first line.
fn answer(stream: UnixStream, api: &str, swarm_state: &str) -> String {
    let mut reader = BufReader::new(&stream);
    let mut first = String::new();
    // A connection without a request says so by its empty line.
    reader.read_line(&mut first).unwrap_or_default();
    let mut header = String::new();
    while reader.read_line(&mut header).unwrap_or_default() > 2 {
        header.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let body = match path.rsplit('/').next() {
        Some("version") => {
            format!(r#"{{"Version":"20.10.24","ApiVersion":"{api}","MinAPIVersion":"1.12"}}"#)
        }
        Some("info") => format!(r#"{{"Swarm":{{"LocalNodeState":"{swarm_state}"}}}}"#),
        Some("networks" | "json") => "[]".to_owned(),
        _ => "{}".to_owned(),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // The node may have gone by now.
    (&stream).write_all((head + &body).as_bytes()).ok();
    first
}

/// A service whose image nobody has.
pub fn service(name: &str, replicas: u64) -> ServiceSpec {
    ServiceSpec {
        name: name.to_owned(),
        task_template: TaskSpec {
            container_spec: Some(ContainerSpec {
                image: "busybox:latest".to_owned(),
                ..ContainerSpec::default()
            }),
            ..TaskSpec::default()
        },
        mode: Mode {
            replicated: Some(Replicated {
                replicas: Some(replicas),
            }),
            ..Mode::default()
        },
        ..ServiceSpec::default()
    }
}

/// One that runs where this holds.
pub fn service_where(name: &str, replicas: u64, holds: &str) -> ServiceSpec {
    let mut spec = service(name, replicas);
    spec.task_template.placement = Some(Placement {
        constraints: vec![holds.to_owned()],
        ..Placement::default()
    });
    spec
}

/// A network over all nodes.
pub fn overlay(name: &str, attachable: bool) -> NetworkSpec {
    NetworkSpec {
        name: name.to_owned(),
        driver: "overlay".to_owned(),
        attachable,
        ..NetworkSpec::default()
    }
}

/// What a node asks for a container that it runs; its name is its id.
pub fn place_on(network: &str, container: &str) -> AttachRequest {
    AttachRequest {
        container: container.to_owned(),
        name: container.to_owned(),
        network: network.to_owned(),
        active: true,
        ..AttachRequest::default()
    }
}

/// Waits until this is so, and for no longer than that.
pub async fn until(what: &str, patience: Duration, probe: impl Fn() -> bool) {
    let deadline = Instant::now() + patience;
    while !probe() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}
