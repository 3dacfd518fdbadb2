//! What `swarmrsd` is told, checked.

use std::path::PathBuf;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;

/// Everything that the daemon needs to know to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where clients come in.
    pub hosts: Vec<Host>,
    /// The stock engine's socket.
    pub engine: PathBuf,
    /// What must survive a reboot.
    pub data_root: PathBuf,
    /// What need not: sockets and the like.
    pub exec_root: PathBuf,
    /// Says that a daemon runs, and which.
    pub pidfile: PathBuf,
    /// Who may use the sockets beside root; `None`: the group `docker`, if there is one.
    pub group: Option<String>,
    /// What is logged.
    pub level: LevelFilter,
    /// How.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// An address that cannot be served or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// TCP in clear would give the machine to whoever reaches the port.
    #[error(
        "{0}: listening on TCP needs TLS, which this release does not have yet: use unix:// and, from afar, \
         docker -H ssh://"
    )]
    Tcp(String),
    /// Sockets handed down by a service manager.
    #[error("{0}: sockets handed down by a service manager are not taken yet: use unix://")]
    Inherited(String),
    /// Something else.
    #[error("{0} is not an address: expected unix:///path/of/the.sock")]
    Unknown(String),
}

/// The path of a unix socket, written `unix:///path` or as a bare path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(pub PathBuf);

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let path = match text.split_once("://") {
            Some(("unix", path)) => path,
            Some(("tcp" | "http" | "https", _)) => return Err(HostError::Tcp(text.to_owned())),
            Some(("fd", _)) => return Err(HostError::Inherited(text.to_owned())),
            Some(_) => return Err(HostError::Unknown(text.to_owned())),
            None => text,
        };
        match path.starts_with('/') {
            true => Ok(Self(path.into())),
            false => Err(HostError::Unknown(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unix://{}", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_is_served() {
        let expected = Host("/run/x.sock".into());
        assert_eq!("unix:///run/x.sock".parse(), Ok(expected.clone()));
        assert_eq!("/run/x.sock".parse(), Ok(expected));
    }

    #[test]
    fn tcp_is_refused_with_the_way_out() {
        let refused = "tcp://0.0.0.0:2375".parse::<Host>().unwrap_err();
        assert!(refused.to_string().contains("ssh://"), "{refused}");
        for other in ["fd://", "npipe://x", "unix://relative", "relative", ""] {
            assert!(other.parse::<Host>().is_err(), "{other}");
        }
    }
}
