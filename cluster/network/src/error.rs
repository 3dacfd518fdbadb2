//! What can go wrong with packets.

use std::io;
use std::net::IpAddr;
use swarmrs_types::id::NetworkId;

/// Of the plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel, or a file of its, refused.
    #[error("{doing}: {source}")]
    Kernel { doing: String, source: io::Error },
    /// No fact tells of the network.
    #[error("network {0} is not known on this node")]
    UnknownNetwork(NetworkId),
    /// No fact tells of an endpoint of this node with the address.
    #[error("no container of this node has the address {address} on network {network}")]
    UnknownAddress { network: NetworkId, address: IpAddr },
    /// Docker's own text for a port that a container has (`libnetwork/portallocator`).
    #[error("Bind for {host}:{port} failed: port is already allocated")]
    PortAllocated { host: IpAddr, port: u16 },
    /// Docker's own text for a port that a process of the host listens on.
    #[error("listen {protocol} {host}:{port}: bind: {}", lower(.source))]
    PortTaken {
        protocol: &'static str,
        host: IpAddr,
        port: u16,
        source: io::Error,
    },
    /// What was asked for cannot be.
    #[error("{0}")]
    Refused(String),
    /// The one who owns the plane is gone.
    #[error("the network plane has ended")]
    Ended,
}

/// The operating system's sentence as Go prints it: in lower case, without its number.
fn lower(source: &io::Error) -> String {
    let text = source.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// Says what was being done when the kernel refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Kernel {
            doing: what(),
            source,
        })
    }
}

impl<T> Doing<T> for nix::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(io::Error::from).doing(what)
    }
}
