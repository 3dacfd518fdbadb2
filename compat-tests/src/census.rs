//! What a swarm of one node consists of, counted so that two counts can be compared: before and after a reboot, a power cut,
//! an upgrade, a restore.
//!
//! It is taken through any stock `docker` command, given as a function: on a testbed's host, on a machine, over ssh.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Error;

/// The swarm and what runs. Task ids and container ids are left out: a task that ended with the machine is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// Swarm id, node id and the node's state.
    pub swarm: String,
    /// Join tokens: a token handed out stays good.
    pub tokens: Vec<String>,
    /// Name → id, spec and update status as JSON.
    pub services: BTreeMap<String, String>,
    /// Name → replicas as `service ls` shows them.
    pub replicas: BTreeMap<String, String>,
    /// What services use: network, secret or config, and its name → id.
    pub used: BTreeMap<String, String>,
    /// Service and slot, or the name of a container of no service → how many of it run.
    pub running: BTreeMap<String, usize>,
}

/// Runs `docker` with these arguments and returns what it printed.
pub type Docker<'a> = &'a dyn Fn(&[&str]) -> Result<String, Error>;

impl Census {
    /// Counts.
    pub fn take(docker: Docker<'_>) -> Result<Self, Error> {
        let swarm = "{{.Swarm.Cluster.ID}} {{.Swarm.NodeID}} {{.Swarm.LocalNodeState}}";
        let token = |role| docker(&["swarm", "join-token", "--quiet", role]);
        let services = rows(
            docker,
            &["service", "ls", "--format", "{{.Name}}\t{{.Replicas}}"],
        )?;
        let spec = |name: &str| {
            let inspected = docker(&["service", "inspect", name])?;
            Ok((name.to_owned(), state_of_service(&inspected)))
        };
        Ok(Self {
            swarm: docker(&["info", "--format", swarm])?,
            tokens: vec![token("manager")?, token("worker")?],
            services: services
                .keys()
                .map(|name| spec(name))
                .collect::<Result<_, Error>>()?,
            replicas: services,
            used: used(docker)?,
            running: running(docker)?,
        })
    }

    /// Whatever runs more than once, which nothing may.
    pub fn doubled(&self) -> Vec<&str> {
        let doubled = self.running.iter().filter(|(_, count)| **count > 1);
        doubled.map(|(name, _)| name.as_str()).collect()
    }
}

/// The swarm's networks, secrets and configs.
fn used(docker: Docker<'_>) -> Result<BTreeMap<String, String>, Error> {
    let of_the_swarm = ["--filter", "scope=swarm"];
    let kinds: [(&str, &[&str]); 3] =
        [("network", &of_the_swarm), ("secret", &[]), ("config", &[])];
    let mut used = BTreeMap::new();
    for (kind, filter) in kinds {
        let list = [kind, "ls", "--format", "{{.Name}}\t{{.ID}}"];
        let found = rows(docker, &[&list[..], filter].concat())?;
        used.extend(
            found
                .into_iter()
                .map(|(name, id)| (format!("{kind} {name}"), id)),
        );
    }
    Ok(used)
}

/// How many containers run for each slot of a service and under each other name.
pub fn running(docker: Docker<'_>) -> Result<BTreeMap<String, usize>, Error> {
    let format = "{{.Names}}\t{{.Label \"com.docker.swarm.task.name\"}}";
    let mut running = BTreeMap::new();
    for (name, task) in rows(docker, &["ps", "--no-trunc", "--format", format])? {
        // A task's name is service.slot.id, or service.node.id.
        let of = task
            .rsplit_once('.')
            .map_or(name, |(slot, _)| slot.to_owned());
        *running.entry(of).or_default() += 1;
    }
    Ok(running)
}

/// Lines of two columns.
fn rows(docker: Docker<'_>, args: &[&str]) -> Result<BTreeMap<String, String>, Error> {
    let output = docker(args)?;
    let rows = output
        .lines()
        .map(|line| line.split_once('\t').unwrap_or((line, "")));
    Ok(rows
        .map(|(left, right)| (left.to_owned(), right.to_owned()))
        .collect())
}

/// What a service is, without what changes by the mere passing of time.
fn state_of_service(inspected: &str) -> String {
    let services: Vec<Value> = serde_json::from_str(inspected).unwrap_or_default();
    let of = |service: &Value| {
        let kept = ["ID", "Spec", "PreviousSpec", "CreatedAt", "UpdateStatus"];
        let kept = kept.map(|key| (key.to_owned(), service[key].clone()));
        Value::Object(kept.into_iter().collect()).to_string()
    };
    services.iter().map(of).collect()
}
