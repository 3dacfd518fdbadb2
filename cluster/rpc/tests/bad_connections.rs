//! Strangers by the thousand: nothing of them stays, and the log stays short.
//!
//! Alone in its binary, because it counts the descriptors and the memory of the process. `SWARMRS_BAD_CONNECTIONS` says
//! how many, instead of 2,000.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use support::raw;
use support::{DAY, LONG, Rig, Trust, limits, until};
use swarmrs_rpc::{Keepalive, Limits, Method};
use swarmrs_security::{NodeCredentials, Role, RootCert};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing_subscriber::fmt::MakeWriter;

/// Badly behaved at once; some are refused for being too many.
const AT_ONCE: usize = 100;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// What the strangers have.
struct Strangers {
    address: String,
    roots: RootCert,
    good: NodeCredentials,
    worker: NodeCredentials,
    expired: NodeCredentials,
    foreign: NodeCredentials,
    removed: NodeCredentials,
}

impl Strangers {
    fn of(rig: &Rig) -> Self {
        let now = SystemTime::now();
        let node = |name, role| rig.trust.node_at(name, role, now);
        Strangers {
            address: rig.address(),
            roots: rig.trust.roots().clone(),
            good: node("manager1", Role::Manager),
            worker: node("worker1", Role::Worker),
            expired: rig.trust.node_at("manager1", Role::Manager, now - DAY),
            foreign: Trust::new().node_at("manager1", Role::Manager, now),
            removed: node("removed", Role::Worker),
        }
    }

    /// One bad connection of each kind in turn, until the server ends it.
    async fn come(&self, number: usize) {
        match number % 12 {
            0 => self.say(b"").await,
            1 => self.say(b"GET / HTTP/1.1\r\nHost: swarm\r\n\r\n").await,
            2 => self.say(&[0xff; 5000]).await,
            // The head of a ClientHello that never comes.
            3 => self.say(b"\x16\x03\x01\x02\x00\x01\x00\x01").await,
            4 => self.encrypted(None, "", b"").await,
            5 => self.encrypted(Some(&self.expired), "swarmrs", b"").await,
            6 => {
                self.encrypted(Some(&self.foreign), "swarmrs-raft", b"")
                    .await
            }
            7 => self.encrypted(None, "swarmrs", &[7; 5000]).await,
            8 => {
                self.encrypted(Some(&self.good), "swarmrs-raft", b"PRI * ")
                    .await
            }
            9 => self.ask(None, Method::Session, b"").await,
            10 => self.ask(Some(&self.removed), Method::Leave, b"").await,
            _ => {
                self.ask(Some(&self.worker), Method::Leave, &[0x7f, 0xff, 0, 0])
                    .await
            }
        }
    }

    async fn say(&self, bytes: &[u8]) {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        talk(stream, bytes).await;
    }

    async fn encrypted(&self, node: Option<&NodeCredentials>, protocol: &str, bytes: &[u8]) {
        let config = raw::config(&self.roots, node, protocol);
        if let Ok(stream) = raw::tls(&self.address, config).await {
            talk(stream, bytes).await;
        }
    }

    async fn ask(&self, node: Option<&NodeCredentials>, method: Method, bytes: &'static [u8]) {
        let config = raw::config(&self.roots, node, "swarmrs");
        let Ok(mut requests) = raw::http(&self.address, config).await else {
            return;
        };
        let (answer, mut stream) = raw::open(&mut requests, &raw::path(method));
        let _ = stream.send_data(Bytes::from_static(bytes), false);
        if let Ok(answer) = answer.await {
            let mut body = answer.into_body();
            while let Some(Ok(_)) = body.data().await {}
        }
    }
}

/// Sends the bytes and waits for the server to end it.
async fn talk(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    let mut buffer = [0; 1024];
    while stream
        .read(&mut buffer)
        .await
        .is_ok_and(|length| length > 0)
    {}
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Resident memory in KiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.unwrap().trim().trim_end_matches(" kB");
    text.parse().unwrap()
}

async fn crowd(strangers: &Arc<Strangers>, count: usize) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    for number in 0..count {
        let place = places.clone().acquire_owned().await.unwrap();
        let strangers = strangers.clone();
        tokio::spawn(async move {
            strangers.come(number).await;
            drop(place);
        });
    }
    let all = u32::try_from(AT_ONCE).unwrap();
    let _all = places.acquire_many(all).await.unwrap();
}

#[tokio::test]
async fn bad_connections_leave_nothing() {
    let count = std::env::var("SWARMRS_BAD_CONNECTIONS");
    let count = count.map_or(2_000, |count| count.parse().unwrap());
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let limits = Limits {
        handshake: Duration::from_millis(300),
        anonymous_life: Duration::from_secs(5),
        ..limits()
    };
    let rig = Rig::with(limits, Keepalive::default(), Handle::current());
    rig.removed.lock().unwrap().insert("removed".into());
    let client = rig.manager();
    let check = || client.call(Method::ReadIndex, "x".into(), LONG);
    check().await.unwrap();
    let strangers = Arc::new(Strangers::of(&rig));

    // What is allocated once is allocated now.
    crowd(&strangers, 240).await;
    let (heard, start) = (rig.heard(), Instant::now());
    let before = (descriptors(), tasks(), memory());
    let good = async {
        for _ in 0..50 {
            check().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::join!(crowd(&strangers, count), good);
    let took = start.elapsed();
    until("no descriptor more than before", || {
        descriptors() <= before.0
    })
    .await;
    until("no task more than before", || tasks() <= before.1).await;
    let after = memory();
    assert_eq!(
        rig.heard() - heard,
        50,
        "the service heard only who is good"
    );
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines = log.lines().count();
    println!("{count} bad connections in {took:?}: {before:?}, then {after} KiB, {lines} lines");
    // The allocator keeps some; a leak of a connection's buffers would be 20 KiB each.
    assert!(
        after < before.2 + 2 * count + 8 * 1024,
        "{} KiB, then {after}",
        before.2
    );
    let most = 10 + 5 * took.as_secs() / 60;
    assert!(log.contains("bad connection"), "{log}");
    assert!(lines as u64 <= most, "{lines} lines:\n{log}");
}
