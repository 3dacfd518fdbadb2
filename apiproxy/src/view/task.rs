//! `Task` of the API: laid together from the task, its service's spec and what its node last said.

use serde::Serialize;
use swarmrs_core::State;
use swarmrs_types::object::{self, TaskStatus};
use swarmrs_types::spec::{GenericResource, PortConfig, TaskSpec};
use swarmrs_types::{TaskState, Timestamp};

use super::attachment::{Attachment, attachments};
use super::{Empty, Head, Version, is_zero};

/// One task. Its own labels are always empty (those of the service are in the service), and it has no volumes, which prints
/// as `null`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Task<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    labels: Empty,
    spec: TaskSpec,
    #[serde(rename = "ServiceID")]
    service: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    slot: u64,
    #[serde(rename = "NodeID", skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    status: Status<'a>,
    desired_state: TaskState,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    networks_attachments: Vec<Attachment<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    generic_resources: &'a [GenericResource],
    /// There and empty for the first run of a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_iteration: Option<Version>,
    volumes: (),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Status<'a> {
    timestamp: Timestamp,
    state: TaskState,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    err: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_status: Option<ContainerStatus<'a>>,
    port_status: PortStatus<'a>,
}

#[derive(Debug, Serialize)]
struct ContainerStatus<'a> {
    #[serde(rename = "ContainerID")]
    id: &'a str,
    #[serde(rename = "PID")]
    pid: i64,
    #[serde(rename = "ExitCode")]
    exit_code: i64,
}

#[derive(Debug, Serialize)]
struct PortStatus<'a> {
    #[serde(rename = "Ports", skip_serializing_if = "<[_]>::is_empty")]
    ports: &'a [PortConfig],
}

/// Shows a task; `now` is its status as far as anybody knows it.
pub fn task<'a>(state: &'a State, task: &'a object::Task, now: &'a TaskStatus) -> Task<'a> {
    let version = state.spec_of(task);
    let spec = version.map(|version| TaskSpec {
        // Services show their runtime, tasks of containers do not.
        runtime: String::new(),
        ..version.spec.task_template.clone()
    });
    let spec = spec.unwrap_or_default();
    Task {
        head: Head::new(task.id.as_str(), task.meta),
        labels: Empty {},
        networks_attachments: attachments(state, task),
        spec,
        service: task.service.as_str(),
        slot: task.shown_slot(),
        node: task.node.as_ref().map(|node| node.as_str()),
        status: status(now),
        desired_state: task.desired,
        generic_resources: &task.resources,
        job_iteration: task.iteration.map(|index| Version { index }),
        volumes: (),
    }
}

fn status(status: &TaskStatus) -> Status<'_> {
    Status {
        timestamp: status.at,
        state: status.state,
        message: &status.message,
        err: &status.err,
        container_status: status.container.as_ref().map(|container| ContainerStatus {
            id: &container.id,
            pid: container.pid,
            exit_code: container.exit_code,
        }),
        port_status: PortStatus {
            ports: &status.ports,
        },
    }
}
