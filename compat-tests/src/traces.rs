//! What networks could leave on a host: rules, links, addresses, routes, namespaces, plug-in sockets and settings of the kernel.

use crate::{Error, Host};

/// Each prints one kind of trace, whole but for what moves by itself: counters, and how many flows there are.
const LOOKS: [&str; 7] = [
    "nft list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'",
    "for save in iptables-save ip6tables-save; do $save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'; done",
    "ip -brief link | awk '{print $1}'; ip -oneline address | awk '{print $2, $3, $4}'",
    ROUTES,
    "grep -c nsfs /proc/self/mounts || true",
    "ls /run/docker/plugins 2>/dev/null || true",
    "sysctl -a 2>/dev/null | grep '^net\\.' | grep -v nf_conntrack_count",
];

/// But for what follows from a link's own address: the kernel makes it once it knows that nobody else has that address, some
/// seconds after the link came up, and on a bridge not before its first container.
const ROUTES: &str = "for family in -4 -6; do ip $family route show table all | sed 's/ linkdown//' | \
    grep -v -E '^(local|anycast) fe80::'; ip $family rule; done";

/// All of it, line by line, to be compared with what was there before.
pub fn of(host: &Host) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for look in LOOKS {
        let output = host.inside(&["sh", "-c", look])?;
        lines.extend(output.success()?.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// Whether the host is as it was before; else the lines that are more (`+`) and those that are missing (`-`).
pub fn none_since(before: &[String], host: &Host) -> Result<(), String> {
    let now = of(host).map_err(|error| error.to_string())?;
    if now == before {
        return Ok(());
    }
    let only = |sign: &str, these: &[String], others: &[String]| -> Vec<String> {
        let lines = these.iter().filter(|line| !others.contains(line));
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    let lines = [only("+", &now, before), only("-", before, &now)].concat();
    Err(match lines.is_empty() {
        true => "the same lines in another order or number".to_owned(),
        false => lines.join("\n"),
    })
}
