//! What the contract has and this release does not: refused by name, never accepted and ignored.
//!
//! Asked last, so that what is wrong in itself is told as Docker tells it.

use swarmrs_types::Fault;
use swarmrs_types::spec::{ContainerSpec, InitRequest, MountType, ServiceSpec};

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

/// A request to make a swarm: it begins with a root of its own, which another may take the place of. (The stock command
/// asks for nothing else.)
pub(super) fn init(request: &InitRequest) -> Result<(), Fault> {
    let ca = &request.spec.ca_config;
    if !ca.signing_ca_cert.is_empty() || !ca.signing_ca_key.is_empty() {
        return Err(Fault::not_built(
            "making a swarm with a root CA of the user's own",
        ));
    }
    Ok(())
}
