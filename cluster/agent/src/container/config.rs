//! What the engine is asked for: a task's order as the JSON body of `POST /containers/create`. Pure.
//!
//! Follows dockerd's own executor (`daemon/cluster/executor/container/container.go`) in what becomes of each field of a
//! spec. Only limits reach the container, never reservations; there is no restart policy, since the swarm restarts.
//! What this node's engine would silently leave out is refused.

mod host;
mod mount;
mod payload;

use crate::container::{image, label};
use crate::secret::Surroundings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use swarmrs_engine::ApiVersion;
use swarmrs_template::{Context, expand_env, expand_hostname};
use swarmrs_types::assignment::Order;
use swarmrs_types::spec::{
    ContainerSpec, GenericResource, HealthConfig, PortConfig, Protocol, TaskSpec,
};

/// What of this node a container's configuration depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    pub hostname: String,
    /// As the kernel names it.
    pub architecture: String,
    pub os: String,
    /// What the engine speaks.
    pub api: ApiVersion,
    /// Where secrets and configs are laid out as files.
    pub secrets: PathBuf,
}

/// What to ask the engine for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Volumes that have a driver of their own; made before the container.
    pub volumes: Vec<Value>,
    pub container: Value,
}

/// The order cannot be a container on this node; the text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub String);

impl From<swarmrs_template::Error> for Unfit {
    fn from(error: swarmrs_template::Error) -> Self {
        Unfit(error.to_string())
    }
}

/// Lays an order out.
pub fn request(order: &Order, node: &Node) -> Result<Request, Unfit> {
    let spec = container_spec(&order.spec)?;
    refuse_isolation(spec, &node.os)?;
    refuse_unsupported(spec, node.api)?;
    let context = context(order, node);
    let mounts = mount::expand(&spec.mounts, &context)?;
    let mut binds = mount::body(&mounts);
    binds.extend(payload::mounts(order.task, spec, &node.secrets));
    let body = Body::default()
        .put("Image", json!(image::familiar(&spec.image)))
        .text("Hostname", &expand_hostname(&spec.hostname, &context)?)
        .text("User", &spec.user)
        .text("WorkingDir", &spec.dir)
        .list("Env", &environment(order, spec, &context)?)
        .list("Entrypoint", &spec.command)
        .list("Cmd", &spec.args)
        .text("StopSignal", &spec.stop_signal)
        .maybe("StopTimeout", stop_timeout(spec))
        .flag("Tty", spec.tty)
        .flag("OpenStdin", spec.open_stdin)
        .maybe("Healthcheck", spec.healthcheck.as_ref().map(health))
        .map("ExposedPorts", exposed(&order.ports))
        .put("Labels", labels(order, spec))
        .put("HostConfig", host::config(order, spec, binds)?)
        .maybe("NetworkingConfig", host::networks(order));
    Ok(Request {
        volumes: mount::volumes(&mounts),
        container: body.done(),
    })
}

/// Seconds between the stop signal and SIGKILL; none is the engine's default. Parts of a second are dropped, as stock
/// does.
pub fn stop_timeout(spec: &ContainerSpec) -> Option<u64> {
    Some(spec.stop_grace_period?.duration().as_secs())
}

/// The port's key in the engine's maps: `80/tcp`.
fn port_key(port: &PortConfig) -> String {
    let protocol = port.protocol.as_ref().map_or("tcp", Protocol::as_str);
    format!("{}/{protocol}", port.target_port)
}

fn container_spec(task: &TaskSpec) -> Result<&ContainerSpec, Unfit> {
    task.container_spec
        .as_ref()
        .ok_or_else(|| Unfit("unsupported task runtime: not a container".to_owned()))
}

/// Linux has one kind. The words are those of the stock daemon to its own agent; over its API it would use others.
fn refuse_isolation(spec: &ContainerSpec, os: &str) -> Result<(), Unfit> {
    match spec.isolation.as_str() {
        "" | "default" => Ok(()),
        other => Err(Unfit(format!("invalid isolation '{other}' on {os}"))),
    }
}

/// Fields that an engine would drop without a word.
fn refuse_unsupported(spec: &ContainerSpec, api: ApiVersion) -> Result<(), Unfit> {
    let subpath = |mount: &swarmrs_types::spec::Mount| {
        let options = mount.volume_options.as_ref();
        options.is_some_and(|options| !options.subpath.is_empty())
    };
    let tmpfs = |mount: &swarmrs_types::spec::Mount| {
        let options = mount.tmpfs_options.as_ref();
        options.is_some_and(|options| !options.options.is_empty())
    };
    let check = spec.healthcheck.as_ref();
    let needs = [
        (
            check.is_some_and(|check| !check.start_interval.is_zero()),
            44,
            "Healthcheck.StartInterval",
        ),
        (
            spec.mounts.iter().any(subpath),
            45,
            "Mounts.VolumeOptions.Subpath",
        ),
        (
            spec.mounts.iter().any(tmpfs),
            46,
            "Mounts.TmpfsOptions.Options",
        ),
    ];
    let lacks = |minor: u16| api < ApiVersion { major: 1, minor };
    match needs
        .into_iter()
        .find(|(used, minor, _)| *used && lacks(*minor))
    {
        Some((_, minor, field)) => Err(Unfit(format!(
            "ContainerSpec.{field} needs Engine API 1.{minor}, the engine of this node has {api}"
        ))),
        None => Ok(()),
    }
}

/// What templates in secrets and configs see: stock tells them of the node its id alone, and the environment as the
/// container gets it.
pub fn surroundings(order: &Order, node: &Node) -> Result<Surroundings, Unfit> {
    let mut context = context(order, node);
    let env = expand_env(&container_spec(&order.spec)?.env, &context)?;
    context.node = swarmrs_template::Node {
        id: context.node.id,
        ..Default::default()
    };
    Ok(Surroundings { context, env })
}

/// What templates see. A task without a slot has its node's id there, as in its name.
fn context(order: &Order, node: &Node) -> Context {
    let slot = match order.slot {
        0 => node.id.clone(),
        slot => slot.to_string(),
    };
    Context {
        service: swarmrs_template::Service {
            id: order.service.to_string(),
            name: order.service_name.clone(),
            labels: order.service_labels.clone(),
        },
        node: swarmrs_template::Node {
            id: node.id.clone(),
            hostname: node.hostname.clone(),
            platform: swarmrs_template::Platform {
                architecture: node.architecture.clone(),
                os: node.os.clone(),
            },
        },
        task: swarmrs_template::Task {
            id: order.task.to_string(),
            name: order.name.clone(),
            slot,
        },
    }
}

/// The spec's environment, then what the task was given of each generic resource.
fn environment(
    order: &Order,
    spec: &ContainerSpec,
    context: &Context,
) -> Result<Vec<String>, Unfit> {
    let mut env = expand_env(&spec.env, context)?;
    env.extend(resources(&order.resources));
    Ok(env)
}

/// One variable for each kind, in the order of the kinds; a list where the task has several by name.
fn resources(given: &[GenericResource]) -> impl Iterator<Item = String> {
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in given {
        if let Some(count) = &resource.discrete_resource_spec {
            let values = kinds.entry(count.kind.to_uppercase()).or_default();
            values.push(count.value.to_string());
        }
        if let Some(name) = &resource.named_resource_spec {
            let values = kinds.entry(name.kind.to_uppercase()).or_default();
            values.push(name.value.clone());
        }
    }
    let line = |(kind, values): (String, Vec<String>)| {
        format!("DOCKER_RESOURCE_{kind}={}", values.join(","))
    };
    kinds.into_iter().map(line)
}

/// The system's labels come last: a user cannot pass a container off as another task's.
fn labels(order: &Order, spec: &ContainerSpec) -> Value {
    let mut labels = spec.labels.clone();
    label::put_on(&mut labels, order);
    json!(labels)
}

/// The names are the engine's own.
fn health(check: &HealthConfig) -> Value {
    json!(check)
}

fn exposed(ports: &[PortConfig]) -> Map<String, Value> {
    ports
        .iter()
        .map(|port| (port_key(port), json!({})))
        .collect()
}

/// An object that holds only what is set: what is absent, the engine or the image decides.
#[derive(Default)]
struct Body(Map<String, Value>);

impl Body {
    fn put(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    fn maybe(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.put(key, value.into()),
            None => self,
        }
    }

    fn text(self, key: &str, text: &str) -> Self {
        self.maybe(key, (!text.is_empty()).then_some(text))
    }

    fn flag(self, key: &str, set: bool) -> Self {
        self.maybe(key, set.then_some(true))
    }

    fn number(self, key: &str, number: i64) -> Self {
        self.maybe(key, (number != 0).then_some(number))
    }

    fn list(self, key: &str, items: &[String]) -> Self {
        self.maybe(key, (!items.is_empty()).then(|| json!(items)))
    }

    fn map(self, key: &str, map: Map<String, Value>) -> Self {
        self.maybe(key, (!map.is_empty()).then_some(map))
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

#[cfg(test)]
mod tests;
