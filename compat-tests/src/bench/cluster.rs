//! Swarms of several hosts, ours and stock, of which something is lost.

use std::time::Duration;

use serde_json::Value;

use super::init;
use crate::{Error, Host, Options, Testbed, wait};

const LIMIT: Duration = Duration::from_secs(120);

/// The first `managers` hosts are managers, the rest are workers.
pub struct Swarm {
    testbed: Testbed,
    managers: usize,
    workers: usize,
    is_stock: bool,
}

/// A way to lose a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// What runs the swarm gets SIGTERM.
    Stop,
    /// It gets SIGKILL.
    Kill,
    /// The network cable is pulled.
    Cut,
}

impl Swarm {
    /// Makes the hosts and joins them; `spare` hosts are in no swarm.
    pub fn form(
        options: &Options,
        managers: usize,
        workers: usize,
        spare: usize,
    ) -> Result<Self, Error> {
        let swarm = Self {
            testbed: Testbed::hosts(managers + workers + spare, options)?,
            managers,
            workers,
            is_stock: options.stock,
        };
        init(swarm.host(0))?;
        for at in 1..managers + workers {
            swarm.join(at)?;
        }
        swarm.until_whole()?;
        Ok(swarm)
    }

    pub fn host(&self, at: usize) -> &Host {
        self.testbed.host(at)
    }

    /// Has a host join with the stock command.
    pub fn join(&self, at: usize) -> Result<(), Error> {
        self.host(at).join(self.host(0), self.role(at))
    }

    fn role(&self, at: usize) -> &'static str {
        if at < self.managers {
            "manager"
        } else {
            "worker"
        }
    }

    /// Waits until every node is ready, and every manager reachable, in the eyes of a manager that leads.
    pub fn until_whole(&self) -> Result<(), Error> {
        wait::until("the whole swarm", LIMIT, || {
            let leader = self.leader()?;
            let nodes = list(self.host(leader), "/nodes")?;
            let ready = nodes.iter().filter(|node| is_ready(node)).count();
            let reachable = nodes
                .iter()
                .filter(|node| node["ManagerStatus"]["Reachability"] == "reachable")
                .count();
            match ready == self.managers + self.workers && reachable == self.managers {
                true => Ok(()),
                false => Err(format!("{nodes:?}")),
            }
        })
    }

    /// The place of the host that leads, as the first manager that knows one says.
    pub fn leader(&self) -> Result<usize, String> {
        let mut seen = "nobody answers".to_owned();
        for at in 0..self.managers {
            match list(self.host(at), "/nodes") {
                Ok(nodes) => {
                    let leads = |node: &&Value| node["ManagerStatus"]["Leader"] == true;
                    if let Some(place) = nodes.iter().find(leads).and_then(|node| self.place(node))
                    {
                        return Ok(place);
                    }
                }
                Err(error) => seen = error,
            }
        }
        Err(seen)
    }

    /// The place of the host of a node.
    fn place(&self, node: &Value) -> Option<usize> {
        let name = node["Description"]["Hostname"].as_str()?;
        (0..self.managers + self.workers).find(|at| self.host(*at).name() == name)
    }

    /// Loses a host; returns when what was done is done.
    pub fn lose(&mut self, at: usize, loss: Loss) -> Result<(), Error> {
        let host = self.testbed.host_mut(at);
        match (loss, self.is_stock) {
            (Loss::Cut, _) => return self.testbed.cut_off(at),
            (Loss::Stop, true) => return host.stop_engine(),
            (Loss::Stop, false) => return host.stop_daemon(),
            (Loss::Kill, true) => host.kill_engine(),
            // A worker whose holder is left is not gone: its swarmrsd is waited for.
            (Loss::Kill, false) if at >= self.managers => host.kill_daemons(),
            (Loss::Kill, false) => host.kill_daemon(),
        }
        Ok(())
    }

    /// Has it back.
    pub fn recover(&mut self, at: usize, loss: Loss) -> Result<(), Error> {
        match (loss, self.is_stock) {
            (Loss::Cut, _) => self.testbed.reconnect(at)?,
            (_, true) => self.testbed.host_mut(at).start_engine()?,
            (_, false) => self.testbed.host_mut(at).start_daemon()?,
        }
        self.until_whole()
    }
}

/// The objects that a host's API lists.
pub fn list(host: &Host, target: &str) -> Result<Vec<Value>, String> {
    let answer = host
        .api("GET", target, None)
        .and_then(|answer| answer.success());
    match answer {
        Ok(Value::Array(list)) => Ok(list),
        Ok(other) => Err(other.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

pub fn is_ready(node: &Value) -> bool {
    node["Status"]["State"] == "ready"
}
