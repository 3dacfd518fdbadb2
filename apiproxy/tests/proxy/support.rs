//! A proxy between a test's client and a test's engine, each a plain socket that the test reads and writes by hand.
//!
//! Nothing between the two understands HTTP but the proxy, so what a test sees at the engine is what was sent there.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use swarmrs_apiproxy::{Api, Body, Class, Engine, Listener, Reply, Route, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Fails a test that would hang.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("must not hang")
}

/// Answers ours with the endpoint's name and, in a header, the query, but never one that follows; reads the rest and hands it
/// back.
struct Naming {
    dropped: mpsc::UnboundedSender<()>,
}

/// Says when a call that never ends was dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Api for Naming {
    async fn call(&self, route: Route, request: Request<Incoming>) -> Reply {
        if route.query() == "follow=1" {
            let _dropped = Dropped(self.dropped.clone());
            std::future::pending::<()>().await;
        }
        let ours = route.class == Class::Ours;
        let name = format!(
            "{:?}",
            route.endpoint.clone().expect("only raw calls have none")
        );
        let length = request
            .into_body()
            .collect()
            .await
            .expect("a whole body")
            .to_bytes()
            .len();
        if !ours {
            return Reply::Forward;
        }
        let mut response = Response::new(text(format!("{name} {length}")));
        let query = HeaderValue::from_bytes(route.query().as_bytes()).expect("no control byte");
        response.headers_mut().insert("query", query);
        Reply::Answer(response)
    }
}

fn text(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A running proxy.
pub struct Rig {
    directory: tempfile::TempDir,
    engine: UnixListener,
    stop: watch::Sender<bool>,
    pub served: JoinHandle<()>,
    /// One message for each call to the API that was dropped before it ended.
    pub calls_dropped: mpsc::UnboundedReceiver<()>,
}

impl Rig {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine =
            UnixListener::bind(directory.path().join("engine.sock")).expect("an engine's socket");
        let clients =
            UnixListener::bind(directory.path().join("proxy.sock")).expect("a proxy's socket");
        let (dropped, calls_dropped) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let to = Engine::new(directory.path().join("engine.sock"));
        let served = tokio::spawn(serve(
            Listener::Unix(clients),
            Arc::new(Naming { dropped }),
            to,
            stopped,
        ));
        Self {
            directory,
            engine,
            stop,
            served,
            calls_dropped,
        }
    }

    pub fn engine_path(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }

    pub async fn client(&self) -> UnixStream {
        UnixStream::connect(self.directory.path().join("proxy.sock"))
            .await
            .expect("a listening proxy")
    }

    /// A client that has sent this.
    pub async fn sends(&self, bytes: impl AsRef<[u8]>) -> UnixStream {
        let mut client = self.client().await;
        write(&mut client, bytes).await;
        client
    }

    /// The engine's end of the proxy's next connection.
    pub async fn accept(&self) -> UnixStream {
        within(self.engine.accept()).await.expect("a connection").0
    }

    /// No engine from now on.
    pub fn remove_engine(&self) {
        std::fs::remove_file(self.engine_path()).expect("a socket to remove");
    }

    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends the test: the engine must not have been connected to since the last accept.
    pub fn engine_saw_nothing_more(self) {
        let engine = self.engine.into_std().expect("a listener");
        let seen = engine.accept();
        assert!(
            seen.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
            "the engine was called"
        );
    }
}

pub async fn write(stream: &mut UnixStream, bytes: impl AsRef<[u8]>) {
    within(stream.write_all(bytes.as_ref()))
        .await
        .expect("a reader");
}

/// Reads exactly as much as is expected, and compares.
pub async fn expect(stream: &mut UnixStream, expected: impl AsRef<[u8]>) {
    let expected = expected.as_ref();
    let mut read = vec![0; expected.len()];
    let mut at = 0;
    while at < read.len() {
        match within(stream.read(&mut read[at..])).await {
            Ok(n @ 1..) => at += n,
            end => panic!("{end:?} after {:?}", String::from_utf8_lossy(&read[..at])),
        }
    }
    assert!(
        read == expected,
        "read {:?}\nexpected {:?}",
        String::from_utf8_lossy(&read[..read.len().min(300)]),
        String::from_utf8_lossy(&expected[..expected.len().min(300)])
    );
}

/// All that comes until the other side closes, in whatever way.
pub async fn rest(stream: &mut UnixStream) -> String {
    let mut read = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = within(stream.read(&mut piece)).await {
        read.extend_from_slice(&piece[..n]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// One answer with a length: its head and body.
pub async fn answer(stream: &mut UnixStream) -> String {
    let mut read = Vec::new();
    loop {
        let byte = within(stream.read_u8())
            .await
            .unwrap_or_else(|e| panic!("{e} after {:?}", String::from_utf8_lossy(&read)));
        read.push(byte);
        if read.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(read).expect("text");
    let length = head.lines().find_map(|l| {
        l.to_ascii_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    let mut body = vec![0; length.map_or(0, |l| l.parse().expect("a number"))];
    within(stream.read_exact(&mut body))
        .await
        .expect("a whole body");
    head + &String::from_utf8_lossy(&body)
}
