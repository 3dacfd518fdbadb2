//! The options of `swarmrsd`, from the command line and the configuration file.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, ValueEnum};
use swarmrs_node::LogEngine;
use tracing::level_filters::LevelFilter;

use super::file::{self, FileError};
use super::host::engine_socket;
use super::tls::Flags;
use super::{Config, Host, LogFormat, TlsMode, resource};

/// Read if it exists.
const DEFAULT_FILE: &str = "/etc/swarmrs/daemon.json";

/// Run Docker's Swarm mode in front of a stock engine
#[derive(Debug, Parser)]
#[command(
    name = "swarmrsd",
    version,
    disable_version_flag = true,
    after_help = "The process that holds this node's networks is started by itself: swarmrsd holder --help"
)]
struct Arguments {
    /// Configuration file, in JSON [default: /etc/swarmrs/daemon.json, if it exists]
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Check the configuration and exit
    #[arg(long)]
    validate: bool,
    /// Socket to listen on: unix://, tcp:// or fd:// (socket activation)
    #[arg(
        short = 'H',
        long = "host",
        value_name = "ADDRESS",
        default_value = "unix:///run/swarmrs/docker.sock"
    )]
    hosts: Vec<Host>,
    /// Socket of the stock engine
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = engine_socket,
        default_value = "unix:///var/run/docker.sock"
    )]
    engine: PathBuf,
    /// Directory of persistent state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/swarmrs")]
    data_root: PathBuf,
    /// Engine of a manager's log: redb or sled
    #[arg(long, value_name = "NAME", default_value_t)]
    raft_store: LogEngine,
    /// MiB kept free on the disk of the data root
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    disk_reserve: u32,
    /// Directory of state that ends with a reboot
    #[arg(long, value_name = "DIR", default_value = "/run/swarmrs")]
    exec_root: PathBuf,
    /// File for the daemon's process id
    #[arg(long, value_name = "FILE", default_value = "/run/swarmrs/swarmrsd.pid")]
    pidfile: PathBuf,
    /// Group that may use the sockets [default: docker, if it exists]
    #[arg(long, short = 'G')]
    group: Option<String>,
    /// Use TLS on TCP; implied by --tlsverify. Without TLS no TCP port is opened, except by --tls=false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tls: Option<bool>,
    /// Use TLS on TCP and demand a certificate of clients
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tlsverify: Option<bool>,
    /// Trust clients' certificates signed only by this CA [default: ~/.docker/ca.pem]
    #[arg(long, value_name = "FILE")]
    tlscacert: Option<PathBuf>,
    /// Certificate to show to clients [default: ~/.docker/cert.pem]
    #[arg(long, value_name = "FILE")]
    tlscert: Option<PathBuf>,
    /// Key of that certificate [default: ~/.docker/key.pem]
    #[arg(long, value_name = "FILE")]
    tlskey: Option<PathBuf>,
    /// Serve the API under /swarmrs on TCP ports too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    swarmrs_api_on_tcp: bool,
    /// Advertise a resource of your own kind, KIND=NUMBER or KIND=NAME; may be repeated
    #[arg(long = "node-generic-resource", value_name = "KIND=VALUE")]
    node_generic_resources: Vec<String>,
    /// Serve /metrics and /health, in clear, on this address
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_addr: Option<SocketAddr>,
    /// Give services that mount the engine's socket ours instead, so that they see the swarm
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true")]
    map_engine_socket: bool,
    /// File that says which dangerous powers tasks may have on this node
    #[arg(long, value_name = "FILE")]
    node_policy: Option<PathBuf>,
    /// Log at debug level
    #[arg(short = 'D', long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    debug: bool,
    /// Log level
    #[arg(short = 'l', long, value_enum, default_value_t = Level::Info)]
    log_level: Level,
    /// Format of log lines
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Print the version and exit
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: (),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::TRACE,
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The command line, or its wish to be told about itself: clap says it best.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    #[error("unable to configure the Docker daemon with file {path}: {source}")]
    File { path: String, source: FileError },
    #[error(
        "{0}: listening on TCP needs TLS (--tlsverify), because whoever reaches the port is root on this machine; \
         without it only after an explicit --tls=false, and from afar docker -H ssh:// needs no port at all"
    )]
    Unprotected(Host),
    #[error(transparent)]
    Resource(#[from] resource::ResourceError),
}

/// Where the configuration comes from; it can be read again.
#[derive(Debug, Clone)]
pub struct Source {
    arguments: Vec<OsString>,
}

impl Source {
    /// A command line, the program's name first.
    pub fn of(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { arguments }
    }

    /// Whether the command line asks for no more than a check.
    ///
    /// # Errors
    /// If the command line cannot be understood.
    pub fn only_validates(&self) -> Result<bool, SourceError> {
        Ok(Arguments::try_parse_from(&self.arguments)?.validate)
    }

    /// Reads the command line and the file that it names, as it is now.
    ///
    /// # Errors
    /// If either cannot be understood, both say the same thing, or what they say does not fit together.
    pub fn read(&self) -> Result<Config, SourceError> {
        let command = Arguments::command();
        let given = command.clone().try_get_matches_from(&self.arguments)?;
        let named = given.get_one::<PathBuf>("config_file").cloned();
        let path =
            named.or_else(|| Some(DEFAULT_FILE.into()).filter(|path: &PathBuf| path.exists()));
        let Some(path) = path else {
            return config(Arguments::from_arg_matches(&given)?, None);
        };
        let wrong = |source| SourceError::File {
            path: path.display().to_string(),
            source,
        };
        let text = read(&path).map_err(wrong)?;
        let further = file::arguments(&command, &given, &text).map_err(wrong)?;
        let all = self.arguments.iter().cloned().chain(further);
        let both = Arguments::try_parse_from(all);
        let both = both.map_err(|error| wrong(FileError::Value(first_line(&error))))?;
        config(both, Some(path.clone()))
    }
}

fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(FileError::Read)
}

/// What clap has to say, without the advice on flags.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

fn config(arguments: Arguments, file: Option<PathBuf>) -> Result<Config, SourceError> {
    let flags = Flags {
        tls: arguments.tls,
        tlsverify: arguments.tlsverify,
        ca: arguments.tlscacert,
        certificate: arguments.tlscert,
        key: arguments.tlskey,
    };
    let tls = flags.mode();
    let tcp = arguments
        .hosts
        .iter()
        .find(|host| matches!(host, Host::Tcp { .. }));
    if let (Some(host), TlsMode::Unset) = (tcp, &tls) {
        return Err(SourceError::Unprotected(host.clone()));
    }
    let level = LevelFilter::from(arguments.log_level);
    Ok(Config {
        file,
        hosts: arguments.hosts,
        engine: arguments.engine,
        data_root: arguments.data_root,
        raft_store: arguments.raft_store,
        disk_reserve: u64::from(arguments.disk_reserve) * 1024 * 1024,
        exec_root: arguments.exec_root,
        pidfile: arguments.pidfile,
        group: arguments.group,
        tls,
        swarmrs_api_on_tcp: arguments.swarmrs_api_on_tcp,
        generic_resources: resource::parse(&arguments.node_generic_resources)?,
        metrics_addr: arguments.metrics_addr,
        map_engine_socket: arguments.map_engine_socket,
        node_policy: arguments.node_policy,
        level: match arguments.debug {
            true => level.max(LevelFilter::DEBUG),
            false => level,
        },
        format: arguments.log_format,
    })
}

#[cfg(test)]
mod tests;
