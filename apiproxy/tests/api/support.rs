//! A node behind its socket, and an engine that knows just enough to stand in for a stock one.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use swarmrs_apiproxy::{Engine, Handlers, Listener, SwarmEvents, serve};
use swarmrs_node::Node;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(20);

/// Fails a test that would hang.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("must not hang")
}

/// Of the one image, `box:1`, that the engine finds in a registry.
pub const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

type EngineBody = UnsyncBoxBody<Bytes, Infallible>;

/// The newest API version of the engine that a rig has unless it asks for another.
const API: &str = "1.41";

fn engine_answer(target: &str, api: &str) -> Response<EngineBody> {
    let path = target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix(&format!("/v{api}")).unwrap_or(path);
    let body = match path {
        "/_ping" => "OK".to_owned(),
        "/version" => json!({
            "Platform": {"Name": ""}, "Components": [], "Version": "20.10.24", "ApiVersion": api,
            "MinAPIVersion": "1.12"
        })
        .to_string(),
        "/info" => concat!(
            r#"{"ID":"AAAA","Name":"h1","OSType":"linux","Architecture":"x86_64","NCPU":2,"MemTotal":1024,"#,
            r#""Swarm":{"NodeID":"","LocalNodeState":"inactive"},"ServerVersion":"20.10.24","Last":[ 1 ]}"#
        )
        .to_owned(),
        "/containers/json" | "/networks" => "[]".to_owned(),
        "/networks/local" => json!({"Name": "local", "Id": "aaaa", "Driver": "bridge"}).to_string(),
        "/distribution/box:1/json" => json!({"Descriptor": {"digest": DIGEST}}).to_string(),
        "/events" if !target.contains("until=") => return answer(endless(), api),
        "/events" => concat!(
            r#"{"Type":"container","Action":"start","time":1,"timeNano":1000000000}"#,
            "\n",
            r#"{"Type":"container","Action":"die","time":99999999999,"timeNano":9000000000000000000}"#,
            "\n"
        )
        .to_owned(),
        _ => {
            let mut missing = answer(whole(r#"{"message":"page not found"}"#.to_owned()), api);
            *missing.status_mut() = http::StatusCode::NOT_FOUND;
            return missing;
        }
    };
    answer(whole(body), api)
}

fn whole(text: String) -> EngineBody {
    Full::new(Bytes::from(text)).boxed_unsync()
}

/// One line, and then nothing for as long as anybody listens.
fn endless() -> EngineBody {
    let line = Bytes::from_static(b"{\"Type\":\"image\",\"timeNano\":1}\n");
    let frames = futures_util::stream::unfold(Some(line), async |line| match line {
        Some(line) => Some((Ok::<_, Infallible>(Frame::data(line)), None)),
        None => std::future::pending().await,
    });
    StreamBody::new(frames).boxed_unsync()
}

fn answer(body: EngineBody, api: &str) -> Response<EngineBody> {
    Response::builder()
        .header("Api-Version", api)
        .header("Docker-Experimental", "false")
        .header("Ostype", "linux")
        .header("Server", "Docker/20.10.24 (linux)")
        .header("Content-Type", "application/json")
        .body(body)
        .expect("a plain answer")
}

type Seen = Arc<Mutex<Vec<String>>>;

async fn play_engine(listener: UnixListener, seen: Seen, api: &'static str) {
    while let Ok((stream, _)) = listener.accept().await {
        let seen = seen.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let target = request.uri().to_string();
            seen.lock()
                .expect("no panic")
                .push(format!("{} {target}", request.method()));
            async move { Ok::<_, Infallible>(engine_answer(&target, api)) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// The daemon's API, up and running.
pub struct Rig {
    folder: tempfile::TempDir,
    node: Node,
    seen: Seen,
    stop: watch::Sender<bool>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Rig {
    pub async fn start() -> Self {
        Self::with_engine(API).await
    }

    async fn with_engine(api: &'static str) -> Self {
        let rig = Self::without_engine().await;
        rig.start_engine_of(api);
        rig
    }

    /// Nobody listens on the engine's socket yet.
    pub async fn without_engine() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let engine_path = folder.path().join("engine.sock");
        let config = swarmrs_node::Config::new(folder.path().join("data"));
        let node = Node::start(config, swarmrs_engine::Engine::connect(&engine_path));
        let node = within(node).await.expect("a node");
        let engine = Engine::new(&engine_path);
        let events = Arc::new(SwarmEvents::default());
        tokio::spawn(events.clone().follow(node.clone()));
        let handlers = Handlers::new(node.clone(), engine.clone(), events);
        let clients = UnixListener::bind(folder.path().join("api.sock")).expect("our socket");
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(
            Listener::Unix(clients),
            Arc::new(handlers),
            engine,
            stopped,
        ));
        Self {
            folder,
            node,
            seen: Seen::default(),
            stop,
        }
    }

    pub fn start_engine(&self) {
        self.start_engine_of(API);
    }

    fn start_engine_of(&self, api: &'static str) {
        let listener = UnixListener::bind(self.engine_path()).expect("the engine's socket");
        tokio::spawn(play_engine(listener, self.seen.clone(), api));
    }

    pub fn engine_path(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// As [`Rig::start`], in a swarm of one.
    pub async fn in_a_swarm() -> Self {
        Self::in_a_swarm_on(API).await
    }

    /// The same on an engine whose newest API version is this.
    pub async fn in_a_swarm_on(api: &'static str) -> Self {
        let rig = Self::with_engine(api).await;
        let request = json!({"ListenAddr": "127.0.0.1:0", "AdvertiseAddr": "127.0.0.1"});
        let answer = rig.post("/swarm/init", &request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        rig
    }

    pub async fn connect(&self) -> UnixStream {
        let path = self.folder.path().join("api.sock");
        UnixStream::connect(path).await.expect("a listening daemon")
    }

    /// Sends a request as it is written here, and reads the answer to its end.
    pub async fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a reader");
        let mut text = Vec::new();
        within(stream.read_to_end(&mut text))
            .await
            .expect("an answer");
        let text = String::from_utf8(text).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status");
        Answer {
            status: status.parse().expect("a number"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "", "").await
    }

    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        let headers = "Content-Type: application/json\r\n";
        self.send("POST", target, headers, &body.to_string()).await
    }

    pub async fn send(&self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        self.raw(&request).await
    }

    /// What the engine was asked by now that begins so.
    pub fn engine_saw(&self, prefix: &str) -> Vec<String> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter()
            .filter(|line| line.starts_with(prefix))
            .cloned()
            .collect()
    }

    pub async fn end(self) {
        self.stop.send_replace(true);
        within(self.node.stop()).await;
    }
}

/// A service that the engine of this test never gets to run.
pub fn service(name: &str) -> Value {
    json!({
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {"Image": "box"},
            "Placement": {"Constraints": ["node.labels.nowhere==true"]}
        },
        "Mode": {"Replicated": {"Replicas": 2}}
    })
}
