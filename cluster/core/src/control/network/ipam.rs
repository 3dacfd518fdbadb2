//! A network's address settings, as Docker's daemon reads them: all that is wrong is said at once.
//!
//! Source: moby `api/types/network/ipam.go`.

use ipnet::IpNet;
use std::net::IpAddr;
use swarmrs_types::Fault;
use swarmrs_types::spec::{IpamConfig, NetworkSpec};

/// Bits of a subnet that are left for addresses, at least: its own, its gateway's, a container's, its broadcast.
const SMALLEST: u8 = 2;

/// All rules.
pub(super) fn check(spec: &NetworkSpec) -> Result<(), Fault> {
    let configs = spec.ipam.iter().flat_map(|ipam| &ipam.config);
    let mut wrong = Vec::new();
    for one in configs {
        config(one, spec.enable_ipv6 == Some(true), &mut wrong);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "invalid network config:\n{}",
        wrong.join("\n")
    )))
}

fn config(config: &IpamConfig, ipv6: bool, wrong: &mut Vec<String>) {
    let Ok(subnet) = config.subnet.parse::<IpNet>() else {
        let text = &config.subnet;
        wrong.push(format!(
            "invalid subnet {text}: invalid CIDR block notation"
        ));
        return;
    };
    if subnet.addr().is_ipv6() && !ipv6 {
        return;
    }
    if subnet != subnet.trunc() {
        wrong.push(format!(
            "invalid subnet {subnet}: it should be {}",
            subnet.trunc()
        ));
    }
    if subnet.max_prefix_len() - subnet.prefix_len() < SMALLEST {
        wrong.push(format!(
            "invalid subnet {subnet}: it has no address left for a container"
        ));
    }
    if !config.ip_range.is_empty() {
        range(&config.ip_range, subnet, wrong);
    }
    if let Err(why) = gateway(&config.gateway, subnet) {
        wrong.push(format!("invalid gateway {}: {why}", config.gateway));
    }
    for (name, given) in &config.auxiliary_addresses {
        if let Err(why) = address(given, subnet) {
            wrong.push(format!("invalid auxiliary address {name}: {why}"));
        }
    }
}

fn range(text: &str, subnet: IpNet, wrong: &mut Vec<String>) {
    let Ok(range) = text.parse::<IpNet>() else {
        wrong.push(format!(
            "invalid ip-range {text}: invalid CIDR block notation"
        ));
        return;
    };
    if range.addr().is_ipv4() != subnet.addr().is_ipv4() {
        let family = family(subnet);
        wrong.push(format!(
            "invalid ip-range {text}: parent subnet is an {family} block"
        ));
        return;
    }
    if range.prefix_len() < subnet.prefix_len() {
        wrong.push(format!(
            "invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"
        ));
    }
    if range != range.trunc() {
        wrong.push(format!(
            "invalid ip-range {range}: it should be {}",
            range.trunc()
        ));
    }
    if !subnet.contains(&range.addr()) && !range.contains(&subnet.addr()) {
        wrong.push(format!(
            "invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"
        ));
    }
}

/// As any address, but one that a router can have.
fn gateway(text: &str, subnet: IpNet) -> Result<(), String> {
    address(text, subnet)?;
    match text.parse::<IpAddr>() {
        Ok(given) if given == subnet.network() => {
            Err(format!("it is the address of subnet {subnet} itself"))
        }
        Ok(given) if given.is_ipv4() && given == subnet.broadcast() => {
            Err(format!("it is the broadcast address of subnet {subnet}"))
        }
        _ => Ok(()),
    }
}

fn address(text: &str, subnet: IpNet) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err("invalid address".to_owned());
    };
    if address.is_ipv4() != subnet.addr().is_ipv4() {
        return Err(format!("parent subnet is an {} block", family(subnet)));
    }
    if !subnet.contains(&address) {
        return Err(format!(
            "parent subnet {subnet} doesn't contain this address"
        ));
    }
    Ok(())
}

fn family(subnet: IpNet) -> &'static str {
    if subnet.addr().is_ipv4() {
        "IPv4"
    } else {
        "IPv6"
    }
}
