//! A service spec as Docker's daemon hands it to the manager, and as users get it back.
//!
//! Docker keeps specs in the manager's own form and loses on the way what that form has no field
//! for. We keep the API's form, so this does at once what there and back would have done: enums get
//! their zero value, words the daemon refuses are refused, and fields it drops are dropped.
//! `Isolation` and `Runtime` are stored filled in, as every answer shows them. Other defaults are
//! not written: a spec that leaves them out still leaves them out. Source: moby
//! `daemon/cluster/convert`.

mod container;
mod mount;

use super::text::quoted;
use swarmrs_types::spec::{
    EndpointSpec, FailureAction, GenericResource, Mode, Placement, PortConfig, Protocol,
    PublishMode, Replicated, ReplicatedJob, ResolutionMode, ResourceRequirements, RestartCondition,
    RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig, UpdateOrder,
};
use swarmrs_types::{Code, Fault};

/// The spec as it is stored, or the daemon's fault. An empty name stays empty.
pub(super) fn service(mut spec: ServiceSpec) -> Result<ServiceSpec, Fault> {
    let legacy = std::mem::take(&mut spec.networks);
    if spec.task_template.networks.is_empty() {
        spec.task_template.networks = legacy;
    }
    runtime(&mut spec)?;
    resources(spec.task_template.resources.as_mut())?;
    restart(spec.task_template.restart_policy.as_mut())?;
    placement(spec.task_template.placement.as_mut());
    update(spec.update_config.as_mut())?;
    update(spec.rollback_config.as_mut())?;
    endpoint(spec.endpoint_spec.as_mut())?;
    mode(&mut spec.mode)?;
    plugins(&spec)?;
    Ok(spec)
}

/// Only containers run here. A plugin that is written well is told so last, as by an engine without experimental features.
fn plugins(spec: &ServiceSpec) -> Result<(), Fault> {
    match spec.task_template.runtime.as_str() {
        "plugin" => Err(Fault::daemon(
            Code::Unknown,
            "runtime type \"plugin\" only supported in experimental",
        )),
        _ => Ok(()),
    }
}

/// A container or a plugin, each with its own spec; anything else is unknown.
fn runtime(spec: &mut ServiceSpec) -> Result<(), Fault> {
    let template = &mut spec.task_template;
    match template.runtime.as_str() {
        "" | "container" => run_container(template),
        "plugin" if template.plugin_spec.is_none() => Err(mismatched()),
        "plugin" if spec.mode.replicated.is_some() => {
            Err(Fault::invalid("plugins must not use replicated mode"))
        }
        "plugin" => Ok(()),
        _ => Err(Fault::invalid("unsupported runtime")),
    }
}

fn run_container(template: &mut TaskSpec) -> Result<(), Fault> {
    let spec = template.container_spec.as_mut().ok_or_else(mismatched)?;
    container::convert(spec)?;
    template.runtime = "container".to_owned();
    template.plugin_spec = None;
    template.network_attachment_spec = None;
    Ok(())
}

fn mismatched() -> Fault {
    Fault::invalid("mismatched Runtime and *Spec fields")
}

fn resources(resources: Option<&mut ResourceRequirements>) -> Result<(), Fault> {
    let Some(resources) = resources else {
        return Ok(());
    };
    let limit = resources
        .limits
        .as_ref()
        .map_or(0, |limits| limits.memory_bytes);
    if resources.swap_bytes.is_some_and(|swap| swap != 0) && limit == 0 {
        return Err(Fault::invalid(
            "memory swap provided, but no memory-limit was set",
        ));
    }
    if let Some(reservations) = &mut resources.reservations {
        reservations.generic_resources.retain_mut(generic_resource);
    }
    Ok(())
}

/// The manager's form holds one of the two, the countable one first.
fn generic_resource(resource: &mut GenericResource) -> bool {
    if resource.discrete_resource_spec.is_some() {
        resource.named_resource_spec = None;
    }
    resource.discrete_resource_spec.is_some() || resource.named_resource_spec.is_some()
}

fn restart(policy: Option<&mut RestartPolicy>) -> Result<(), Fault> {
    let Some(policy) = policy else {
        return Ok(());
    };
    match &policy.condition {
        Some(RestartCondition::Other(word)) if !word.is_empty() => {
            return Err(Fault::invalid(format!(
                "invalid RestartCondition: {}",
                quoted(word)
            )));
        }
        None | Some(RestartCondition::Other(_)) => policy.condition = Some(RestartCondition::Any),
        Some(RestartCondition::None | RestartCondition::OnFailure | RestartCondition::Any) => {}
    }
    policy.max_attempts.get_or_insert(0);
    Ok(())
}

fn placement(placement: Option<&mut Placement>) {
    if let Some(placement) = placement {
        placement
            .preferences
            .retain(|preference| preference.spread.is_some());
    }
}

fn update(config: Option<&mut UpdateConfig>) -> Result<(), Fault> {
    let Some(config) = config else {
        return Ok(());
    };
    match &config.failure_action {
        Some(FailureAction::Other(word)) if !word.is_empty() => {
            return Err(Fault::invalid(format!(
                "unrecognized update failure action {word}"
            )));
        }
        None | Some(FailureAction::Other(_)) => config.failure_action = Some(FailureAction::Pause),
        Some(FailureAction::Pause | FailureAction::Continue | FailureAction::Rollback) => {}
    }
    match &config.order {
        Some(UpdateOrder::Other(word)) if !word.is_empty() => {
            return Err(Fault::invalid(format!("unrecognized update order {word}")));
        }
        None | Some(UpdateOrder::Other(_)) => config.order = Some(UpdateOrder::StopFirst),
        Some(UpdateOrder::StopFirst | UpdateOrder::StartFirst) => {}
    }
    Ok(())
}

fn endpoint(endpoint: Option<&mut EndpointSpec>) -> Result<(), Fault> {
    let Some(endpoint) = endpoint else {
        return Ok(());
    };
    match &endpoint.mode {
        Some(ResolutionMode::Other(word)) if !word.is_empty() => {
            return Err(Fault::invalid(format!(
                "invalid resolution mode: {}",
                quoted(word)
            )));
        }
        None | Some(ResolutionMode::Other(_)) => endpoint.mode = Some(ResolutionMode::Vip),
        Some(ResolutionMode::Vip | ResolutionMode::DnsRr) => {}
    }
    endpoint.ports.iter_mut().for_each(port);
    Ok(())
}

/// Ports are lenient where all else is strict: case does not matter, unknown words count as none.
fn port(port: &mut PortConfig) {
    let protocol = port.protocol.as_ref().map_or("", Protocol::as_str);
    port.protocol = Some(match Protocol::from(protocol.to_lowercase().as_str()) {
        Protocol::Other(_) => Protocol::Tcp,
        known => known,
    });
    let publish = port.publish_mode.as_ref().map_or("", PublishMode::as_str);
    port.publish_mode = Some(match PublishMode::from(publish.to_lowercase().as_str()) {
        PublishMode::Other(_) => PublishMode::Ingress,
        known => known,
    });
}

fn mode(mode: &mut Mode) -> Result<(), Fault> {
    let given = [
        mode.replicated.is_some(),
        mode.global.is_some(),
        mode.replicated_job.is_some(),
        mode.global_job.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 => mode.replicated = Some(Replicated::default()),
        1 => {}
        _ => return Err(Fault::invalid("must specify only one service mode")),
    }
    if let Some(replicated) = &mut mode.replicated {
        replicated.replicas.get_or_insert(1);
    }
    if let Some(job) = &mut mode.replicated_job {
        job_defaults(job);
    }
    Ok(())
}

fn job_defaults(job: &mut ReplicatedJob) {
    let concurrent = *job.max_concurrent.get_or_insert(1);
    job.total_completions.get_or_insert(concurrent);
}
