//! What is wrong with the node's networks now, in sentences.

use super::Worker;
use crate::netns;
use crate::plane::network;
use std::net::Ipv4Addr;

impl Worker {
    /// Says what is wrong now.
    pub(super) fn warn(&mut self) {
        let mut found = Vec::new();
        for network in self.networks.values() {
            if !network.is_connected() {
                found.push(format!(
                    "network {} does not reach other nodes: another link of this host has its VXLAN number {}",
                    network.overlay.name,
                    network::vni(&network.overlay)
                ));
            }
        }
        for (transport, host, port) in self.unfulfilled_ports() {
            let host = host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            found.push(format!(
                "port {host}:{port}/{} is not carried by this node: a process of the host listens on it",
                transport.name()
            ));
        }
        for (transport, port) in self
            .published()
            .filter(|(t, p)| self.bound.contains_key(&(*t, None, *p)))
        {
            found.push(format!(
                "port 0.0.0.0:{port}/{} is not carried by this node: a container has it",
                transport.name()
            ));
        }
        if !self.networks.is_empty() && netns::get("bridge/bridge-nf-call-iptables").is_none() {
            found.push("the kernel has no br_netfilter: virtual addresses do not work".to_owned());
        }
        if let Ok(mut warnings) = self.warnings.write() {
            for warning in found.iter().filter(|text| !warnings.contains(text)) {
                tracing::warn!("{warning}");
            }
            *warnings = found;
        }
    }
}
