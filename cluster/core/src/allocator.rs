//! What the swarm gives out: subnets, VXLAN ids, addresses, ports, the numbers of nodes.
//!
//! ```text
//!   network create ──subnet · vni──▶ segments ─┐
//!   service create ──vip · port────▶ endpoint ─┼─▶ claims of the state: nothing is given twice
//!   a task is made ──address───────▶ networks ─┤
//!   a node appears ──node──────────▶ index, its own address on the ingress network
//! ```
//!
//! All is derived from the state's claims, nothing is kept here. What a request needs is found inside the
//! request, so that "there is none left" is its own error; a task that there is no address for waits as
//! NEW and says why. Two who are given the same thing at once cannot both have it: the later entry is
//! rejected, and looks again.

pub mod address;
pub mod node;
pub mod port;
pub mod subnet;
pub mod task;
#[cfg(test)]
mod tests;
pub mod vip;
pub mod vni;

use crate::state::State;
use swarmrs_types::object::{Endpoint, Service};
use swarmrs_types::spec::ServiceSpec;
use swarmrs_types::{ClusterTime, Code, Fault};

/// How a service with this spec is reached. What `own`, the service so far, has already stays where it
/// may. Errors name what is taken, or how much of what is used up.
pub fn endpoint(
    state: &State,
    spec: &ServiceSpec,
    own: Option<&Service>,
    now: ClusterTime,
) -> Result<Endpoint, Fault> {
    let asked = spec.endpoint_spec.as_ref();
    let id = own.map(|own| own.id);
    let known = own.map(|own| own.endpoint.clone()).unwrap_or_default();
    port::check(state, asked, id)?;
    let virtual_ips = vip::virtual_ips(state, spec, &known.virtual_ips, now);
    Ok(Endpoint {
        ports: port::ports(state, asked, id, &known.ports)?,
        virtual_ips: virtual_ips.map_err(|why| {
            Fault::manager(
                Code::FailedPrecondition,
                format!("{why} (while allocating VIP)"),
            )
        })?,
    })
}
