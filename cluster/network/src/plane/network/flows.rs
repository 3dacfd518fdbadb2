//! Flows through the network: which still live, and their end.

use super::Network;
use crate::netlink::conntrack::Which;
use std::io;
use std::net::IpAddr;
use swarmrs_types::id::RawId;

impl Network {
    /// How many flows that were led to an owner's addresses still live here.
    pub(in crate::plane) fn live_flows(
        &mut self,
        owner: RawId,
        addresses: Vec<IpAddr>,
    ) -> io::Result<usize> {
        self.drained.live(&mut self.rules, owner, addresses)
    }

    /// Cuts all flows that were led to an owner's addresses.
    pub(in crate::plane) fn reset(
        &mut self,
        owner: RawId,
        addresses: Vec<IpAddr>,
    ) -> io::Result<()> {
        self.drained.forget(owner);
        self.rules.cut_flows(&[Which::LedTo(addresses)])
    }

    /// Cuts flows.
    pub(in crate::plane) fn cut(&mut self, which: &[Which]) -> io::Result<()> {
        self.rules.cut_flows(which)
    }
}
