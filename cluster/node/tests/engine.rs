//! A node and an engine that cannot carry a swarm. The engine is a few lines of HTTP on a unix socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use swarmrs_engine::Engine;
use swarmrs_node::{Config, Node, SwarmState};
use swarmrs_types::Code;
use swarmrs_types::spec::{InitRequest, ServiceSpec};
use tempfile::TempDir;

/// An engine that knows its version and its swarm's state, and notes what it is asked.
struct FakeEngine {
    folder: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeEngine {
    fn start(api: &'static str, swarm_state: &'static str) -> Self {
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

    fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// A node in front of this engine.
    async fn node(&self) -> Node {
        let config = Config::new(self.folder.path().join("data"));
        Node::start(config, Engine::connect(&self.socket()))
            .await
            .unwrap()
    }

    fn was_only_read(&self) -> bool {
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

/// The node is in the state `error` for this reason, and gives it to whoever asks for a swarm.
async fn assert_refuses(node: &Node, reason: &str) {
    let standing = node.standing();
    assert_eq!(
        (standing.state, standing.error.as_str()),
        (SwarmState::Error, reason)
    );
    assert_eq!((standing.node, standing.manager), (None, false));
    let init = node.init(InitRequest::default()).await.unwrap_err();
    let create = node.create_service(ServiceSpec::default(), None).await;
    for fault in [init, create.unwrap_err(), node.view().await.unwrap_err()] {
        assert_eq!(
            (fault.code, fault.text.as_str()),
            (Code::Unavailable, reason)
        );
    }
}

#[tokio::test]
async fn an_engine_older_than_api_1_41_is_named_with_what_is_needed() {
    let engine = FakeEngine::start("1.40", "inactive");
    let node = engine.node().await;
    let reason = format!(
        "the engine at {} speaks API 1.40, but 1.41 or newer (Docker 20.10) is needed",
        engine.socket().display()
    );
    assert_refuses(&node, &reason).await;
    assert!(engine.was_only_read());
}

#[tokio::test]
async fn an_engine_in_swarm_mode_is_named_with_the_command_to_leave() {
    for swarm_state in ["active", "pending", "locked", "error"] {
        let engine = FakeEngine::start("1.41", swarm_state);
        let node = engine.node().await;
        let socket = engine.socket();
        let socket = socket.display();
        let reason = format!(
            "the engine at {socket} is itself in swarm mode: nothing is scheduled beside it. To leave its swarm (its \
             services end): docker -H unix://{socket} swarm leave --force"
        );
        assert_refuses(&node, &reason).await;
        assert!(engine.was_only_read());
    }
}

#[tokio::test]
async fn an_engine_of_api_1_41_outside_a_swarm_will_do() {
    let engine = FakeEngine::start("1.41", "inactive");
    let standing = engine.node().await.standing();
    assert_eq!(
        (standing.state, standing.error.as_str()),
        (SwarmState::Inactive, "")
    );
}
