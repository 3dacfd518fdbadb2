//! How soon a worker that joins is ready.

use std::time::{Duration, Instant};

use super::Sample;
use super::cluster::{Swarm, is_ready, list};
use super::turns::in_turn;
use crate::{Error, Options, wait};

/// The first host is the manager.
const JOINS: usize = 1;
const LIMIT: Duration = Duration::from_secs(60);

/// Seconds from the stock command's start until a manager shows the node as ready.
pub fn take(runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let mut stock = Swarm::form(&ours.reference(), 1, 0, 1)?;
    let mut ours = Swarm::form(ours, 1, 0, 1)?;
    in_turn(runs, &mut ours, &mut stock, joined)
}

fn joined(swarm: &mut Swarm) -> Result<f64, Error> {
    let (manager, host) = (swarm.host(0), swarm.host(JOINS));
    let began = Instant::now();
    swarm.join(JOINS)?;
    let shown = |node: &serde_json::Value| node["Description"]["Hostname"] == host.name();
    let id = wait::until("a node that is ready", LIMIT, || {
        let nodes = list(manager, "/nodes")?;
        let node = nodes.iter().find(|node| shown(node) && is_ready(node));
        let id = node.and_then(|node| Some(node["ID"].as_str()?.to_owned()));
        id.ok_or_else(|| format!("{nodes:?}"))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    host.docker(&["swarm", "leave"])?.success()?;
    wait::until("a node that is gone", LIMIT, || {
        let removed = manager.docker(&["node", "rm", &id]);
        let removed = removed.and_then(|output| output.success().map(drop));
        removed.map_err(|error| error.to_string())
    })?;
    Ok(seconds)
}
