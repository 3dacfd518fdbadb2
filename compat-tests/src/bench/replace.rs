//! How soon the tasks of a lost worker run on another.

use std::time::{Duration, Instant};

use serde_json::json;

use super::cluster::{Loss, Swarm, list};
use super::turns::in_turn;
use super::{Sample, create};
use crate::http::Connection;
use crate::testbed::{IMAGE, unique};
use crate::{Error, Options, wait};

const TASKS: usize = 6;
const WORKERS: usize = 2;
/// The first host is the manager.
const LOST: usize = 1;
const LIMIT: Duration = Duration::from_secs(120);

/// Seconds from the loss of one of two workers until all tasks run on the other.
pub fn take(loss: Loss, runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let mut stock = Swarm::form(&ours.reference(), 1, WORKERS, 0)?;
    let mut ours = Swarm::form(ours, 1, WORKERS, 0)?;
    in_turn(runs, &mut ours, &mut stock, |swarm| replaced(swarm, loss))
}

fn replaced(swarm: &mut Swarm, loss: Loss) -> Result<f64, Error> {
    let mut connection = Connection::open(&swarm.host(0).socket(), LIMIT)?;
    let spec = json!({
        "Name": unique("bench"),
        "TaskTemplate": {
            "ContainerSpec": {"Image": IMAGE, "Command": ["sleep", "3600"]},
            "Placement": {"Constraints": ["node.role == worker"]},
        },
        "Mode": {"Replicated": {"Replicas": TASKS}},
    });
    let created = create::send(&mut connection, "POST", "/services/create", Some(&spec))?;
    let service = created["ID"].as_str().unwrap_or_default();
    let node = node_of(swarm, LOST)?;
    until_running(swarm, service, None)?;
    let lost = Instant::now();
    swarm.lose(LOST, loss)?;
    until_running(swarm, service, Some(&node))?;
    let seconds = lost.elapsed().as_secs_f64();
    swarm.recover(LOST, loss)?;
    create::send(
        &mut connection,
        "DELETE",
        &format!("/services/{service}"),
        None,
    )?;
    for at in 1..=WORKERS {
        create::nothing_runs(swarm.host(at))?;
    }
    Ok(seconds)
}

fn node_of(swarm: &Swarm, at: usize) -> Result<String, Error> {
    let nodes = list(swarm.host(0), "/nodes").map_err(Error::Setup)?;
    let name = swarm.host(at).name();
    let node = nodes
        .iter()
        .find(|node| node["Description"]["Hostname"] == name);
    let id = node.and_then(|node| node["ID"].as_str());
    id.map(str::to_owned)
        .ok_or_else(|| Error::Setup(format!("no node {name}")))
}

/// Waits until as many tasks as are wanted run on other nodes than `but`.
fn until_running(swarm: &Swarm, service: &str, but: Option<&str>) -> Result<(), Error> {
    let filters = format!(
        "%7B%22service%22:%5B%22{service}%22%5D,%22desired-state%22:%5B%22running%22%5D%7D"
    );
    let target = format!("/tasks?filters={filters}");
    wait::until("running tasks", LIMIT, || {
        let tasks = list(swarm.host(0), &target)?;
        let running = tasks
            .iter()
            .filter(|task| task["Status"]["State"] == "running" && task["NodeID"].as_str() != but);
        match running.count() {
            TASKS => Ok(()),
            some => Err(format!("{some} of {TASKS}")),
        }
    })
}
