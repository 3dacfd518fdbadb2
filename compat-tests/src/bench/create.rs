//! How long a service takes from the API call until all its tasks run.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Pair, Sample, turns};
use crate::http::Connection;
use crate::testbed::{IMAGE, unique};
use crate::{Error, Host, wait};

const POLL: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(120);

/// Measures services of `tasks` tasks, on both swarms and by the engine alone.
pub fn take(tasks: usize, runs: usize, pair: &Pair) -> Result<Vec<Sample>, Error> {
    let (mut ours, mut stock) = (pair.ours.host(0), pair.stock.host(0));
    let mut samples = Vec::new();
    for turn in 0..=runs {
        let sample = turns::pair(turn, &mut ours, &mut stock, |host| service(host, tasks))?;
        samples.push(Sample {
            floor: Some(containers(stock, tasks)?),
            ..sample
        });
    }
    Ok(samples.split_off(1))
}

/// Creates a service, waits until all its tasks run, removes it; returns the seconds until they ran.
fn service(host: &Host, tasks: usize) -> Result<f64, Error> {
    let spec = json!({
        "Name": unique("bench"),
        "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Command": ["sleep", "600"], "StopSignal": "SIGKILL"}},
        "Mode": {"Replicated": {"Replicas": tasks}},
    });
    let mut connection = Connection::open(&host.socket(), LIMIT)?;
    let started = Instant::now();
    let created = send(&mut connection, "POST", "/services/create", Some(&spec))?;
    let id = created["ID"].as_str().unwrap_or_default().to_owned();
    let list = format!("/services?status=true&filters=%7B%22id%22:%7B%22{id}%22:true%7D%7D");
    while running(&send(&mut connection, "GET", &list, None)?) < tasks as u64 {
        if started.elapsed() > LIMIT {
            let last = send(&mut connection, "GET", "/tasks", None)?.to_string();
            return Err(Error::Deadline {
                what: format!("{tasks} running tasks"),
                limit: LIMIT,
                last,
            });
        }
        thread::sleep(POLL);
    }
    let seconds = started.elapsed().as_secs_f64();
    send(&mut connection, "DELETE", &format!("/services/{id}"), None)?;
    nothing_runs(host)?;
    Ok(seconds)
}

pub(super) fn running(services: &Value) -> u64 {
    services[0]["ServiceStatus"]["RunningTasks"]
        .as_u64()
        .unwrap_or(0)
}

/// Creates and starts as many containers by the engine's API, all at once as a swarm does; returns the seconds.
fn containers(host: &Host, count: usize) -> Result<f64, Error> {
    let socket = host.engine().socket();
    let started = Instant::now();
    let ids = side_by_side(count, |_| container(&socket))?;
    let seconds = started.elapsed().as_secs_f64();
    let mut connection = Connection::open(&socket, LIMIT)?;
    for id in ids {
        send(
            &mut connection,
            "DELETE",
            &format!("/containers/{id}?force=1"),
            None,
        )?;
    }
    Ok(seconds)
}

/// Does the same on so many threads at once, each with its number.
pub(super) fn side_by_side<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        let results = threads.into_iter().map(|thread| {
            let panicked = |_| Err(Error::Setup("a thread panicked".to_owned()));
            thread.join().unwrap_or_else(panicked)
        });
        results.collect()
    })
}

fn container(engine: &Path) -> Result<String, Error> {
    let mut connection = Connection::open(engine, LIMIT)?;
    let config = json!({"Image": IMAGE, "Cmd": ["sleep", "600"]});
    let created = send(
        &mut connection,
        "POST",
        &format!("/containers/create?name={}", unique("floor")),
        Some(&config),
    )?;
    let id = created["Id"].as_str().unwrap_or_default().to_owned();
    send(
        &mut connection,
        "POST",
        &format!("/containers/{id}/start"),
        None,
    )?;
    Ok(id)
}

pub(super) fn send(
    connection: &mut Connection,
    method: &str,
    target: &str,
    body: Option<&Value>,
) -> Result<Value, Error> {
    connection.call_json(method, target, body)?.success()
}

/// Waits until the engine has no container left: the next run starts from rest.
pub(super) fn nothing_runs(host: &Host) -> Result<(), Error> {
    wait::until("the end of all containers", LIMIT, || {
        let list = host
            .engine_api("GET", "/containers/json?all=1", None)
            .and_then(|answer| answer.success());
        match list {
            Ok(Value::Array(list)) if list.is_empty() => Ok(()),
            Ok(list) => Err(list.to_string()),
            Err(error) => Err(error.to_string()),
        }
    })
}
