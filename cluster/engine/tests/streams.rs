//! Streams, and connections that break, against a socket that plays the engine byte by byte.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use swarmrs_engine::{
    Engine, Error, EventFilter, EventKind, Exit, LogOptions, Source, WaitCondition,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// What the fake does with a request, by the beginning of its first line.
#[derive(Clone)]
enum Play {
    /// A whole answer; the connection is kept.
    Json(serde_json::Value),
    /// The head of a stream and its pieces, then a proper end of the body.
    Stream(Vec<Vec<u8>>),
    /// The same, but the connection breaks after the last piece.
    Cut(Vec<Vec<u8>>),
    /// The connection is closed without a word.
    Close,
}

type Script = Vec<(&'static str, Play)>;

struct Fake {
    accepting: JoinHandle<()>,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    fn on(socket: &Path, mut script: Script) -> Self {
        let version = json!({"Version": "fake", "ApiVersion": "1.41", "MinAPIVersion": "1.12"});
        script.push(("GET /version", Play::Json(version)));
        let listener = UnixListener::bind(socket).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(Mutex::new(script)), seen.clone());
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let accepting = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                serving.spawn(serve(stream, script.clone(), log.clone()));
            }
        });
        Self {
            accepting,
            seen,
            connections,
        }
    }

    fn count(&self, start: &str) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.starts_with(start))
            .count()
    }

    async fn end(self, socket: &Path) {
        self.accepting.abort();
        let _ = self.accepting.await;
        std::fs::remove_file(socket).unwrap();
    }
}

async fn serve(mut stream: UnixStream, script: Arc<Mutex<Script>>, log: Arc<Mutex<Vec<String>>>) {
    while let Some(line) = request(&mut stream).await {
        log.lock().unwrap().push(line.clone());
        let play = take(&mut script.lock().unwrap(), &line);
        let (pieces, whole) = match play {
            Play::Close => return,
            Play::Json(body) => {
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                continue;
            }
            Play::Stream(pieces) => (pieces, true),
            Play::Cut(pieces) => (pieces, false),
        };
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await
            .unwrap();
        for piece in pieces {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
            stream.write_all(&chunk).await.unwrap();
        }
        if !whole {
            return;
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
}

/// The first play for the request: one that stands alone is kept, of several each is used once.
fn take(script: &mut Script, line: &str) -> Play {
    let fits: Vec<_> = (0..script.len())
        .filter(|at| line.starts_with(script[*at].0))
        .collect();
    match fits.as_slice() {
        [] => panic!("no answer for {line}"),
        [only] => script[*only].1.clone(),
        [first, ..] => script.remove(*first).1,
    }
}

/// Reads one request's head (the bodies of these tests are empty) and gives its first line.
async fn request(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head)
        .unwrap()
        .lines()
        .next()
        .map(str::to_owned)
}

fn folder() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    (folder, socket)
}

fn event(id: &str, time_nano: i64) -> Vec<u8> {
    let actor = json!({"ID": id, "Attributes": {"exitCode": "1", "name": "web.1"}});
    let event = json!({"Type": "container", "Action": "die", "Actor": actor, "scope": "local", "timeNano": time_nano});
    format!("{event}\n").into_bytes()
}

#[tokio::test]
async fn events_come_whole_however_they_are_cut_and_end_with_an_error() {
    let (_folder, socket) = folder();
    let bytes = [event("c1", 1), event("c2", 2)].concat();
    let pieces = bytes.chunks(7).map(<[u8]>::to_vec).collect();
    let fake = Fake::on(&socket, vec![("GET /v1.41/events?", Play::Stream(pieces))]);

    let engine = Engine::connect(&socket);
    let events = engine
        .events(EventFilter::containers("a=b"), Some(1_500_000_000))
        .await
        .unwrap();
    let told: Vec<_> = events.collect().await;
    let [Ok(first), Ok(second), Err(error)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(
        (first.kind, first.action.as_str(), first.id.as_str()),
        (EventKind::Container, "die", "c1")
    );
    assert_eq!(first.attributes["exitCode"], "1");
    assert_eq!(second.time_nano, 2);
    assert!(error.is_lost(), "{error}");

    let seen = fake.seen.lock().unwrap().clone();
    let asked = seen.iter().find(|line| line.contains("/events")).unwrap();
    assert!(asked.contains("since=1.500000000"), "{asked}");
    assert!(asked.contains("%22label%22%3A%5B%22a%3Db%22%5D"), "{asked}");
    assert!(
        asked.contains("%22type%22%3A%5B%22container%22%5D"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_broken_event_stream_ends_with_one_error() {
    let (_folder, socket) = folder();
    let _fake = Fake::on(
        &socket,
        vec![(
            "GET /v1.41/events",
            Play::Cut(vec![event("c1", 1), b"{\"Ty".to_vec()]),
        )],
    );
    let events = Engine::connect(&socket)
        .events(EventFilter::default(), None)
        .await
        .unwrap();
    let told: Vec<_> = events.collect().await;
    assert!(
        matches!(told.as_slice(), [Ok(_), Err(Error::Stream { .. })]),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_question_whose_connection_died_is_asked_once_more() {
    let (_folder, socket) = folder();
    let info = Play::Json(json!({"Name": "host"}));
    let fake = Fake::on(
        &socket,
        vec![("GET /v1.41/info", Play::Close), ("GET /v1.41/info", info)],
    );
    assert_eq!(Engine::connect(&socket).info().await.unwrap().name, "host");
    assert_eq!(fake.count("GET /v1.41/info"), 2);
}

#[tokio::test]
async fn a_deed_is_never_sent_twice() {
    let (_folder, socket) = folder();
    let fake = Fake::on(&socket, vec![("POST /v1.41/", Play::Close)]);
    let engine = Engine::connect(&socket);
    let start = engine.start_container("c1").await.unwrap_err();
    assert!(matches!(start, Error::Stream { .. }), "{start:?}");
    let pull = engine.pull_image("app", None).await.unwrap_err();
    assert!(matches!(pull, Error::Stream { .. }), "{pull:?}");
    assert_eq!(
        (
            fake.count("POST /v1.41/containers/c1/start"),
            fake.count("POST /v1.41/images/create")
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn the_same_handle_finds_an_engine_that_came_back() {
    let (_folder, socket) = folder();
    let script = || vec![("GET /v1.41/info", Play::Json(json!({"Name": "host"})))];
    let engine = Engine::connect(&socket);
    assert!(matches!(engine.info().await, Err(Error::Absent { .. })));

    let fake = Fake::on(&socket, script());
    engine.info().await.unwrap();
    fake.end(&socket).await;
    assert!(engine.info().await.unwrap_err().is_lost());

    let fake = Fake::on(&socket, script());
    engine.info().await.unwrap();
    assert_eq!(
        fake.count("GET /version"),
        1,
        "the version is negotiated anew"
    );
}

#[tokio::test]
async fn calls_of_both_ways_share_one_kept_connection() {
    let (_folder, socket) = folder();
    let script = vec![
        ("GET /v1.41/info", Play::Json(json!({"Name": "host"}))),
        ("POST /v1.41/containers/c1/start", Play::Json(json!(""))),
    ];
    let fake = Fake::on(&socket, script);
    let engine = Engine::connect(&socket);
    for _ in 0..10 {
        engine.info().await.unwrap();
        engine.start_container("c1").await.unwrap();
    }
    assert_eq!(fake.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_exit_code_is_an_answer_not_an_error() {
    let (_folder, socket) = folder();
    let exit = |body: serde_json::Value| Play::Stream(vec![format!("{body}\n").into_bytes()]);
    let script = vec![
        (
            "POST /v1.41/containers/ok/wait?condition=next-exit",
            exit(json!({"StatusCode": 0, "Error": null})),
        ),
        (
            "POST /v1.41/containers/bad/wait?condition=not-running",
            exit(json!({"StatusCode": 137})),
        ),
        ("POST /v1.41/containers/lost/wait", Play::Cut(Vec::new())),
    ];
    let _fake = Fake::on(&socket, script);
    let engine = Engine::connect(&socket);
    let ok = engine
        .wait_container("ok", WaitCondition::NextExit)
        .await
        .unwrap();
    let bad = engine
        .wait_container("bad", WaitCondition::NotRunning)
        .await
        .unwrap();
    assert_eq!(
        (ok, bad),
        (
            Exit {
                code: 0,
                error: None
            },
            Exit {
                code: 137,
                error: None
            }
        )
    );
    assert!(
        engine
            .wait_container("lost", WaitCondition::NotRunning)
            .await
            .unwrap_err()
            .is_lost()
    );
}

#[tokio::test]
async fn a_log_stream_that_breaks_tells_its_lines_and_then_the_error() {
    let (_folder, socket) = folder();
    let message = b"1970-01-01T00:00:01.5Z hello\n";
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[2, 0, 0, 0], &length[..], message].concat();
    let script = vec![
        (
            "GET /v1.41/containers/c1/json",
            Play::Json(json!({"Id": "c1", "Config": {"Tty": false}})),
        ),
        (
            "GET /v1.41/containers/c1/logs?stderr=1&follow=1&timestamps=1",
            Play::Cut(vec![frame, vec![1, 0, 0]]),
        ),
    ];
    let _fake = Fake::on(&socket, script);
    let options = LogOptions {
        stderr: true,
        follow: true,
        timestamps: true,
        ..LogOptions::default()
    };
    let lines = Engine::connect(&socket).logs("c1", &options).await.unwrap();
    let told: Vec<_> = tokio::time::timeout(Duration::from_secs(10), lines.collect())
        .await
        .unwrap();
    let [Ok(line), Err(error)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(
        (line.source, line.time_nano, &line.bytes[..]),
        (Source::Stderr, Some(1_500_000_000), &b"hello\n"[..])
    );
    assert!(error.is_lost());
}
