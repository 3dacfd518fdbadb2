//! What swarmrsd needs while nothing happens.

use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{SysconfVar, sysconf};
use serde_json::{Value, json};

use super::create::send;
use super::{Sample, init};
use crate::error::Tried;
use crate::http::Connection;
use crate::testbed::IMAGE;
use crate::{Error, Host, Options, Testbed, wait};

const TASKS: usize = 10;
const WRITES: usize = 1_000;
const REST: Duration = Duration::from_secs(60);
const WATCHED: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(120);

/// MiB resident after a minute of rest.
pub fn memory(runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    (0..runs)
        .map(|_| Ok(alone(resident(&rested(ours)?)?)))
        .collect()
}

/// Per cent of a core, over half a minute that follows a minute of rest.
pub fn processor(runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    (0..runs)
        .map(|_| Ok(alone(usage(&rested(ours)?)?)))
        .collect()
}

/// A stock dockerd has no number of its own to set against: its swarm mode is part of the process.
fn alone(ours: f64) -> Sample {
    Sample {
        ours,
        stock: None,
        floor: None,
    }
}

/// A swarm with ten tasks, a thousand writes and a minute of rest behind it. A fresh one each time: memory has a history.
fn rested(ours: &Options) -> Result<Testbed, Error> {
    let testbed = Testbed::hosts(1, ours)?;
    let host = testbed.host(0);
    init(host)?;
    let mut connection = Connection::open(&host.socket(), LIMIT)?;
    let created = send(&mut connection, "POST", "/services/create", Some(&spec(0)))?;
    let id = created["ID"].as_str().unwrap_or_default();
    settled(host)?;
    for write in 0..WRITES {
        let service = format!("/services/{id}");
        let shown = send(&mut connection, "GET", &service, None)?;
        let version = shown["Version"]["Index"].as_u64().unwrap_or_default();
        let update = format!("{service}/update?version={version}");
        send(&mut connection, "POST", &update, Some(&spec(write + 1)))?;
    }
    drop(connection);
    // Rest is the thing measured, not a wait for a condition.
    thread::sleep(REST);
    settled(host)?;
    Ok(testbed)
}

/// A label of the service alone changes: a write that replaces no task.
fn spec(write: usize) -> Value {
    json!({
        "Name": "idle",
        "Labels": {"write": write.to_string()},
        "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Command": ["sleep", "3600"]}},
        "Mode": {"Replicated": {"Replicas": TASKS}},
    })
}

fn settled(host: &Host) -> Result<(), Error> {
    wait::until("ten running tasks", LIMIT, || {
        let list = host
            .docker(&["service", "ls", "--format", "{{.Replicas}}"])
            .map_err(|e| e.to_string())?;
        if list.stdout.trim() == format!("{TASKS}/{TASKS}") {
            Ok(())
        } else {
            Err(list.stdout + &list.stderr)
        }
    })
}

/// MiB resident now.
pub(super) fn resident(testbed: &Testbed) -> Result<f64, Error> {
    let status = proc(testbed, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0)
        .ok_or_else(|| Error::Setup("swarmrsd has no VmRSS".to_owned()))
}

fn usage(testbed: &Testbed) -> Result<f64, Error> {
    let (started, before) = (Instant::now(), ticks(testbed)?);
    thread::sleep(WATCHED);
    let used = ticks(testbed)? - before;
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Ok(used / per_second as f64 / started.elapsed().as_secs_f64() * 100.0)
}

/// User and system time so far, in clock ticks.
fn ticks(testbed: &Testbed) -> Result<f64, Error> {
    let stat = proc(testbed, "stat")?;
    let fields = stat
        .rsplit_once(')')
        .map(|(_, fields)| fields.split_whitespace().skip(11).take(2));
    let times = fields
        .into_iter()
        .flatten()
        .map(str::parse::<f64>)
        .collect::<Result<Vec<_>, _>>();
    times
        .map(|times| times.iter().sum())
        .map_err(|e| Error::Setup(format!("/proc/*/stat of swarmrsd: {e}")))
}

fn proc(testbed: &Testbed, file: &str) -> Result<String, Error> {
    let pid = testbed.host(0).daemon().pid().unwrap_or_default();
    std::fs::read_to_string(format!("/proc/{pid}/{file}"))
        .tried(|| format!("read /proc/{pid}/{file}"))
}
