//! Templates are tried out on a made-up task, so that most mistakes show when a service is made.

use crate::control::refused;
use swarmrs_template::{
    Context, Error, Node, Platform, Service, Task, expand_env, expand_hostname,
    expand_mount_source, expand_mount_target, expand_volume_labels, expand_volume_options,
};
use swarmrs_types::Fault;
use swarmrs_types::spec::{ContainerSpec, Mount};

/// Expands every templated field and returns the mount points.
pub(super) fn expand(spec: &ContainerSpec) -> Result<Vec<String>, Fault> {
    expand_all(spec).map_err(|error| refused(error.to_string()))
}

fn expand_all(spec: &ContainerSpec) -> Result<Vec<String>, Error> {
    let context = made_up();
    expand_env(&spec.env, &context)?;
    let mounts = spec.mounts.iter();
    let points = mounts
        .map(|mount| expand_mount(mount, &context))
        .collect::<Result<_, _>>()?;
    expand_hostname(&spec.hostname, &context)?;
    Ok(points)
}

fn expand_mount(mount: &Mount, context: &Context) -> Result<String, Error> {
    expand_mount_source(&mount.source, context)?;
    let point = expand_mount_target(&mount.target, context)?;
    if let Some(options) = &mount.volume_options {
        expand_volume_labels(&options.labels, context)?;
        if let Some(driver) = &options.driver_config {
            expand_volume_options(&driver.options, context)?;
        }
    }
    Ok(point)
}

/// Docker's own made-up values: they show in what `index` and comparisons complain about.
fn made_up() -> Context {
    Context {
        service: Service {
            id: "serviceid".to_owned(),
            name: "servicename".to_owned(),
            ..Service::default()
        },
        node: Node {
            id: "nodeid".to_owned(),
            hostname: "nodeHostname".to_owned(),
            platform: Platform {
                architecture: "architecture".to_owned(),
                os: "os".to_owned(),
            },
        },
        task: Task {
            id: String::new(),
            name: "taskname".to_owned(),
            slot: "1".to_owned(),
        },
    }
}
