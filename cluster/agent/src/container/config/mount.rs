//! Mounts: expanded, checked as stock's agents check them, in the engine's shape. And the volumes they need.

use super::{Body, Unfit};
use serde_json::{Value, json};
use swarmrs_template::{
    Context, expand_mount_source, expand_mount_target, expand_volume_labels, expand_volume_options,
};
use swarmrs_types::spec::{Mount, MountType, VolumeOptions};

/// The mounts with their templates replaced, each with its type and fit to be asked for.
pub fn expand(mounts: &[Mount], context: &Context) -> Result<Vec<Mount>, Unfit> {
    let expanded: Result<Vec<_>, Unfit> = mounts
        .iter()
        .map(|mount| expand_one(mount, context))
        .collect();
    let expanded = expanded?;
    expanded.iter().try_for_each(check)?;
    Ok(expanded)
}

/// In the engine's shape, which is the spec's.
pub fn body(mounts: &[Mount]) -> Vec<Value> {
    mounts.iter().map(|mount| json!(mount)).collect()
}

/// Volumes whose driver the spec names. One without a name comes with its container.
pub fn volumes(mounts: &[Mount]) -> Vec<Value> {
    mounts.iter().filter_map(volume).collect()
}

fn expand_one(mount: &Mount, context: &Context) -> Result<Mount, Unfit> {
    let mut expanded = mount.clone();
    expanded.kind = Some(mount.kind.clone().unwrap_or(MountType::Bind));
    expanded.source = expand_mount_source(&mount.source, context)?;
    expanded.target = expand_mount_target(&mount.target, context)?;
    if let Some(options) = &mut expanded.volume_options {
        options.labels = expand_volume_labels(&options.labels, context)?;
        if let Some(driver) = &mut options.driver_config {
            driver.options = expand_volume_options(&driver.options, context)?;
        }
    }
    Ok(expanded)
}

fn check(mount: &Mount) -> Result<(), Unfit> {
    let (source, target) = (&mount.source, &mount.target);
    let absolute = |path: &str| path.starts_with('/');
    if !absolute(target) {
        return unfit(format!(
            "invalid mount target, must be an absolute path: {target}"
        ));
    }
    match mount.kind.as_ref().unwrap_or(&MountType::Bind) {
        MountType::Bind if !absolute(source) => unfit(format!(
            "invalid bind mount source, must be an absolute path: {source}"
        )),
        MountType::Volume if absolute(source) => unfit(format!(
            "invalid volume mount source, must not be an absolute path: {source}"
        )),
        MountType::Tmpfs if !source.is_empty() => {
            unfit("invalid tmpfs source, source must be empty".to_owned())
        }
        MountType::NamedPipe if source.is_empty() => {
            unfit("invalid npipe source, source must not be empty".to_owned())
        }
        MountType::Bind | MountType::Volume | MountType::Tmpfs | MountType::NamedPipe => Ok(()),
        MountType::Cluster => {
            unfit("cluster volumes are not available in this release of swarmrs".to_owned())
        }
        other @ (MountType::Image | MountType::Other(_)) => {
            unfit(format!("invalid mount type: {other}"))
        }
    }
}

fn unfit(text: String) -> Result<(), Unfit> {
    Err(Unfit(text))
}

fn volume(mount: &Mount) -> Option<Value> {
    if mount.kind != Some(MountType::Volume) || mount.source.is_empty() {
        return None;
    }
    let VolumeOptions {
        labels,
        driver_config: Some(driver),
        ..
    } = mount.volume_options.as_ref()?
    else {
        return None;
    };
    let body = Body::default()
        .put("Name", json!(mount.source))
        .text("Driver", &driver.name)
        .put("DriverOpts", json!(driver.options))
        .put("Labels", json!(labels));
    Some(body.done())
}
