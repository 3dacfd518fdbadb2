//! The table of calls that the daemon looks at: method and path to one [`Endpoint`] with its class.
//!
//! What is not in this table and does not start with one of our segments is the engine's alone.

use http::Method;

use super::Class;

/// A call of the Engine API that the cluster answers, merges into or may rewrite.
///
/// `id` is what the client wrote in that place: a full id, a name or a prefix. Where the engine's own route takes slashes
/// (networks, volumes, containers), so does this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "each name is the call it stands for; the table below has its method and path"
)]
pub enum Endpoint {
    SwarmInspect,
    SwarmInit,
    SwarmJoin,
    SwarmLeave,
    SwarmUpdate,
    SwarmUnlockKey,
    SwarmUnlock,
    NodeList,
    NodeInspect {
        id: String,
    },
    NodeUpdate {
        id: String,
    },
    NodeRemove {
        id: String,
    },
    ServiceList,
    ServiceCreate,
    ServiceInspect {
        id: String,
    },
    ServiceUpdate {
        id: String,
    },
    ServiceRemove {
        id: String,
    },
    ServiceLogs {
        id: String,
    },
    TaskList,
    TaskInspect {
        id: String,
    },
    TaskLogs {
        id: String,
    },
    SecretList,
    SecretCreate,
    SecretInspect {
        id: String,
    },
    SecretUpdate {
        id: String,
    },
    SecretRemove {
        id: String,
    },
    ConfigList,
    ConfigCreate,
    ConfigInspect {
        id: String,
    },
    ConfigUpdate {
        id: String,
    },
    ConfigRemove {
        id: String,
    },
    /// Our own API, `/swarmrs/…`; `path` is what follows, for example `v1/status`.
    Swarmrs {
        method: Method,
        path: String,
    },
    /// `OPTIONS` on one of our paths: 200 and nothing else.
    Options,
    /// Below one of our segments, but no call of the API: 404 `page not found`, from us.
    OursUnknown,

    Info,
    Ping,
    Version,
    Events,
    SystemDf,
    NetworkList,
    NetworkCreate,
    NetworkInspect {
        id: String,
    },
    NetworkRemove {
        id: String,
    },
    VolumeList,
    VolumeCreate,
    VolumePrune,
    VolumeInspect {
        id: String,
    },
    VolumeUpdate {
        id: String,
    },
    VolumeRemove {
        id: String,
    },

    NetworkPrune,
    NetworkConnect {
        id: String,
    },
    NetworkDisconnect {
        id: String,
    },
    ContainerList,
    ContainerCreate,
    ContainerPrune,
    ContainerInspect {
        id: String,
    },
    ContainerStart {
        id: String,
    },
    ContainerRestart {
        id: String,
    },
    ContainerRemove {
        id: String,
    },
}

impl Endpoint {
    /// The name of a call that changes something, and the object in its path: what may be told of it.
    pub fn told(&self) -> (&'static str, &str) {
        match self {
            Self::SwarmInit => ("SwarmInit", ""),
            Self::SwarmJoin => ("SwarmJoin", ""),
            Self::SwarmLeave => ("SwarmLeave", ""),
            Self::SwarmUpdate => ("SwarmUpdate", ""),
            Self::SwarmUnlock => ("SwarmUnlock", ""),
            Self::NodeUpdate { id } => ("NodeUpdate", id),
            Self::NodeRemove { id } => ("NodeRemove", id),
            Self::ServiceCreate => ("ServiceCreate", ""),
            Self::ServiceUpdate { id } => ("ServiceUpdate", id),
            Self::ServiceRemove { id } => ("ServiceRemove", id),
            Self::SecretCreate => ("SecretCreate", ""),
            Self::SecretUpdate { id } => ("SecretUpdate", id),
            Self::SecretRemove { id } => ("SecretRemove", id),
            Self::ConfigCreate => ("ConfigCreate", ""),
            Self::ConfigUpdate { id } => ("ConfigUpdate", id),
            Self::ConfigRemove { id } => ("ConfigRemove", id),
            _ => ("Other", ""),
        }
    }
}

/// Looks a call up; `None` if it is not in the table.
pub(super) fn find(method: &Method, path: &[&str]) -> Option<(Class, Endpoint)> {
    let (first, rest) = path.split_first()?;
    let ours = match *first {
        "swarm" => swarm(method, rest),
        "nodes" => node(method, rest),
        "services" => service(method, rest),
        "tasks" => task(method, rest),
        "secrets" => secret(method, rest),
        "configs" => config(method, rest),
        "swarmrs" => Some(Endpoint::Swarmrs {
            method: method.clone(),
            path: rest.join("/"),
        }),
        "networks" => return network(method, rest),
        "containers" => return container(method, rest).map(|e| (Class::Rewritten, e)),
        _ => return merged(method, path).map(|e| (Class::Merged, e)),
    };
    let options = (method == Method::OPTIONS).then_some(Endpoint::Options);
    options.or(ours).map(|endpoint| (Class::Ours, endpoint))
}

fn swarm(method: &Method, rest: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), rest) {
        ("GET", []) => Endpoint::SwarmInspect,
        ("POST", ["init"]) => Endpoint::SwarmInit,
        ("POST", ["join"]) => Endpoint::SwarmJoin,
        ("POST", ["leave"]) => Endpoint::SwarmLeave,
        ("POST", ["update"]) => Endpoint::SwarmUpdate,
        ("GET", ["unlockkey"]) => Endpoint::SwarmUnlockKey,
        ("POST", ["unlock"]) => Endpoint::SwarmUnlock,
        _ => return None,
    })
}

fn node(method: &Method, rest: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), rest) {
        ("GET", []) => Endpoint::NodeList,
        ("GET", [id]) => Endpoint::NodeInspect { id: owned(id) },
        ("POST", [id, "update"]) => Endpoint::NodeUpdate { id: owned(id) },
        ("DELETE", [id]) => Endpoint::NodeRemove { id: owned(id) },
        _ => return None,
    })
}

fn service(method: &Method, rest: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), rest) {
        ("GET", []) => Endpoint::ServiceList,
        ("POST", ["create"]) => Endpoint::ServiceCreate,
        ("GET", [id]) => Endpoint::ServiceInspect { id: owned(id) },
        ("POST", [id, "update"]) => Endpoint::ServiceUpdate { id: owned(id) },
        ("DELETE", [id]) => Endpoint::ServiceRemove { id: owned(id) },
        ("GET", [id, "logs"]) => Endpoint::ServiceLogs { id: owned(id) },
        _ => return None,
    })
}

fn task(method: &Method, rest: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), rest) {
        ("GET", []) => Endpoint::TaskList,
        ("GET", [id]) => Endpoint::TaskInspect { id: owned(id) },
        ("GET", [id, "logs"]) => Endpoint::TaskLogs { id: owned(id) },
        _ => return None,
    })
}

fn secret(method: &Method, rest: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), rest) {
        ("GET", []) => Endpoint::SecretList,
        ("POST", ["create"]) => Endpoint::SecretCreate,
        ("GET", [id]) => Endpoint::SecretInspect { id: owned(id) },
        ("POST", [id, "update"]) => Endpoint::SecretUpdate { id: owned(id) },
        ("DELETE", [id]) => Endpoint::SecretRemove { id: owned(id) },
        _ => return None,
    })
}

fn config(method: &Method, rest: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), rest) {
        ("GET", []) => Endpoint::ConfigList,
        ("POST", ["create"]) => Endpoint::ConfigCreate,
        ("GET", [id]) => Endpoint::ConfigInspect { id: owned(id) },
        ("POST", [id, "update"]) => Endpoint::ConfigUpdate { id: owned(id) },
        ("DELETE", [id]) => Endpoint::ConfigRemove { id: owned(id) },
        _ => return None,
    })
}

fn merged(method: &Method, path: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), path) {
        ("GET", ["info"]) => Endpoint::Info,
        ("GET" | "HEAD", ["_ping"]) => Endpoint::Ping,
        ("GET", ["version"]) => Endpoint::Version,
        ("GET", ["events"]) => Endpoint::Events,
        ("GET", ["system", "df"]) => Endpoint::SystemDf,
        ("GET", ["volumes"]) => Endpoint::VolumeList,
        ("POST", ["volumes", "create"]) => Endpoint::VolumeCreate,
        ("POST", ["volumes", "prune"]) => Endpoint::VolumePrune,
        ("GET", ["volumes", id @ ..]) => Endpoint::VolumeInspect { id: id.join("/") },
        ("PUT", ["volumes", id @ ..]) if !id.is_empty() => {
            Endpoint::VolumeUpdate { id: id.join("/") }
        }
        ("DELETE", ["volumes", id @ ..]) if !id.is_empty() => {
            Endpoint::VolumeRemove { id: id.join("/") }
        }
        _ => return None,
    })
}

fn network(method: &Method, rest: &[&str]) -> Option<(Class, Endpoint)> {
    let merged = |endpoint| Some((Class::Merged, endpoint));
    let rewritten = |endpoint| Some((Class::Rewritten, endpoint));
    match (method.as_str(), rest) {
        ("GET", []) => merged(Endpoint::NetworkList),
        ("POST", ["create"]) => merged(Endpoint::NetworkCreate),
        ("POST", ["prune"]) => rewritten(Endpoint::NetworkPrune),
        ("GET", id) => merged(Endpoint::NetworkInspect { id: id.join("/") }),
        ("DELETE", id) if !id.is_empty() => merged(Endpoint::NetworkRemove { id: id.join("/") }),
        ("POST", [id @ .., "connect"]) if !id.is_empty() => {
            rewritten(Endpoint::NetworkConnect { id: id.join("/") })
        }
        ("POST", [id @ .., "disconnect"]) if !id.is_empty() => {
            rewritten(Endpoint::NetworkDisconnect { id: id.join("/") })
        }
        _ => None,
    }
}

fn container(method: &Method, rest: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), rest) {
        ("GET", ["json"]) => Endpoint::ContainerList,
        ("POST", ["create"]) => Endpoint::ContainerCreate,
        ("POST", ["prune"]) => Endpoint::ContainerPrune,
        ("GET", [id @ .., "json"]) => Endpoint::ContainerInspect { id: id.join("/") },
        ("POST", [id @ .., "start"]) if !id.is_empty() => {
            Endpoint::ContainerStart { id: id.join("/") }
        }
        ("POST", [id @ .., "restart"]) if !id.is_empty() => {
            Endpoint::ContainerRestart { id: id.join("/") }
        }
        ("DELETE", id) if !id.is_empty() => Endpoint::ContainerRemove { id: id.join("/") },
        _ => return None,
    })
}

fn owned(segment: &str) -> String {
    segment.to_owned()
}
