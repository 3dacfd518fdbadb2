//! VXLAN network identifiers.

use crate::state::State;
use std::collections::BTreeSet;
use swarmrs_types::Fault;
use swarmrs_types::spec::NetworkSpec;

/// Where a user may ask for certain ones: numbers with commas between. Source: moby
/// `daemon/libnetwork/drivers/overlay`.
pub const VNI_LIST: &str = "com.docker.network.driver.overlay.vxlanid_list";

/// The first given. Source: moby `daemon/libnetwork/drivers/overlay/ovmanager`: lower ones are left to
/// other users of the same wire.
const FIRST: u32 = 4096;
const LAST: u32 = (1 << 24) - 1;

/// So many identifiers for a new network: those it asks for, then the next in order.
pub fn draw(state: &State, spec: &NetworkSpec, count: usize) -> Result<Vec<u32>, Fault> {
    let mut found = asked(state, spec)?;
    let mut taken: BTreeSet<u32> = found.iter().copied().collect();
    if taken.len() < found.len() {
        return Err(Fault::invalid(format!(
            "VXLAN ids {} are not distinct",
            spec.options[VNI_LIST]
        )));
    }
    let next = state.last_vni().saturating_add(1).clamp(FIRST, LAST);
    let mut order = (next..=LAST).chain(FIRST..next);
    while found.len() < count {
        let free = order.find(|vni| state.network_of_vni(*vni).is_none() && taken.insert(*vni));
        let none = || Fault::invalid(format!("all VXLAN ids from {FIRST} to {LAST} are taken"));
        found.push(free.ok_or_else(none)?);
    }
    Ok(found)
}

fn asked(state: &State, spec: &NetworkSpec) -> Result<Vec<u32>, Fault> {
    let Some(list) = spec.options.get(VNI_LIST).filter(|list| !list.is_empty()) else {
        return Ok(Vec::new());
    };
    let number = |text: &str| {
        let vni = text
            .trim()
            .parse::<u32>()
            .ok()
            .filter(|vni| (1..=LAST).contains(vni));
        let vni = vni.ok_or_else(|| {
            Fault::invalid(format!(
                "invalid VXLAN id {text:?}: a number from 1 to {LAST} is wanted"
            ))
        })?;
        match state.network_of_vni(vni).and_then(|id| state.network(id)) {
            Some(other) => Err(Fault::invalid(format!(
                "VXLAN id {vni} is in use by network {}",
                other.name()
            ))),
            None => Ok(vni),
        }
    };
    list.split(',').map(number).collect()
}
