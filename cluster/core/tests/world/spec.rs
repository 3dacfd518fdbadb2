//! Service specs from words like `replicas=3` or `update-order=start-first`.

use std::time::Duration;
use swarmrs_types::Nanos;
use swarmrs_types::spec::{
    ContainerSpec, DiscreteResource, Driver, EndpointSpec, FailureAction, GenericResource, Global,
    Mode, NamedResource, NetworkAttachmentConfig, Placement, PlacementPreference, Platform,
    PortConfig, Protocol, PublishMode, Replicated, ReplicatedJob, ResolutionMode,
    ResourceRequirements, Resources, RestartCondition, RestartPolicy, ServiceSpec, SpreadOver,
    UpdateConfig, UpdateOrder,
};

/// A service with one replica of `app:1`.
pub fn plain(name: &str) -> ServiceSpec {
    let mut spec = ServiceSpec {
        name: name.to_owned(),
        mode: Mode {
            replicated: Some(Replicated { replicas: Some(1) }),
            ..Mode::default()
        },
        ..ServiceSpec::default()
    };
    set(&mut spec, "image", "app:1");
    spec
}

/// Sets one thing, named as the docker command names it. False if there is no such thing.
pub fn set(spec: &mut ServiceSpec, key: &str, value: &str) -> bool {
    if let Some(key) = key.strip_prefix("update-") {
        return set_update(spec.update_config.get_or_insert_with(config), key, value);
    }
    if let Some(key) = key.strip_prefix("rollback-") {
        return set_update(spec.rollback_config.get_or_insert_with(config), key, value);
    }
    if let Some(key) = key.strip_prefix("restart-") {
        let policy = &mut spec.task_template.restart_policy;
        return set_restart(
            policy.get_or_insert_with(RestartPolicy::default),
            key,
            value,
        );
    }
    let template = &mut spec.task_template;
    let placement = template.placement.get_or_insert_with(Placement::default);
    match key {
        "mode" => {
            spec.mode = Mode {
                global: (value == "global").then(Global::default),
                global_job: (value == "global-job").then(Global::default),
                replicated_job: (value == "replicated-job").then(ReplicatedJob::default),
                ..Mode::default()
            }
        }
        "completions" => job(spec).total_completions = value.parse().ok(),
        "concurrent" => job(spec).max_concurrent = value.parse().ok(),
        "replicas" => {
            spec.mode.replicated = Some(Replicated {
                replicas: value.parse().ok(),
            });
        }
        "image" => container(spec).image = value.to_owned(),
        "env" => container(spec).env = vec![value.to_owned()],
        "label" => {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            spec.labels.insert(key.to_owned(), value.to_owned());
        }
        "force" => template.force_update += 1,
        "constraint" => placement.constraints = vec![value.replace("==", " == ")],
        "max-per-node" => placement.max_replicas = value.parse().unwrap_or(0),
        "spread" => placement.preferences = value.split(',').map(spread).collect(),
        "generic" => reserved(spec).generic_resources = generic(value),
        "log-driver" => {
            template.log_driver = Some(Driver {
                name: value.to_owned(),
                ..Driver::default()
            });
        }
        "platform" => {
            placement.platforms = vec![Platform {
                os: "linux".to_owned(),
                architecture: value.to_owned(),
            }];
        }
        "cpus" => reserved(spec).nano_cpus = value.parse::<i64>().unwrap_or(0) * 1_000_000_000,
        "memory" => reserved(spec).memory_bytes = value.parse::<i64>().unwrap_or(0) << 20,
        "port" => publish(spec, value.parse().unwrap_or(0), PublishMode::Host),
        "publish" => publish(spec, value.parse().unwrap_or(0), PublishMode::Ingress),
        "endpoint-mode" => {
            let endpoint = spec.endpoint_spec.get_or_insert_default();
            endpoint.mode = Some(ResolutionMode::from(value));
        }
        "network" => {
            let names = value.split(',').filter(|name| !name.is_empty());
            template.networks = names.map(attachment).collect();
        }
        _ => return false,
    }
    true
}

fn job(spec: &mut ServiceSpec) -> &mut ReplicatedJob {
    spec.mode.replicated_job.get_or_insert_default()
}

fn spread(label: &str) -> PlacementPreference {
    let spread_descriptor = label.to_owned();
    PlacementPreference {
        spread: Some(SpreadOver { spread_descriptor }),
    }
}

/// `gpu:2` is two of a kind, `gpu:a,b` two by name.
pub fn generic(text: &str) -> Vec<GenericResource> {
    let (kind, values) = text.split_once(':').expect("KIND:VALUE");
    let one = |value: &str| match value.parse() {
        Ok(value) => GenericResource {
            discrete_resource_spec: Some(DiscreteResource {
                kind: kind.to_owned(),
                value,
            }),
            ..GenericResource::default()
        },
        Err(_) => GenericResource {
            named_resource_spec: Some(NamedResource {
                kind: kind.to_owned(),
                value: value.to_owned(),
            }),
            ..GenericResource::default()
        },
    };
    values.split(',').map(one).collect()
}

fn container(spec: &mut ServiceSpec) -> &mut ContainerSpec {
    let template = &mut spec.task_template;
    template
        .container_spec
        .get_or_insert_with(ContainerSpec::default)
}

fn reserved(spec: &mut ServiceSpec) -> &mut Resources {
    let resources = &mut spec.task_template.resources;
    let resources = resources.get_or_insert_with(ResourceRequirements::default);
    resources
        .reservations
        .get_or_insert_with(Resources::default)
}

fn attachment(name: &str) -> NetworkAttachmentConfig {
    NetworkAttachmentConfig {
        target: name.to_owned(),
        ..NetworkAttachmentConfig::default()
    }
}

fn publish(spec: &mut ServiceSpec, port: u32, mode: PublishMode) {
    let port = PortConfig {
        protocol: Some(Protocol::Tcp),
        target_port: 80,
        published_port: port,
        publish_mode: Some(mode),
        ..PortConfig::default()
    };
    spec.endpoint_spec = Some(EndpointSpec {
        ports: vec![port],
        ..EndpointSpec::default()
    });
}

fn config() -> UpdateConfig {
    UpdateConfig {
        parallelism: 1,
        ..UpdateConfig::default()
    }
}

fn set_update(config: &mut UpdateConfig, key: &str, value: &str) -> bool {
    match key {
        "parallelism" => config.parallelism = value.parse().unwrap_or(1),
        "delay" => config.delay = nanos(value),
        "monitor" => config.monitor = nanos(value),
        "action" => config.failure_action = Some(FailureAction::from(value)),
        "ratio" => config.max_failure_ratio = value.parse().unwrap_or(0.0),
        "order" => config.order = Some(UpdateOrder::from(value)),
        _ => return false,
    }
    true
}

fn set_restart(policy: &mut RestartPolicy, key: &str, value: &str) -> bool {
    match key {
        "condition" => policy.condition = Some(RestartCondition::from(value)),
        "delay" => policy.delay = Some(nanos(value)),
        "attempts" => policy.max_attempts = value.parse().ok(),
        "window" => policy.window = Some(nanos(value)),
        _ => return false,
    }
    true
}

fn nanos(text: &str) -> Nanos {
    Nanos(i64::try_from(span(text).as_nanos()).unwrap_or(i64::MAX))
}

/// `10s`, `500ms`, `2m`.
pub fn span(text: &str) -> Duration {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits.parse::<u64>().expect("a number and a unit");
    match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "m" => Duration::from_secs(60 * number),
        "s" => Duration::from_secs(number),
        other => panic!("{other} is no unit of time"),
    }
}
