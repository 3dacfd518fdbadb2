//! Addresses to listen on, written as dockerd's `-H` takes them.

use std::path::PathBuf;
use std::str::FromStr;

/// Where a port is opened if the address does not say.
const DEFAULT_TCP_HOST: &str = "localhost";
/// Which one. dockerd and the stock command take this number with TLS too.
const DEFAULT_TCP_PORT: u16 = 2375;

/// Where clients come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A unix socket that we make.
    Unix(PathBuf),
    /// A TCP port; the name may be one to look up.
    Tcp { host: String, port: u16 },
    /// Sockets that a service manager hands down.
    Inherited(Inherited),
}

/// Which of the sockets that are handed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inherited {
    /// All.
    All,
    /// The one with this descriptor number or name (`FileDescriptorName=`).
    One(String),
}

/// An address that cannot be served or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("Invalid bind address format: {0}")]
    Format(String),
    #[error("{0} is not an address: expected unix:///path/of/the.sock, tcp://host:port or fd://")]
    Unknown(String),
    #[error("the engine is reached by a unix socket, not by {0}")]
    NotAnEngine(String),
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        match text.split_once("://") {
            Some(("unix", path)) => unix(path, text),
            Some(("tcp", address)) => tcp(address, text),
            Some(("fd", "" | "*")) => Ok(Self::Inherited(Inherited::All)),
            Some(("fd", which)) => Ok(Self::Inherited(Inherited::One(which.to_owned()))),
            None if text.starts_with('/') => unix(text, text),
            // As in dockerd, an address without a scheme is one of TCP.
            None if text.contains(':') => tcp(text, text),
            _ => Err(HostError::Unknown(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Inherited(Inherited::All) => write!(f, "fd://"),
            Self::Inherited(Inherited::One(which)) => write!(f, "fd://{which}"),
        }
    }
}

/// The path of the engine's socket, written `unix:///path` or as a bare path.
///
/// # Errors
/// For any other kind of address.
pub fn engine_socket(text: &str) -> Result<PathBuf, HostError> {
    match text.parse()? {
        Host::Unix(path) => Ok(path),
        Host::Tcp { .. } | Host::Inherited(_) => Err(HostError::NotAnEngine(text.to_owned())),
    }
}

fn unix(path: &str, whole: &str) -> Result<Host, HostError> {
    match path.starts_with('/') {
        true => Ok(Host::Unix(path.into())),
        false => Err(HostError::Unknown(whole.to_owned())),
    }
}

/// `host`, `host:port`, `:port`, `[v6]`, `[v6]:port` or nothing, each part with its default.
fn tcp(address: &str, whole: &str) -> Result<Host, HostError> {
    let invalid = || HostError::Format(whole.to_owned());
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(invalid)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| invalid())?;
            match port {
                "" => (host, ""),
                port => (host, port.strip_prefix(':').ok_or_else(invalid)?),
            }
        }
        None => address.split_once(':').unwrap_or((address, "")),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
    if !host.bytes().all(plain) {
        return Err(invalid());
    }
    let port = match port {
        "" => DEFAULT_TCP_PORT,
        port => port.parse().map_err(|_| invalid())?,
    };
    let host = match host {
        "" => DEFAULT_TCP_HOST,
        host => host,
    };
    let host = host.to_owned();
    Ok(Host::Tcp { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Host>().unwrap().to_string()
    }

    #[test]
    fn addresses_are_read_with_dockerds_defaults() {
        for (written, meant) in [
            ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("/run/x.sock", "unix:///run/x.sock"),
            ("tcp://", "tcp://localhost:2375"),
            ("tcp://:2376", "tcp://localhost:2376"),
            ("tcp://0.0.0.0", "tcp://0.0.0.0:2375"),
            ("tcp://10.0.0.1:2376", "tcp://10.0.0.1:2376"),
            ("0.0.0.0:2375", "tcp://0.0.0.0:2375"),
            ("tcp://[::]", "tcp://[::]:2375"),
            ("tcp://[::]:", "tcp://[::]:2375"),
            ("tcp://[fe80::1]:2376", "tcp://[fe80::1]:2376"),
            ("fd://", "fd://"),
            ("fd://*", "fd://"),
            ("fd://3", "fd://3"),
            ("fd://docker.socket", "fd://docker.socket"),
        ] {
            assert_eq!(shown(written), meant, "{written}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for other in [
            "npipe://x",
            "unix://relative",
            "relative",
            "",
            "tcp://a:b",
            "tcp://a:65536",
            "tcp://::1:2375",
            "tcp://[::1",
            "tcp://[x]:1",
            "tcp://[::1]2375",
            "tcp://a:1/base",
            "tcp://a/base",
            "http://a:1",
        ] {
            let refused = other.parse::<Host>().unwrap_err().to_string();
            assert!(refused.contains(other), "{other}: {refused}");
        }
        assert!(engine_socket("tcp://127.0.0.1:1").is_err());
        assert_eq!(engine_socket("/x").unwrap(), PathBuf::from("/x"));
    }
}
