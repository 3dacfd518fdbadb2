//! What the host itself is set to for networks: it forwards, shows frames to rules, and is set back in the end.

use super::Worker;
use crate::error::{Doing, Error};
use crate::mesh::docker_user;
use crate::netlink::route::Link;
use crate::netns;
use crate::plane::network::Network;
use ipnet::IpNet;
use std::fs;
use swarmrs_types::endpoint::Overlay;

/// What the host was set to before us.
const BEFORE: &str = "before";

const FORWARDING: &str = "ipv4/ip_forward";
const FORWARDING_V6: &str = "ipv6/conf/all/forwarding";

impl Worker {
    /// Frames shown to rules, and the accepts beside the engine's.
    pub(super) fn prepare_host(&mut self, overlay: &Overlay) -> Result<(), Error> {
        // Where it is built in, or there already, this changes nothing; where it is missing a warning says so.
        if netns::get("bridge/bridge-nf-call-iptables").is_none() {
            let _ = std::process::Command::new("modprobe")
                .arg("br_netfilter")
                .output();
        }
        if overlay.internal {
            return Ok(());
        }
        self.accept()
    }

    /// Our accepts where forwarding is dropped, and forwarding once an engine has set its rules.
    pub(super) fn accept(&mut self) -> Result<(), Error> {
        self.host.settle_zone()?;
        let engine = docker_user::assert(&self.config.tag)
            .doing(|| "put accepts among the forwarding rules".to_owned())?;
        if engine {
            self.set_host(FORWARDING, "1")
        } else {
            Ok(())
        }
    }

    /// Lets the host forward. Not before a container joins: the engine is up then, and if it found forwarding off
    /// it has itself set its rules to drop what is not allowed.
    pub(super) fn forward(&self, network: &Network) -> Result<(), Error> {
        if network.uplink.is_none() {
            return Ok(());
        }
        self.set_host(FORWARDING, "1")?;
        if network.has_v6() {
            self.set_host(FORWARDING_V6, "1")?;
        }
        Ok(())
    }

    /// Sets a value of the host, and keeps what it was before the first time.
    fn set_host(&self, name: &str, value: &str) -> Result<(), Error> {
        let before = netns::get(name);
        if before.as_deref() == Some(value) {
            return Ok(());
        }
        let file = self.config.folder.join(BEFORE);
        let mut kept = fs::read_to_string(&file).unwrap_or_default();
        let known = kept
            .lines()
            .any(|line| line.split('=').next() == Some(name));
        if let (false, Some(before)) = (known, before) {
            kept.push_str(&format!("{name}={before}\n"));
            fs::write(&file, kept).doing(|| format!("write {}", file.display()))?;
        }
        netns::set(name, value).doing(|| format!("set {name} to {value}"))
    }

    /// Sets the host back to what it was; but an engine that came meanwhile relies on forwarding, and so does whoever
    /// has a bridge with IPv6 by now.
    pub(super) fn restore_host(&mut self, engine: bool) -> Result<(), Error> {
        let file = self.config.folder.join(BEFORE);
        let kept = fs::read_to_string(&file).unwrap_or_default();
        for (name, value) in kept.lines().filter_map(|line| line.split_once('=')) {
            let needed = match name {
                FORWARDING_V6 => self.has_bridge_v6()?,
                _ => engine,
            };
            if !needed {
                netns::set(name, value).doing(|| format!("set {name} back to {value}"))?;
            }
        }
        let folder = &self.config.folder;
        fs::remove_dir_all(folder).doing(|| format!("remove {}", folder.display()))
    }

    /// Whether a bridge of the host has an address of IPv6 beyond its link's own.
    fn has_bridge_v6(&mut self) -> Result<bool, Error> {
        let doing = || "look at the host's bridges".to_owned();
        let addresses = self.links.addresses().doing(doing)?;
        let links = self.links.links().doing(doing)?;
        let beyond = |address: &IpNet| match address {
            IpNet::V6(address) => !address.addr().is_unicast_link_local(),
            IpNet::V4(_) => false,
        };
        let has = |link: &Link| {
            let mut own = addresses.iter().filter(|(index, _)| *index == link.index);
            link.bridge && own.any(|(_, address)| beyond(address))
        };
        Ok(links.iter().any(has))
    }
}
