//! A recording socket: stands between swarmrsd and its engine and keeps what went to the engine.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{Error, Tried};

/// Bytes kept of one connection; the rest of a long upload is relayed, not kept.
const KEPT: usize = 8 << 20;

type Log = Arc<Mutex<Vec<Vec<u8>>>>;

/// The log of one recording socket. Relays until the process ends.
#[derive(Clone)]
pub struct Recorder {
    log: Log,
}

impl Recorder {
    /// Listens on `socket` and relays each connection to `target`.
    pub fn between(socket: &Path, target: &Path) -> Result<Self, Error> {
        let listener =
            UnixListener::bind(socket).tried(|| format!("listen on {}", socket.display()))?;
        let recorder = Self {
            log: Log::default(),
        };
        let (log, target) = (recorder.log.clone(), target.to_owned());
        thread::spawn(move || accept(&listener, &log, &target));
        Ok(recorder)
    }

    /// What each connection has sent to the engine so far, in order of connecting.
    pub fn connections(&self) -> Vec<Vec<u8>> {
        lock(&self.log).clone()
    }

    /// Forgets all that was sent so far.
    pub fn clear(&self) {
        for sent in lock(&self.log).iter_mut() {
            sent.clear();
        }
    }

    /// The request lines (`GET /x HTTP/1.1`) that have reached the engine.
    pub fn request_lines(&self) -> Vec<String> {
        let sent = self.connections();
        let text = sent
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        text.flat_map(|text| {
            text.lines()
                .filter(|line| line.ends_with(" HTTP/1.1"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
    }

    /// The head and what follows it of the first request whose line starts with `start`.
    pub fn request(&self, start: &str) -> Option<Vec<u8>> {
        self.connections().into_iter().find_map(|bytes| {
            let at = bytes
                .windows(start.len())
                .position(|window| window == start.as_bytes())?;
            Some(bytes[at..].to_vec())
        })
    }
}

fn lock(log: &Log) -> MutexGuard<'_, Vec<Vec<u8>>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &UnixListener, log: &Log, target: &Path) {
    for client in listener.incoming().flatten() {
        // An absent engine shows to the daemon as a connection that ends at once.
        let Ok(engine) = UnixStream::connect(target) else {
            continue;
        };
        let index = {
            let mut log = lock(log);
            log.push(Vec::new());
            log.len() - 1
        };
        let (Ok(back_from), Ok(back_to)) = (engine.try_clone(), client.try_clone()) else {
            continue;
        };
        let log = log.clone();
        thread::spawn(move || relay(client, engine, |bytes| keep(&log, index, bytes)));
        thread::spawn(move || relay(back_from, back_to, |_| ()));
    }
}

fn keep(log: &Log, index: usize, bytes: &[u8]) {
    let sent = &mut lock(log)[index];
    let room = KEPT.saturating_sub(sent.len()).min(bytes.len());
    sent.extend_from_slice(&bytes[..room]);
}

/// Copies until the end of `from`, then closes that half of `to` only: a half-closed stream stays half-closed.
fn relay(mut from: UnixStream, mut to: UnixStream, mut seen: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 128 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        seen(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
    drop(from.shutdown(Shutdown::Read));
}
