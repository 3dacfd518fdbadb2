//! `Service` of the API.

mod default;

use std::borrow::Cow;

use serde::Serialize;
use swarmrs_core::State;
use swarmrs_core::control::list::service_status;
use swarmrs_types::object::{self, UpdateState};
use swarmrs_types::spec::ServiceSpec;
use swarmrs_types::{Code, Fault, Timestamp};

use super::endpoint::{Endpoint, endpoint};
use super::{Head, Version};

/// One service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Service<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    spec: Cow<'a, ServiceSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_spec: Option<Cow<'a, ServiceSpec>>,
    endpoint: Endpoint<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_status: Option<UpdateStatus<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_status: Option<ServiceStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_status: Option<JobStatus>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateStatus<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    message: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceStatus {
    running_tasks: u64,
    desired_tasks: u64,
    completed_tasks: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct JobStatus {
    job_iteration: Version,
    last_execution: Timestamp,
}

/// What a client wants to see of a service beyond the usual.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServiceOptions {
    /// Defaults in place of what the spec leaves out.
    pub defaults: bool,
    /// How many tasks run and are wanted.
    pub status: bool,
    /// Networks also where versions before 1.25 look for them.
    pub legacy_networks: bool,
}

/// Shows a service.
///
/// # Errors
/// 500 if the spec it points at is not there: the state is broken.
pub fn service<'a>(
    state: &'a State,
    service: &'a object::Service,
    options: ServiceOptions,
) -> Result<Service<'a>, Fault> {
    let version = state
        .current_spec(service)
        .ok_or_else(|| missing_spec(service))?;
    let previous = service
        .previous_spec
        .and_then(|number| state.spec(service.id, number));
    let counts = options.status.then(|| service_status(state, service));
    Ok(Service {
        head: Head::new(service.id.as_str(), service.meta),
        endpoint: endpoint(&service.endpoint, &version.spec),
        spec: shown_spec(&version.spec, options),
        previous_spec: previous.map(|previous| {
            let options = ServiceOptions {
                defaults: false,
                ..options
            };
            shown_spec(&previous.spec, options)
        }),
        update_status: service.update_status.as_ref().map(update_status),
        service_status: counts.map(|counts| ServiceStatus {
            running_tasks: counts.running,
            desired_tasks: counts.desired,
            completed_tasks: counts.completed,
        }),
        job_status: service.job.map(|job| JobStatus {
            job_iteration: Version {
                index: job.iteration,
            },
            last_execution: job.last_execution,
        }),
    })
}

fn missing_spec(service: &object::Service) -> Fault {
    let text = format!("the spec of service {} is lost", service.id);
    Fault::daemon(Code::Internal, text)
}

fn shown_spec(spec: &ServiceSpec, options: ServiceOptions) -> Cow<'_, ServiceSpec> {
    let mut shown = Cow::Borrowed(spec);
    if options.defaults {
        default::fill(shown.to_mut());
    }
    if options.legacy_networks && !spec.task_template.networks.is_empty() {
        shown.to_mut().networks = spec.task_template.networks.clone();
    }
    shown
}

fn update_status(status: &object::UpdateStatus) -> UpdateStatus<'_> {
    UpdateStatus {
        state: UpdateState::as_str(status.state),
        started_at: status.started_at,
        completed_at: status.completed_at,
        message: &status.message,
    }
}
