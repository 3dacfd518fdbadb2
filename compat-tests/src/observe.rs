//! What a user and the engine see of services: the questions that several suites ask.

use std::time::Duration;

use serde_json::Value;

use crate::command::Output;
use crate::error::Tried;
use crate::{Error, Host, testbed, wait};

const SETTLE: Duration = Duration::from_secs(60);

/// A container that runs, or ran, a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskContainer {
    /// The task's id, from the container's label.
    pub task: String,
    pub container: String,
    pub name: String,
    pub running: bool,
    /// As the engine writes it; empty if it has not started.
    pub started_at: String,
}

/// Runs the stock command with our plugin among its own; flags may tell which daemon is meant.
pub fn with_plugin(host: &Host, args: &[&str]) -> Result<Output, Error> {
    let config = host.files().join("docker-config");
    let plugins = config.join("cli-plugins");
    let plugin = plugins.join("docker-swarmrs");
    if !plugin.exists() {
        let copy = || format!("copy {}", plugin.display());
        std::fs::create_dir_all(&plugins).tried(copy)?;
        std::fs::copy(testbed::plugin()?, &plugin).tried(copy)?;
    }
    let config = config.display().to_string();
    host.docker(&[&["--config", &config], args].concat())
}

/// Waits until `service ls` shows `replicas` (`3/3`) for the service.
pub fn wait_for_replicas(host: &Host, service: &str, replicas: &str) -> Result<(), Error> {
    let what = format!("{replicas} of {service}");
    let settled = wait::until(&what, SETTLE, || {
        let shown = shown_replicas(host, service).map_err(|error| error.to_string())?;
        if shown == replicas {
            Ok(())
        } else {
            Err(shown)
        }
    });
    settled.map_err(
        |error| match host.docker(&["service", "ps", "--no-trunc", service]) {
            Ok(tasks) => Error::Setup(format!("{error}\n{}{}", tasks.stdout, tasks.stderr)),
            Err(_) => error,
        },
    )
}

/// What `service ls` shows in its column REPLICAS; empty if there is no such service.
pub fn shown_replicas(host: &Host, service: &str) -> Result<String, Error> {
    let format = "{{.Name}} {{.Replicas}}";
    let output = host.docker(&["service", "ls", "--format", format])?;
    let rows = output.success()?.lines();
    let row = rows
        .filter_map(|row| row.split_once(' '))
        .find(|(name, _)| *name == service);
    Ok(row
        .map(|(_, replicas)| replicas.to_owned())
        .unwrap_or_default())
}

/// All containers of a service that the engine knows, asked past swarmrsd, in order of their tasks.
pub fn task_containers(host: &Host, service: &str) -> Result<Vec<TaskContainer>, Error> {
    let target = format!(
        "/containers/json?all=1&filters=%7B%22label%22:%5B%22com.docker.swarm.service.name={service}%22%5D%7D"
    );
    let list = host.engine_api("GET", &target, None)?.success()?;
    let ids = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|container| container["Id"].as_str());
    let mut containers = Vec::new();
    for id in ids {
        let answer = host.engine_api("GET", &format!("/containers/{id}/json"), None)?;
        // Removed between the two calls: then it is not there.
        if answer.status != 404 {
            containers.push(task_container(&answer.success()?));
        }
    }
    containers.sort();
    Ok(containers)
}

fn task_container(inspected: &Value) -> TaskContainer {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    TaskContainer {
        task: text(&inspected["Config"]["Labels"]["com.docker.swarm.task.id"]),
        container: text(&inspected["Id"]),
        name: text(&inspected["Name"]).trim_start_matches('/').to_owned(),
        running: inspected["State"]["Running"].as_bool().unwrap_or_default(),
        started_at: text(&inspected["State"]["StartedAt"]),
    }
}

/// The tasks of a service as the API lists them; empty if the service is unknown.
pub fn tasks(host: &Host, service: &str) -> Result<Vec<Value>, Error> {
    let target = format!("/tasks?filters=%7B%22service%22:%7B%22{service}%22:true%7D%7D");
    let answer = host.api("GET", &target, None)?;
    if answer.status == 404 {
        return Ok(Vec::new());
    }
    Ok(answer.success()?.as_array().cloned().unwrap_or_default())
}

/// Waits until the engine has no container of the service left.
pub fn wait_until_gone(host: &Host, service: &str) -> Result<(), Error> {
    wait::until(
        &format!("the end of {service}"),
        SETTLE,
        || match task_containers(host, service) {
            Ok(left) if left.is_empty() => Ok(()),
            Ok(left) => Err(format!("{left:?}")),
            Err(error) => Err(error.to_string()),
        },
    )
}
