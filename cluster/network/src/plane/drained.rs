//! Flows whose end someone waits for.

use crate::netlink::Socket;
use crate::netlink::conntrack::{Flow, Which};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use swarmrs_types::id::RawId;

/// By whom they were led to.
#[derive(Default)]
pub(super) struct Drained {
    flows: BTreeMap<RawId, Vec<Flow>>,
}

impl Drained {
    /// How many flows that were led to an owner's addresses still live. Who waits for their end asks often: those that
    /// were found are asked for one by one, and all are looked at again when none of them is left.
    pub(super) fn live(
        &mut self,
        rules: &mut Socket,
        owner: RawId,
        addresses: Vec<IpAddr>,
    ) -> io::Result<usize> {
        let mut left = Vec::new();
        for flow in self.flows.remove(&owner).unwrap_or_default() {
            if rules.still_alive(&flow)? {
                left.push(flow);
            }
        }
        if left.is_empty() {
            left = rules.flows(&[Which::LedTo(addresses)])?;
            left.retain(|flow| flow.alive);
        }
        let count = left.len();
        if count > 0 {
            self.flows.insert(owner, left);
        }
        Ok(count)
    }

    /// Nobody waits any more.
    pub(super) fn forget(&mut self, owner: RawId) {
        self.flows.remove(&owner);
    }
}
