//! What the contract has and this release does not: refused by name, never accepted and ignored.
//!
//! Asked last, so that what is wrong in itself is told as Docker tells it.

use swarmrs_types::Fault;
use swarmrs_types::spec::{ContainerSpec, InitRequest, MountType, ServiceSpec, SwarmSpec};

/// A service spec that was converted and validated.
pub(super) fn service(spec: &ServiceSpec) -> Result<(), Fault> {
    let template = &spec.task_template;
    template.container_spec.as_ref().map_or(Ok(()), container)
}

fn container(spec: &ContainerSpec) -> Result<(), Fault> {
    let cluster = Some(MountType::Cluster);
    if spec.mounts.iter().any(|mount| mount.kind == cluster) {
        return Err(Fault::not_built("mounting cluster volumes"));
    }
    Ok(())
}

/// A request to make a swarm.
pub(super) fn init(request: &InitRequest) -> Result<(), Fault> {
    if request.spec.ca_config.force_rotate != 0 {
        return Err(Fault::not_built("rotating the root CA"));
    }
    swarm(&request.spec)
}

/// The swarm's own spec, as asked for.
pub(super) fn swarm(spec: &SwarmSpec) -> Result<(), Fault> {
    if !spec.ca_config.external_cas.is_empty() {
        return Err(Fault::not_built("an external CA"));
    }
    if !spec.ca_config.signing_ca_cert.is_empty() || !spec.ca_config.signing_ca_key.is_empty() {
        return Err(Fault::not_built("a root CA of the user's own"));
    }
    Ok(())
}

/// A root CA is renewed when the counter grows.
pub(super) fn rotation(before: &SwarmSpec, after: &SwarmSpec) -> Result<(), Fault> {
    if after.ca_config.force_rotate > before.ca_config.force_rotate {
        return Err(Fault::not_built("rotating the root CA"));
    }
    Ok(())
}
