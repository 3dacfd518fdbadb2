//! Why the daemon does not start, in words that say what to look at.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use swarmrs_node::NodeError;

use crate::config::{Host, Inherited};
use crate::server::TlsError;

/// Why the daemon does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {path}: {source}")]
    Path { path: String, source: io::Error },
    #[error("swarmrsd runs already, as process {pid} ({path})")]
    Running { pid: u32, path: String },
    #[error("somebody listens on {path} already")]
    InUse { path: String },
    #[error("there is no group {0:?} on this machine")]
    NoGroup(String),
    #[error("cannot listen on {host}: {source}")]
    Listen { host: Host, source: io::Error },
    #[error("cannot serve metrics on {addr}: {source}")]
    Metrics { addr: SocketAddr, source: io::Error },
    #[error("{}", nothing_inherited(.0))]
    NothingInherited(Inherited),
    #[error("fd://{0}: what the service manager handed down is no listening stream socket")]
    UnfitInherited(i32),
    #[error(
        "{0} hands down a TCP port, and a TCP port needs TLS (--tlsverify) or an explicit --tls=false"
    )]
    Unprotected(Host),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{path} is no policy of a node: {source}")]
    Policy {
        path: String,
        source: serde_json::Error,
    },
    #[error("cannot set the limits of this process: {0}")]
    Limits(#[source] io::Error),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot find this program's own file: {0}")]
    Program(#[source] io::Error),
    #[error(transparent)]
    Holder(#[from] swarmrs_node::holder::Error),
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl Error {
    pub(super) fn path(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        Self::Path { path, source }
    }

    pub(super) fn policy(path: &Path, source: serde_json::Error) -> Self {
        let path = path.display().to_string();
        Self::Policy { path, source }
    }

    pub(super) fn listen(host: &Host, source: io::Error) -> Self {
        let host = host.clone();
        Self::Listen { host, source }
    }
}

/// dockerd's words, and which name was looked for.
fn nothing_inherited(which: &Inherited) -> String {
    let text =
        "no sockets found via socket activation: make sure the service was started by systemd";
    match which {
        Inherited::All => text.to_owned(),
        Inherited::One(name) => {
            format!("fd://{name}: {text}, with a socket of that name or number")
        }
    }
}
