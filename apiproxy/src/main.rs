//! `swarmrsd`: Swarm mode in front of the stock engine.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Parser, ValueEnum};
use swarmrs_apiproxy::config::{Host, LogFormat};
use swarmrs_apiproxy::{Config, daemon};
use tracing::level_filters::LevelFilter;

/// Run Docker's Swarm mode in front of a stock engine
#[derive(Debug, Parser)]
#[command(name = "swarmrsd", version, disable_version_flag = true)]
struct Arguments {
    /// Socket to listen on
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
        default_value = "unix:///var/run/docker.sock"
    )]
    engine: Host,
    /// Directory of persistent state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/swarmrs")]
    data_root: PathBuf,
    /// Directory of state that ends with a reboot
    #[arg(long, value_name = "DIR", default_value = "/run/swarmrs")]
    exec_root: PathBuf,
    /// File for the daemon's process id
    #[arg(long, value_name = "FILE", default_value = "/run/swarmrs/swarmrsd.pid")]
    pidfile: PathBuf,
    /// Group that may use the sockets [default: docker, if it exists]
    #[arg(long, short = 'G')]
    group: Option<String>,
    /// Log at debug level
    #[arg(short = 'D', long)]
    debug: bool,
    /// Log level
    #[arg(short = 'l', long, value_enum, default_value_t = Level::Info)]
    log_level: Level,
    /// Format of log lines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// Print the version and exit
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: (),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl From<Arguments> for Config {
    fn from(arguments: Arguments) -> Self {
        let level = match arguments.log_level {
            Level::Trace => LevelFilter::TRACE,
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            Level::Error => LevelFilter::ERROR,
        };
        Config {
            hosts: arguments.hosts,
            engine: arguments.engine.0,
            data_root: arguments.data_root,
            exec_root: arguments.exec_root,
            pidfile: arguments.pidfile,
            group: arguments.group,
            level: match arguments.debug {
                true => level.max(LevelFilter::DEBUG),
                false => level,
            },
            format: match arguments.log_format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            },
        }
    }
}

fn main() -> ExitCode {
    match daemon::run(Arguments::parse().into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swarmrsd: {error}");
            ExitCode::FAILURE
        }
    }
}
