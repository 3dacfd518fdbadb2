//! What a container is and does, read from the engine's answers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::raw;

/// `GET /containers/{id}/json`, the part that decides. Times are the engine's own text (RFC 3339 with nanoseconds), so
/// that they can be compared for being the same.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerState {
    pub id: String,
    /// Without the leading slash.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// The image's id, `sha256:…`.
    pub image: String,
    pub created: Option<String>,
    /// The last start; `None` if it was never started.
    pub started_at: Option<String>,
    /// The last end; `None` before the first.
    pub finished_at: Option<String>,
    pub status: ContainerStatus,
    pub running: bool,
    /// The first process in the host's numbers, 0 if none runs.
    pub pid: i64,
    pub exit_code: i64,
    /// Why the engine could not start it, in its words.
    pub error: String,
    pub oom: bool,
    /// `None` without a health check.
    pub health: Option<Health>,
    /// Published ports as they are bound now; empty while it does not run.
    pub ports: Vec<PortBinding>,
    pub tty: bool,
    pub raw: Value,
}

/// One container as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSummary {
    pub id: String,
    /// Without their leading slash.
    pub names: Vec<String>,
    /// As it was asked for at creation.
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub status: ContainerStatus,
    pub raw: Value,
}

/// A container's state, as the engine names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerStatus {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
    /// One that a later engine may know.
    Other(String),
}

/// The verdict of a container's health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

/// One address of the host that leads to a port of the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortBinding {
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `0.0.0.0` and `::` for all addresses of a family.
    pub host_ip: String,
    pub host_port: u16,
}

impl ContainerState {
    pub(crate) fn from_raw(raw: Value) -> Self {
        Self {
            id: raw::text(&raw, "/Id"),
            name: bare(&raw::text(&raw, "/Name")),
            labels: raw::map(&raw, "/Config/Labels"),
            image: raw::text(&raw, "/Image"),
            created: raw::moment(&raw, "/Created"),
            started_at: raw::moment(&raw, "/State/StartedAt"),
            finished_at: raw::moment(&raw, "/State/FinishedAt"),
            status: ContainerStatus::from_name(raw::text(&raw, "/State/Status")),
            running: raw::flag(&raw, "/State/Running"),
            pid: raw::number(&raw, "/State/Pid"),
            exit_code: raw::number(&raw, "/State/ExitCode"),
            error: raw::text(&raw, "/State/Error"),
            oom: raw::flag(&raw, "/State/OOMKilled"),
            health: Health::from_name(&raw::text(&raw, "/State/Health/Status")),
            ports: ports(&raw),
            tty: raw::flag(&raw, "/Config/Tty"),
            raw,
        }
    }
}

impl ContainerSummary {
    pub(crate) fn from_raw(raw: Value) -> Self {
        Self {
            id: raw::text(&raw, "/Id"),
            names: raw::texts(&raw, "/Names")
                .iter()
                .map(|name| bare(name))
                .collect(),
            image: raw::text(&raw, "/Image"),
            labels: raw::map(&raw, "/Labels"),
            status: ContainerStatus::from_name(raw::text(&raw, "/State")),
            raw,
        }
    }
}

impl ContainerStatus {
    fn from_name(name: String) -> Self {
        match name.as_str() {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Other(name),
        }
    }
}

impl Health {
    /// A container without a check has no health at all, or says `none`.
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "starting" => Some(Self::Starting),
            "healthy" => Some(Self::Healthy),
            "unhealthy" => Some(Self::Unhealthy),
            _ => None,
        }
    }
}

fn bare(name: &str) -> String {
    name.trim_start_matches('/').to_owned()
}

/// `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}], "81/tcp": null}`: exposed ports that are not published have
/// no list.
fn ports(raw: &Value) -> Vec<PortBinding> {
    let published = raw
        .pointer("/NetworkSettings/Ports")
        .and_then(Value::as_object);
    let mut bindings: Vec<_> = published
        .into_iter()
        .flatten()
        .flat_map(|(port, hosts)| bindings(port, hosts))
        .collect();
    bindings.sort();
    bindings
}

fn bindings(port: &str, hosts: &Value) -> Vec<PortBinding> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let Ok(container_port) = number.parse() else {
        return Vec::new();
    };
    let binding = |host: &Value| {
        let host_port = raw::text(host, "/HostPort").parse().ok()?;
        Some(PortBinding {
            container_port,
            protocol: protocol.to_owned(),
            host_ip: raw::text(host, "/HostIp"),
            host_port,
        })
    };
    hosts
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(binding)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_container_never_started_has_no_times() {
        let state = ContainerState::from_raw(json!({
            "Id": "c1", "Name": "/web.1",
            "State": {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"},
        }));
        assert_eq!((state.started_at, state.finished_at), (None, None));
        assert_eq!(
            (state.name.as_str(), state.status),
            ("web.1", ContainerStatus::Created)
        );
    }

    #[test]
    fn only_published_ports_are_bindings_and_they_come_in_order() {
        let raw = json!({"NetworkSettings": {"Ports": {
            "81/tcp": null,
            "80/tcp": [{"HostIp": "::", "HostPort": "32769"}, {"HostIp": "0.0.0.0", "HostPort": "32768"}],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
        }}});
        let binding = |container_port, protocol: &str, host_ip: &str, host_port| PortBinding {
            container_port,
            protocol: protocol.into(),
            host_ip: host_ip.into(),
            host_port,
        };
        let expected = [
            binding(53, "udp", "127.0.0.1", 53),
            binding(80, "tcp", "0.0.0.0", 32768),
            binding(80, "tcp", "::", 32769),
        ];
        assert_eq!(ContainerState::from_raw(raw).ports, expected);
    }

    #[test]
    fn a_status_of_a_later_engine_is_kept_not_refused() {
        let summary = ContainerSummary::from_raw(
            json!({"Id": "c1", "Names": ["/a", "/b/a"], "State": "hibernating"}),
        );
        assert_eq!(summary.status, ContainerStatus::Other("hibernating".into()));
        assert_eq!(summary.names, ["a", "b/a"]);
    }

    #[test]
    fn health_is_absent_without_a_check() {
        let health = |status: &str| {
            ContainerState::from_raw(json!({"State": {"Health": {"Status": status}}})).health
        };
        assert_eq!(health("none"), None);
        assert_eq!(health("unhealthy"), Some(Health::Unhealthy));
        assert_eq!(ContainerState::from_raw(json!({})).health, None);
    }
}
