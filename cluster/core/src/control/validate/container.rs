//! A container's image, mounts and health check.

use super::{health, templates};
use crate::control::refused;
use crate::control::text::quoted;
use std::collections::BTreeSet;
use swarmrs_types::Fault;
use swarmrs_types::reference::Reference;
use swarmrs_types::spec::ContainerSpec;

/// Templates first: mount points are compared as they would be expanded.
pub(super) fn check(spec: &ContainerSpec) -> Result<(), Fault> {
    let mount_points = templates::expand(spec)?;
    if spec.image.is_empty() {
        return Err(refused("ContainerSpec: image reference must be provided"));
    }
    if Reference::parse(&spec.image).is_err() {
        return Err(refused(format!(
            "ContainerSpec: {} is not a valid repository/tag",
            quoted(&spec.image)
        )));
    }
    let mut taken = BTreeSet::new();
    for point in &mount_points {
        if !taken.insert(point) {
            return Err(refused(format!(
                "ContainerSpec: duplicate mount point: {point}"
            )));
        }
    }
    spec.healthcheck.as_ref().map_or(Ok(()), health::check)
}
