//! Clients that read and write registers at several managers while something happens to these, and write down what they
//! saw.
//!
//! A register is a label of a config. The API updates a config only if it has the version that was read, which is what
//! [`crate::history`] judges by.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Error;
use crate::history::{Operation, Outcome, Tally, UNWRITTEN, judge};
use crate::http::{Connection, Response};
use crate::testbed::unique;
use crate::wait;

const REGISTERS: usize = 6;

/// Longer than any manager lets a request wait.
const CALL: Duration = Duration::from_secs(30);

/// Between two operations of a client: all together are to leave the machine room for what is tried.
const PAUSE: Duration = Duration::from_millis(25);

/// How soon after the last fault everything is to be readable.
const HEALED: Duration = Duration::from_secs(30);

const LABEL: &str = "value";

/// Clients at work, until [`Clients::finish`].
pub struct Clients {
    sockets: Vec<PathBuf>,
    registers: Arc<Vec<String>>,
    began: Instant,
    count: Arc<Count>,
    threads: Vec<JoinHandle<Vec<Operation>>>,
}

#[derive(Default)]
struct Count {
    ended: AtomicBool,
    acknowledged: AtomicU64,
    answered: AtomicU64,
    value: AtomicU64,
}

impl Clients {
    /// Two clients at each of these API sockets.
    pub fn start(sockets: &[PathBuf]) -> Result<Self, Error> {
        let Some(first) = sockets.first() else {
            return Err(Error::Setup("clients without a manager".to_owned()));
        };
        let registers = (0..REGISTERS).map(|_| create(first));
        let registers = Arc::new(registers.collect::<Result<Vec<_>, _>>()?);
        let (began, count) = (Instant::now(), Arc::new(Count::default()));
        let two_at_each = sockets.iter().chain(sockets).enumerate();
        let threads = two_at_each.map(|(number, socket)| {
            let mut client = Client {
                socket: socket.clone(),
                registers: registers.clone(),
                began,
                count: count.clone(),
                seed: number as u64 + 1,
                seen: Vec::new(),
            };
            thread::spawn(move || {
                client.work();
                client.seen
            })
        });
        let threads = threads.collect();
        Ok(Self {
            sockets: sockets.to_vec(),
            registers,
            began,
            count,
            threads,
        })
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.count.acknowledged.load(Ordering::Acquire)
    }

    /// How many reads and writes went well so far.
    pub fn answered(&self) -> u64 {
        self.count.answered.load(Ordering::Acquire)
    }

    /// Ends the clients, reads every register at every socket, removes them and judges all that was seen.
    pub fn finish(mut self) -> Result<Tally, String> {
        self.count.ended.store(true, Ordering::Release);
        let mut history = Vec::new();
        for thread in self.threads.drain(..) {
            let seen = thread.join().map_err(|_| "a client panicked".to_owned())?;
            history.extend(seen);
        }
        for (register, id) in self.registers.iter().enumerate() {
            for socket in &self.sockets {
                let began = self.began.elapsed();
                let last = wait::until("the last read", HEALED, || {
                    read(socket, id).map(|(version, value, _)| (version, value))
                });
                let (version, value) = last.map_err(|error| error.to_string())?;
                history.push(Operation {
                    register,
                    began,
                    ended: self.began.elapsed(),
                    outcome: Outcome::Read { version, value },
                });
            }
            let removed = call(&self.sockets[0], "DELETE", &format!("/configs/{id}"), None);
            removed.map_err(|error| error.to_string())?;
        }
        judge(&history).map_err(|wrong| wrong.join("\n"))
    }
}

impl Drop for Clients {
    /// A test that failed leaves none of them at work.
    fn drop(&mut self) {
        self.count.ended.store(true, Ordering::Release);
    }
}

struct Client {
    socket: PathBuf,
    registers: Arc<Vec<String>>,
    began: Instant,
    count: Arc<Count>,
    seed: u64,
    seen: Vec<Operation>,
}

impl Client {
    fn work(&mut self) {
        while !self.count.ended.load(Ordering::Acquire) {
            let chance = self.draw();
            let register = usize::try_from(chance % REGISTERS as u64).unwrap_or_default();
            if let Some((version, spec)) = self.read(register)
                && chance & 64 == 0
            {
                self.write(register, version, spec);
            }
            thread::sleep(PAUSE);
        }
    }

    /// A number that looks drawn (xorshift).
    fn draw(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed >> 8
    }

    fn read(&mut self, register: usize) -> Option<(u64, Value)> {
        let began = self.began.elapsed();
        let (version, value, spec) = read(&self.socket, &self.registers[register]).ok()?;
        self.note(register, began, Outcome::Read { version, value });
        Some((version, spec))
    }

    fn write(&mut self, register: usize, over: u64, mut spec: Value) {
        let value = self.count.value.fetch_add(1, Ordering::Relaxed) + 1;
        spec["Labels"][LABEL] = json!(value.to_string());
        let target = format!(
            "/configs/{}/update?version={over}",
            self.registers[register]
        );
        let began = self.began.elapsed();
        let outcome = match call(&self.socket, "POST", &target, Some(&spec)) {
            Ok(answer) if answer.status == 200 => {
                self.count.acknowledged.fetch_add(1, Ordering::AcqRel);
                Outcome::Written { over, value }
            }
            Ok(answer) if answer.message().contains("update out of sequence") => {
                Outcome::Refused { value }
            }
            _ => Outcome::Unknown { over, value },
        };
        self.note(register, began, outcome);
    }

    fn note(&mut self, register: usize, began: Duration, outcome: Outcome) {
        if matches!(outcome, Outcome::Read { .. } | Outcome::Written { .. }) {
            self.count.answered.fetch_add(1, Ordering::AcqRel);
        }
        self.seen.push(Operation {
            register,
            began,
            ended: self.began.elapsed(),
            outcome,
        });
    }
}

fn create(socket: &Path) -> Result<String, Error> {
    let spec = json!({"Name": unique("register"), "Data": "eA==", "Labels": {}});
    let made = call(socket, "POST", "/configs/create", Some(&spec))?.success()?;
    let id = made["ID"].as_str().map(str::to_owned);
    id.ok_or_else(|| Error::Answer(made.to_string()))
}

/// Version, value and spec of a register.
fn read(socket: &Path, id: &str) -> Result<(u64, u64, Value), String> {
    let answer = call(socket, "GET", &format!("/configs/{id}"), None);
    let config = answer.and_then(|answer| answer.success());
    let mut config = config.map_err(|error| error.to_string())?;
    let version = config["Version"]["Index"].as_u64();
    let version = version.ok_or_else(|| format!("no version: {config}"))?;
    let value = config["Spec"]["Labels"][LABEL].as_str();
    let value = value.map_or(Ok(UNWRITTEN), str::parse);
    let value = value.map_err(|error| format!("{error}: {config}"))?;
    Ok((version, value, config["Spec"].take()))
}

fn call(
    socket: &Path,
    method: &str,
    target: &str,
    body: Option<&Value>,
) -> Result<Response, Error> {
    Connection::open(socket, CALL)?.call_json(method, target, body)
}
