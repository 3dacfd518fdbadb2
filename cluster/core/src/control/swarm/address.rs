//! On which address a node listens, and under which the others reach it.
//!
//! Pure: the machine's interfaces come in as data. Wherever an address is asked for, an interface's
//! name does as well, if the interface has one address that could be meant.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use swarmrs_types::Fault;
use swarmrs_types::default::SWARM_PORT;
use swarmrs_types::spec::{InitRequest, JoinRequest};

/// A network interface of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub up: bool,
    pub loopback: bool,
    /// The engine's own: its addresses are never a node's.
    pub managed: bool,
    /// In the system's order.
    pub addrs: Vec<IpAddr>,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where the node listens.
    pub listen: SocketAddr,
    /// Where the others reach it.
    pub advertise: SocketAddr,
    /// This machine's own address: the one listened on, or the one that could be meant by "all".
    pub local: IpAddr,
    /// Where the packets of networks go, if that was asked to be another address.
    pub data_path: Option<IpAddr>,
}

const NO_IP: &str = "could not find the system's IP address";
const BAD_LISTEN: &str =
    "listen address must be an IP address or network interface (with optional port number)";
const BAD_ADVERTISE: &str = "advertise address must be a non-zero IP address or network interface (with optional port number)";
const BAD_DEFAULT_ADVERTISE: &str = "default advertise address must be a non-zero IP address or network interface (without a port number)";
const BAD_DATA_PATH: &str =
    "data path address must be a non-zero IP address or network interface (without a port number)";
const MUST_LISTEN: &str = "must specify a listening address because the address to advertise is not recognized as a system address, and a system's IP address to use could not be uniquely identified";

/// Chooses a node's addresses from a request to make a swarm.
pub fn choose_addresses(
    request: &InitRequest,
    interfaces: &[Interface],
    default_advertise: &str,
) -> Result<Addresses, Fault> {
    let listen = listened(&request.listen_addr, interfaces)?;
    let advertise = advertised(
        &request.advertise_addr,
        listen.port(),
        interfaces,
        default_advertise,
    )?;
    let data_path = data_path(&request.data_path_addr, interfaces)?;
    Ok(Addresses {
        listen,
        advertise,
        local: local(listen.ip(), advertise.ip(), interfaces)?,
        data_path,
    })
}

/// What a newcomer chose; where it is reached others may see better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAddresses {
    pub listen: SocketAddr,
    pub advertise: Option<SocketAddr>,
    pub data_path: Option<IpAddr>,
}

/// Chooses a node's addresses from a request to join. An address to advertise that cannot be used is no
/// reason to refuse: the swarm sees where the node is, as Docker has it.
pub fn join_addresses(
    request: &JoinRequest,
    interfaces: &[Interface],
) -> Result<JoinAddresses, Fault> {
    check_listen(&request.listen_addr)?;
    let listen = listened(&request.listen_addr, interfaces)?;
    let advertise = match request.advertise_addr.as_str() {
        "" => None,
        given => advertised(given, listen.port(), interfaces, "").ok(),
    };
    let data_path = data_path(&request.data_path_addr, interfaces)?;
    Ok(JoinAddresses {
        listen,
        advertise,
        data_path,
    })
}

/// An address to listen on has to be named. Asked before all else.
pub(super) fn check_listen(given: &str) -> Result<(), Fault> {
    if given.is_empty() {
        return Err(Fault::invalid(
            "invalid ListenAddr \"\": invalid empty address",
        ));
    }
    Ok(())
}

fn listened(given: &str, interfaces: &[Interface]) -> Result<SocketAddr, Fault> {
    let given = with_port(given);
    let Some((host, port)) = split(&given).and_then(numbered) else {
        return Err(Fault::invalid(format!(
            "could not parse listen address {given}"
        )));
    };
    Ok(SocketAddr::new(
        resolve(host, true, BAD_LISTEN, interfaces)?,
        port,
    ))
}

fn data_path(given: &str, interfaces: &[Interface]) -> Result<Option<IpAddr>, Fault> {
    match given {
        "" => Ok(None),
        given => resolve(given, false, BAD_DATA_PATH, interfaces).map(Some),
    }
}

/// The address given, else the daemon's own, else the only one there is.
fn advertised(
    given: &str,
    port: u16,
    interfaces: &[Interface],
    default: &str,
) -> Result<SocketAddr, Fault> {
    if !given.is_empty() {
        let (host, port) = split(given).and_then(numbered).unwrap_or((given, port));
        let addr = resolve(host, false, BAD_ADVERTISE, interfaces)?;
        return Ok(SocketAddr::new(addr, port));
    }
    let addr = if default.is_empty() {
        only_address(interfaces).map_err(Fault::invalid)?
    } else {
        resolve(default, false, BAD_DEFAULT_ADVERTISE, interfaces)?
    };
    Ok(SocketAddr::new(addr, port))
}

/// Listening on all addresses, a node still is at one of them.
fn local(listen: IpAddr, advertise: IpAddr, interfaces: &[Interface]) -> Result<IpAddr, Fault> {
    if !listen.is_unspecified() {
        return Ok(listen);
    }
    let mut own = interfaces.iter().flat_map(|interface| &interface.addrs);
    if own.any(|addr| *addr == advertise) {
        return Ok(advertise);
    }
    only_address(interfaces).map_err(|_| Fault::invalid(MUST_LISTEN))
}

/// An interface's address, or the address itself; `bad` if it is neither.
fn resolve(
    host: &str,
    may_be_all: bool,
    bad: &str,
    interfaces: &[Interface],
) -> Result<IpAddr, Fault> {
    if let Some(interface) = interfaces.iter().find(|interface| interface.name == host) {
        return address_of(interface).map_err(Fault::invalid);
    }
    match host.parse::<IpAddr>() {
        Ok(addr) if may_be_all || !addr.is_unspecified() => Ok(addr),
        _ => Err(Fault::invalid(bad)),
    }
}

/// The one address of an interface that was named, IPv4 before IPv6.
fn address_of(interface: &Interface) -> Result<IpAddr, String> {
    let name = &interface.name;
    let sole = |family: &str, wanted: fn(&IpAddr) -> bool| {
        let found: Vec<&IpAddr> = interface.addrs.iter().filter(|addr| wanted(addr)).collect();
        match found.as_slice() {
            [first, second, ..] => Err(format!(
                "interface {name} has more than one {family} address ({first} and {second})"
            )),
            rest => Ok(rest.first().map(|addr| **addr)),
        }
    };
    let (v4, v6) = (
        sole("IPv4", IpAddr::is_ipv4)?,
        sole("IPv6", IpAddr::is_ipv6)?,
    );
    v4.or(v6)
        .ok_or_else(|| format!("interface {name} has no usable IPv4 or IPv6 address"))
}

/// The machine's only address that others could reach.
fn only_address(interfaces: &[Interface]) -> Result<IpAddr, String> {
    let mut chosen: Option<(IpAddr, &str)> = None;
    for interface in interfaces {
        if !interface.up || interface.loopback || interface.managed {
            continue;
        }
        let Some(addr) = candidate(interface)? else {
            continue;
        };
        if let Some((before, name)) = chosen {
            return Err(several((before, name), (addr, &interface.name)));
        }
        chosen = Some((addr, &interface.name));
    }
    chosen.map(|(addr, _)| addr).ok_or_else(|| NO_IP.to_owned())
}

fn candidate(interface: &Interface) -> Result<Option<IpAddr>, String> {
    let sole = |wanted: fn(&IpAddr) -> bool| {
        let reachable = interface.addrs.iter().filter(|addr| is_reachable(addr));
        let found: Vec<&IpAddr> = reachable.filter(|addr| wanted(addr)).collect();
        match found.as_slice() {
            [first, second, ..] => Err(several(
                (**first, &interface.name),
                (**second, &interface.name),
            )),
            rest => Ok(rest.first().map(|addr| **addr)),
        }
    };
    let (v4, v6) = (sole(IpAddr::is_ipv4)?, sole(IpAddr::is_ipv6)?);
    Ok(v4.or(v6))
}

/// Neither this machine only, nor this link only, nor many at once.
fn is_reachable(addr: &IpAddr) -> bool {
    let link_local = match addr {
        IpAddr::V4(addr) => addr.is_link_local() || addr.is_broadcast(),
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    };
    !(link_local || addr.is_loopback() || addr.is_multicast() || addr.is_unspecified())
}

/// The stock CLI looks for the beginning of this text and adds advice.
fn several(one: (IpAddr, &str), other: (IpAddr, &str)) -> String {
    let ((a, first), (b, second)) = (one, other);
    let place = if first == second {
        format!("on interface {first} ({a} and {b})")
    } else {
        format!("on different interfaces ({a} on {first} and {b} on {second})")
    };
    format!(
        "could not choose an IP address to advertise since this system has multiple addresses {place}"
    )
}

/// The address with the swarm's port if it has none, and `0.0.0.0` if it has no host.
fn with_port(given: &str) -> String {
    let given = given.strip_prefix("tcp://").unwrap_or(given);
    let host_only = |host: &str| format!("{host}:{SWARM_PORT}");
    match split(given) {
        Some(("", port)) => format!("0.0.0.0:{port}"),
        Some((host, "")) if given.starts_with('[') => host_only(&format!("[{host}]")),
        Some((host, "")) => host_only(host),
        Some(_) => given.to_owned(),
        None if given.is_empty() => host_only("0.0.0.0"),
        None if given.parse::<Ipv6Addr>().is_ok() => host_only(&format!("[{given}]")),
        // Too many colons for a port: left as it is, to be refused by name.
        None if given.contains(':') && !given.starts_with('[') => given.to_owned(),
        None => host_only(given),
    }
}

/// The host of a `host:port`, without brackets.
pub fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// `host:port` or `[host]:port`, the host without its brackets.
fn split(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once("]:");
    }
    let (host, port) = text.split_once(':')?;
    (!port.contains(':')).then_some((host, port))
}

fn numbered<'a>((host, port): (&'a str, &str)) -> Option<(&'a str, u16)> {
    Some((host, port.parse().ok()?))
}
