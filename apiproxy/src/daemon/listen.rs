//! Every address of the configuration becomes a listener, and those that are ours to make are removed at the end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use nix::unistd::Gid;
use tokio::net::{TcpListener, UnixListener};
use tracing::{info, warn};

use super::inherited::{Claimed, Inherited};
use super::{Error, socket};
use crate::config::{Config, Host, TlsMode};
use crate::server::{Listener, Tcp, Tls};

/// dockerd's own words.
const INSECURE: &str = "Binding to IP address without --tlsverify is insecure and gives root access on this machine to \
                        everyone who has access to your network.";

/// Where clients come in.
pub(super) struct Listening {
    pub listeners: Vec<Listener>,
    /// What TCP ports show and demand, to be reloaded.
    pub tls: Option<Tls>,
    /// Unix sockets that we made.
    made: Vec<PathBuf>,
    /// The first unix socket, ours or handed down: what containers can mount.
    pub socket: Option<PathBuf>,
}

impl Listening {
    /// Opens all that the configuration names.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        let group = socket::group(config.group.as_deref())?;
        let mut opening = Opening {
            config,
            group,
            inherited: None,
            done: Self {
                listeners: Vec::new(),
                tls: tls(config)?,
                made: Vec::new(),
                socket: None,
            },
        };
        for host in &config.hosts {
            opening.open(host).await?;
        }
        Ok(opening.done)
    }
}

impl Drop for Listening {
    /// Removes the unix sockets that we made; those handed down are not ours.
    fn drop(&mut self) {
        for path in &self.made {
            if let Err(error) = std::fs::remove_file(path) {
                warn!(path = %path.display(), %error, "the socket stays");
            }
        }
    }
}

/// What TCP ports show and demand.
pub(super) fn tls(config: &Config) -> Result<Option<Tls>, Error> {
    match &config.tls {
        TlsMode::On(files) => Ok(Some(Tls::load(files)?)),
        TlsMode::Off | TlsMode::Unset => Ok(None),
    }
}

struct Opening<'a> {
    config: &'a Config,
    group: Option<Gid>,
    inherited: Option<Inherited>,
    done: Listening,
}

impl Opening<'_> {
    async fn open(&mut self, host: &Host) -> Result<(), Error> {
        match host {
            Host::Unix(path) => {
                let listener = socket::bind(path, self.group)?;
                self.done.made.push(path.clone());
                self.add_unix(listener, host);
            }
            Host::Tcp { host: name, port } => {
                let opened = bind_tcp(name, *port).await;
                let opened = opened.map_err(|source| Error::listen(host, source))?;
                self.add_tcp(opened, host)?;
            }
            Host::Inherited(which) => {
                for one in self
                    .inherited
                    .get_or_insert_with(Inherited::take)
                    .claim(which)?
                {
                    self.add_inherited(one, host)?;
                }
            }
        }
        Ok(())
    }

    fn add_unix(&mut self, listener: UnixListener, host: &Host) {
        info!(%host, "listening");
        let address = listener.local_addr().ok();
        let path = match host {
            Host::Unix(path) => Some(path.clone()),
            _ => address.and_then(|address| Some(address.as_pathname()?.to_owned())),
        };
        self.done.socket = self.done.socket.take().or(path);
        self.done.listeners.push(Listener::Unix(listener));
    }

    fn add_tcp(&mut self, listener: TcpListener, host: &Host) -> Result<(), Error> {
        let tls = self.done.tls.clone();
        if tls.is_none() && self.config.tls != TlsMode::Off {
            return Err(Error::Unprotected(host.clone()));
        }
        if !tls.as_ref().is_some_and(Tls::verifies) {
            warn!(%host, "{INSECURE}");
        }
        let address = listener
            .local_addr()
            .map_err(|source| Error::listen(host, source))?;
        info!(%host, %address, "listening");
        let swarmrs_api = self.config.swarmrs_api_on_tcp;
        let tcp = Tcp {
            listener,
            tls,
            swarmrs_api,
        };
        self.done.listeners.push(Listener::Tcp(tcp));
        Ok(())
    }

    fn add_inherited(&mut self, one: Claimed, host: &Host) -> Result<(), Error> {
        let failed = |source| Error::listen(host, source);
        match one {
            Claimed::Unix(listener) => {
                listener.set_nonblocking(true).map_err(failed)?;
                self.add_unix(UnixListener::from_std(listener).map_err(failed)?, host);
            }
            Claimed::Tcp(listener) => {
                listener.set_nonblocking(true).map_err(failed)?;
                let listener = TcpListener::from_std(listener).map_err(failed)?;
                self.add_tcp(listener, host)?;
            }
        }
        Ok(())
    }
}

/// Opens the first of a name's addresses that can be opened, IPv4 before IPv6 as Go does.
async fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    let found = tokio::net::lookup_host((host, port)).await?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    TcpListener::bind(addresses.as_slice()).await
}
