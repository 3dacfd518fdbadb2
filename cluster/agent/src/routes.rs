//! What this host routes by itself: a network of the swarm with such addresses would not be reached.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Routes that the kernel marks so lead nowhere (RTF_REJECT of `linux/route.h`).
const REJECT: u32 = 0x0200;
/// The kernel's own for one address (RTF_LOCAL of `linux/ipv6_route.h`).
const LOCAL: u32 = 0x8000_0000;

/// The ranges, each once and in order; those for everything and for single links are left out.
pub fn read() -> Vec<IpNet> {
    let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let mut routes = ipv4(&text("/proc/net/route"));
    routes.extend(ipv6(&text("/proc/net/ipv6_route")));
    routes.sort();
    routes.dedup();
    routes
}

/// Columns: interface, destination, gateway, flags, three counters, mask; numbers in the host's byte order.
fn ipv4(text: &str) -> Vec<IpNet> {
    let line = |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |column: usize| u32::from_str_radix(columns.get(column)?, 16).ok();
        let address = |column: usize| Some(Ipv4Addr::from(number(column)?.to_ne_bytes()));
        let route = Ipv4Net::with_netmask(address(1)?, address(7)?).ok()?;
        let counts = number(3)? & REJECT == 0 && route.prefix_len() > 0;
        (counts && !route.addr().is_link_local()).then_some(IpNet::V4(route))
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// Columns: destination, its length, source, its length, next hop, three counters, flags, interface.
fn ipv6(text: &str) -> Vec<IpNet> {
    let line = |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let address = Ipv6Addr::from(u128::from_str_radix(columns.first()?, 16).ok()?);
        let prefix = u8::from_str_radix(columns.get(1)?, 16).ok()?;
        let flags = u32::from_str_radix(columns.get(8)?, 16).ok()?;
        let route = Ipv6Net::new(address, prefix).ok()?;
        let own =
            address.is_unicast_link_local() || address.is_multicast() || address.is_loopback();
        let counts = flags & (REJECT | LOCAL) == 0 && prefix > 0;
        (counts && !own).then_some(IpNet::V6(route))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_ipv4_are_read_without_the_default() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            eth0\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            *\t0000100A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            torn\t00";
        assert_eq!(ipv4(text), ["10.77.0.0/24".parse().unwrap()]);
    }

    #[test]
    fn routes_of_ipv6_are_read_without_the_kernels_own() {
        let zero = "00000000000000000000000000000000";
        let line = |to: &str, prefix: &str, flags: &str| {
            format!("{to} {prefix} {zero} 00 {zero} 00000100 00000001 00000000 {flags} eth0\n")
        };
        let text = [
            line("fd000000000000000000000000000000", "40", "00000001"),
            line(zero, "00", "00000003"),
            line("fe800000000000000000000000000000", "40", "00000001"),
            line("fd000000000000000000000000000007", "80", "80200001"),
            line("fd010000000000000000000000000000", "40", "00000201"),
        ];
        assert_eq!(ipv6(&text.concat()), ["fd00::/64".parse().unwrap()]);
    }
}
