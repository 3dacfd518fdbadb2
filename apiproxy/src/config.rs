//! What `swarmrsd` is told, checked.
//!
//! Flags and the configuration file are one list of options ([`arguments`]): the file's keys are the options' long names, as
//! in dockerd's `daemon.json`, and an option given in both places is an error. [`Source`] reads both, at the start and again
//! on each SIGHUP.

pub mod arguments;
pub mod file;
pub mod holder;
pub mod host;
pub mod resource;
pub mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use swarmrs_node::LogEngine;
use swarmrs_types::spec::GenericResource;
use tracing::level_filters::LevelFilter;

pub use arguments::{Source, SourceError};
pub use holder::HolderConfig;
pub use host::{Host, HostError, Inherited};
pub use tls::{TlsFiles, TlsMode};

/// Everything that the daemon needs to know to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that some of this comes from.
    pub file: Option<PathBuf>,
    /// Where clients come in.
    pub hosts: Vec<Host>,
    /// The stock engine's socket.
    pub engine: PathBuf,
    /// What must survive a reboot.
    pub data_root: PathBuf,
    /// What a manager's log is kept with.
    pub raft_store: LogEngine,
    /// Bytes kept back on the data root's disk.
    pub disk_reserve: u64,
    /// What need not: sockets and the like.
    pub exec_root: PathBuf,
    /// Says that a daemon runs, and which.
    pub pidfile: PathBuf,
    /// Who may use the sockets beside root; `None`: the group `docker`, if there is one.
    pub group: Option<String>,
    /// How TCP ports are protected.
    pub tls: TlsMode,
    /// Whether our own API, `/swarmrs`, is served on TCP ports too.
    pub swarmrs_api_on_tcp: bool,
    /// What this node has beside CPUs and memory.
    pub generic_resources: Vec<GenericResource>,
    /// Where metrics and health are served in clear; `None`: nowhere.
    pub metrics_addr: Option<SocketAddr>,
    /// Whether a service's bind of the engine's socket gets ours.
    pub map_engine_socket: bool,
    /// Says what of this node tasks may have; `None`: everything.
    pub node_policy: Option<PathBuf>,
    /// What is logged.
    pub level: LevelFilter,
    /// How.
    pub format: LogFormat,
}

impl Config {
    /// The options that differ in `other` and that a running daemon cannot take over, by name.
    pub fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        let (ours, theirs) = (self.fixed(), other.fixed());
        let pairs = ours.into_iter().zip(theirs);
        pairs
            .filter(|(ours, theirs)| ours.1 != theirs.1)
            .map(|(ours, _)| ours.0)
            .collect()
    }

    /// Every option that holds for the life of the process, with its value as text.
    fn fixed(&self) -> Vec<(&'static str, String)> {
        // No `..`: a new option has to say here whether it can change live.
        let Self {
            file: _,
            level: _,
            hosts,
            engine,
            data_root,
            raft_store,
            disk_reserve,
            exec_root,
            pidfile,
            group,
            tls,
            swarmrs_api_on_tcp,
            generic_resources,
            metrics_addr,
            map_engine_socket,
            node_policy,
            format,
        } = self;
        vec![
            ("hosts", format!("{hosts:?}")),
            ("engine", format!("{engine:?}")),
            ("data-root", format!("{data_root:?}")),
            ("raft-store", format!("{raft_store:?}")),
            ("disk-reserve", format!("{disk_reserve:?}")),
            ("exec-root", format!("{exec_root:?}")),
            ("pidfile", format!("{pidfile:?}")),
            ("group", format!("{group:?}")),
            ("tls*", format!("{tls:?}")),
            ("swarmrs-api-on-tcp", format!("{swarmrs_api_on_tcp:?}")),
            ("node-generic-resources", format!("{generic_resources:?}")),
            ("metrics-addr", format!("{metrics_addr:?}")),
            ("map-engine-socket", format!("{map_engine_socket:?}")),
            ("node-policy", format!("{node_policy:?}")),
            ("log-format", format!("{format:?}")),
        ]
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}
