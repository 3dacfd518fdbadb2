//! Flows through the network: which still live, and their end.

use super::Network;
use crate::netlink::conntrack::Which;
use std::io;
use std::net::IpAddr;
use swarmrs_types::id::RawId;

impl Network {
    /// How many flows that were led to an owner's addresses still live. Who waits for their end asks often: those that
    /// were found are asked for one by one, and all are looked at again when none of them is left.
    pub(in crate::plane) fn live_flows(
        &mut self,
        owner: RawId,
        addresses: Vec<IpAddr>,
    ) -> io::Result<usize> {
        let mut known = self.drained.remove(&owner).unwrap_or_default();
        let mut left = Vec::new();
        for flow in known.drain(..) {
            if self.rules.still_alive(&flow)? {
                left.push(flow);
            }
        }
        if left.is_empty() {
            left = self.rules.flows(&[Which::LedTo(addresses)])?;
            left.retain(|flow| flow.alive);
        }
        let count = left.len();
        if count > 0 {
            self.drained.insert(owner, left);
        }
        Ok(count)
    }

    /// Cuts all flows that were led to an owner's addresses.
    pub(in crate::plane) fn reset(
        &mut self,
        owner: RawId,
        addresses: Vec<IpAddr>,
    ) -> io::Result<()> {
        self.drained.remove(&owner);
        self.rules.cut_flows(&[Which::LedTo(addresses)])
    }

    /// Cuts flows.
    pub(in crate::plane) fn cut(&mut self, which: &[Which]) -> io::Result<()> {
        self.rules.cut_flows(which)
    }
}
