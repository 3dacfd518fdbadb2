//! An engine whose containers are on paper: everything else is the real engine's.
//!
//! Thousands of tasks of one node are thousands of shims and namespaces, which no machine for tests holds. Where only what
//! swarmrs does with tasks is of interest, their containers are created, started, stopped and removed here, in no time.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use crate::error::{Error, Tried};

/// What there is.
type Shelf = Arc<Mutex<Containers>>;

#[derive(Default)]
struct Containers {
    /// As the engine would show them, by id.
    made: BTreeMap<String, Value>,
    /// Ids are never given twice.
    ever: u64,
}

/// Listens on `socket` until the process ends. What does not concern a single container goes on to the engine at `target`.
pub fn engine_before(socket: &Path, target: &Path) -> Result<(), Error> {
    let listener =
        UnixListener::bind(socket).tried(|| format!("listen on {}", socket.display()))?;
    let (containers, target) = (Shelf::default(), target.to_owned());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (containers, target) = (containers.clone(), target.clone());
            // A client that goes away is no news.
            thread::spawn(move || drop(serve(client, &containers, &target)));
        }
    });
    Ok(())
}

/// A request as it came, its head without the empty line.
struct Asked {
    head: String,
    body: Vec<u8>,
}

impl Asked {
    fn read(stream: &UnixStream) -> io::Result<Self> {
        let (mut reader, mut head, mut length) = (BufReader::new(stream), String::new(), 0);
        loop {
            let begun = head.len();
            reader.read_line(&mut head)?;
            let line = head[begun..].trim_end();
            if line.is_empty() {
                head.truncate(begun);
                break;
            }
            let header = line.split_once(':');
            if let Some((name, value)) = header
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Self { head, body })
    }

    /// Method and path: without the version, and without what follows a question mark.
    fn line(&self) -> (&str, Vec<&str>, &str) {
        let mut words = self.head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next());
        let (path, query) = match target.unwrap_or_default().split_once('?') {
            Some(both) => both,
            None => (target.unwrap_or_default(), ""),
        };
        let segments = path.split('/').filter(|one| !one.is_empty());
        let versioned = |one: &&str| one.starts_with("v1.");
        (method, segments.skip_while(versioned).collect(), query)
    }
}

/// One request a connection: whoever wants more connects again.
fn serve(client: UnixStream, containers: &Shelf, target: &PathBuf) -> io::Result<()> {
    let asked = Asked::read(&client)?;
    match on_paper(&asked, containers) {
        Some((status, body)) => answer(client, status, &body),
        None => relay(&asked, client, target),
    }
}

fn answer(mut client: UnixStream, status: u16, body: &Value) -> io::Result<()> {
    let body = match status {
        204 => String::new(),
        _ => body.to_string(),
    };
    let length = match status {
        204 => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    write!(
        client,
        "HTTP/1.1 {status} Paper\r\nContent-Type: application/json\r\n{length}Connection: close\r\n\r\n{body}"
    )
}

fn relay(asked: &Asked, mut client: UnixStream, target: &PathBuf) -> io::Result<()> {
    let mut engine = UnixStream::connect(target)?;
    let bytes = [
        asked.head.as_bytes(),
        b"Connection: close\r\n\r\n",
        &asked.body,
    ];
    engine.write_all(&bytes.concat())?;
    io::copy(&mut engine, &mut client).map(drop)
}

/// The answer to what concerns one container; none to all else.
fn on_paper(asked: &Asked, containers: &Shelf) -> Option<(u16, Value)> {
    let (method, path, query) = asked.line();
    let mut containers = containers.lock().unwrap_or_else(PoisonError::into_inner);
    let done = match (method, path.as_slice()) {
        ("POST", ["containers", "create"]) => return Some(containers.create(&asked.body, query)),
        ("POST", ["containers", id, "start"]) => containers.set(id, "running"),
        ("POST", ["containers", id, "stop" | "kill"]) => containers.set(id, "exited"),
        ("GET", ["containers", id, "json"]) => {
            let made = containers.made.get(*id);
            made.map(|container| (200, container.clone()))
        }
        ("DELETE", ["containers", id]) => {
            let removed = containers.made.remove(*id);
            removed.map(|_| (204, Value::Null))
        }
        _ => return None,
    };
    Some(done.unwrap_or((404, json!({"message": "No such container"}))))
}

impl Containers {
    fn create(&mut self, body: &[u8], query: &str) -> (u16, Value) {
        let config: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = query.split('&').find_map(|pair| pair.strip_prefix("name="));
        self.ever += 1;
        let id = format!("{:064x}", self.ever);
        let container = json!({
            "Id": id, "Name": format!("/{}", name.unwrap_or_default()), "Image": config["Image"],
            "Config": {"Labels": config["Labels"]},
            "State": {"Status": "created", "Running": false, "Pid": 1, "StartedAt": "2026-01-01T00:00:00Z"},
        });
        self.made.insert(id.clone(), container);
        (201, json!({"Id": id, "Warnings": []}))
    }

    /// None if there is no such container.
    fn set(&mut self, id: &str, status: &str) -> Option<(u16, Value)> {
        let state = &mut self.made.get_mut(id)?["State"];
        (state["Status"], state["Running"]) = (status.into(), (status == "running").into());
        Some((204, Value::Null))
    }
}
