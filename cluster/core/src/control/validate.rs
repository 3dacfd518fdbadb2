//! What the manager checks of a service spec by itself, in the order it checks.
//!
//! Given a spec that [`convert`](super::convert) made. Rules that Docker does not have are not
//! invented here: reservations may exceed limits, rollback settings may be nonsense, ports have no
//! range. Source: swarmkit `manager/controlapi/service.go`.

mod container;
mod health;
pub(super) mod name;
mod references;
mod templates;

use super::refused;
use super::text::billionths;
use crate::scheduler::constraint;
use std::collections::BTreeSet;
use swarmrs_types::spec::{
    EndpointSpec, Mode, Placement, Protocol, PublishMode, ResolutionMode, ResourceRequirements,
    RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig,
};
use swarmrs_types::{Code, Fault, Nanos};

/// One thousandth of a CPU.
const LEAST_CPU: i64 = 1_000_000;
/// What the engine needs for any container.
const LEAST_MEMORY: i64 = 4 * 1024 * 1024;

/// All rules.
pub(super) fn service(spec: &ServiceSpec) -> Result<(), Fault> {
    name::check(&spec.name)?;
    task(&spec.task_template)?;
    mode(&spec.mode)?;
    if spec.mode.is_job() {
        job(spec)?;
    } else {
        update(spec.update_config.as_ref())?;
    }
    endpoint(spec.endpoint_spec.as_ref())
}

fn task(spec: &TaskSpec) -> Result<(), Fault> {
    resources(spec.resources.as_ref())?;
    restart(spec.restart_policy.as_ref())?;
    placement(spec.placement.as_ref())?;
    let Some(container) = &spec.container_spec else {
        return Err(refused("TaskSpec: missing runtime"));
    };
    references::secrets(container)?;
    references::configs(container)?;
    container::check(container)
}

fn resources(resources: Option<&ResourceRequirements>) -> Result<(), Fault> {
    let Some(resources) = resources else {
        return Ok(());
    };
    if let Some(limits) = &resources.limits {
        amounts(limits.nano_cpus, limits.memory_bytes)?;
    }
    if let Some(reservations) = &resources.reservations {
        amounts(reservations.nano_cpus, reservations.memory_bytes)?;
    }
    Ok(())
}

fn amounts(nano_cpus: i64, memory_bytes: i64) -> Result<(), Fault> {
    if nano_cpus != 0 && nano_cpus < LEAST_CPU {
        return Err(refused(format!(
            "invalid cpu value {}: Must be at least {}",
            billionths(nano_cpus),
            billionths(LEAST_CPU)
        )));
    }
    if memory_bytes != 0 && memory_bytes < LEAST_MEMORY {
        return Err(refused(format!(
            "invalid memory value {memory_bytes}: Must be at least 4MiB"
        )));
    }
    Ok(())
}

fn restart(policy: Option<&RestartPolicy>) -> Result<(), Fault> {
    let negative = |span: Option<Nanos>| span.is_some_and(|span| span.0 < 0);
    match policy {
        Some(policy) if negative(policy.delay) => {
            Err(refused("TaskSpec: restart-delay cannot be negative"))
        }
        Some(policy) if negative(policy.window) => {
            Err(refused("TaskSpec: restart-window cannot be negative"))
        }
        _ => Ok(()),
    }
}

/// The manager's parser gives its errors no class: they reach the client as 500.
fn placement(placement: Option<&Placement>) -> Result<(), Fault> {
    let constraints = placement.map_or(&[][..], |placement| &placement.constraints);
    constraint::parse(constraints)
        .map(|_| ())
        .map_err(|error| Fault::manager(Code::Unknown, error.to_string()))
}

fn mode(mode: &Mode) -> Result<(), Fault> {
    let replicas = mode.replicated.as_ref().and_then(|mode| mode.replicas);
    if is_negative(replicas) {
        return Err(refused("Number of replicas must be non-negative"));
    }
    let Some(job) = &mode.replicated_job else {
        return Ok(());
    };
    if is_negative(job.max_concurrent) {
        return Err(refused("Maximum concurrent jobs must not be negative"));
    }
    if is_negative(job.total_completions) {
        return Err(refused("Total completed jobs must not be negative"));
    }
    Ok(())
}

/// Clients that count in signed numbers send −1 as 2⁶⁴ − 1.
fn is_negative(count: Option<u64>) -> bool {
    count.is_some_and(|count| i64::try_from(count).is_err())
}

fn job(spec: &ServiceSpec) -> Result<(), Fault> {
    match spec.update_config {
        Some(_) => Err(refused("Jobs may not have an update config")),
        None => Ok(()),
    }
}

fn update(config: Option<&UpdateConfig>) -> Result<(), Fault> {
    let Some(config) = config else {
        return Ok(());
    };
    if config.delay.0 < 0 {
        return Err(refused("TaskSpec: update-delay cannot be negative"));
    }
    if config.monitor.0 < 0 {
        return Err(refused("TaskSpec: update-monitor cannot be negative"));
    }
    if config.max_failure_ratio < 0.0 || config.max_failure_ratio > 1.0 {
        return Err(refused(
            "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1",
        ));
    }
    Ok(())
}

/// The mesh reaches a service by its virtual address, which `dnsrr` services do not have.
fn endpoint(endpoint: Option<&EndpointSpec>) -> Result<(), Fault> {
    let Some(endpoint) = endpoint else {
        return Ok(());
    };
    let round_robin = endpoint.mode == Some(ResolutionMode::DnsRr);
    let mut taken: BTreeSet<(u32, Option<&Protocol>)> = BTreeSet::new();
    for port in &endpoint.ports {
        if round_robin && port.publish_mode == Some(PublishMode::Ingress) {
            return Err(refused(
                "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
            ));
        }
        let published = (port.published_port, port.protocol.as_ref());
        if port.published_port != 0 && !taken.insert(published) {
            return Err(refused("EndpointSpec: duplicate published ports provided"));
        }
    }
    Ok(())
}
