//! What networks could leave on a host: rules, links, namespaces, plug-in sockets and settings of the kernel.

use crate::{Error, Host};

const LOOKS: [&str; 5] = [
    "nft list ruleset 2>/dev/null | sed 's/packets [0-9]* bytes [0-9]*//'",
    "ip -brief link | awk '{print $1}'",
    "grep -c nsfs /proc/self/mounts || true",
    "ls /run/docker/plugins 2>/dev/null || true",
    "sysctl -a 2>/dev/null | grep -E 'net.ipv[46].(conf.(all|default|lo|eth0).(forwarding|rp_filter|route_localnet|send_redirects)|ip_forward) '",
];

/// All of it as text, to be compared with what was there before.
pub fn of(host: &Host) -> Result<Vec<String>, Error> {
    let look = |line: &&str| Ok(host.inside(&["sh", "-c", line])?.success()?.to_owned());
    LOOKS.iter().map(look).collect()
}
