//! Mounts.

use crate::control::text::quoted;
use swarmrs_types::Fault;
use swarmrs_types::spec::{BindOptions, Mount, MountType, Propagation};

/// Names the kind and the propagation, refuses unknown words, drops what services do not have.
pub(super) fn convert(mount: &mut Mount) -> Result<(), Fault> {
    mount.kind = Some(kind(mount.kind.as_ref())?);
    mount.consistency.clear();
    mount.bind_options = match mount.bind_options.take() {
        Some(options) => bind_options(options)?,
        None => None,
    };
    Ok(())
}

/// None is a bind mount. Image mounts exist for containers, not for services.
fn kind(given: Option<&MountType>) -> Result<MountType, Fault> {
    let word = given.map_or("", MountType::as_str);
    match MountType::from(word.to_lowercase().as_str()) {
        MountType::Other(lower) if lower.is_empty() => Ok(MountType::Bind),
        MountType::Other(_) | MountType::Image => Err(Fault::invalid(format!(
            "invalid MountType: {}",
            quoted(word)
        ))),
        known => Ok(known),
    }
}

/// Options that say nothing are no options.
fn bind_options(options: BindOptions) -> Result<Option<BindOptions>, Fault> {
    let word = options.propagation.as_ref().map_or("", Propagation::as_str);
    let propagation = match Propagation::from(word.to_lowercase().as_str()) {
        Propagation::Other(lower) if lower.is_empty() => {
            options.non_recursive.then_some(Propagation::RPrivate)
        }
        Propagation::Other(_) => {
            return Err(Fault::invalid(format!(
                "invalid MountPropagation: {}",
                quoted(word)
            )));
        }
        known => Some(known),
    };
    Ok(propagation.map(|propagation| BindOptions {
        propagation: Some(propagation),
        ..options
    }))
}
