//! `docker-swarmrs`: the command `docker swarmrs …`.
//!
//! The stock `docker` command finds this program among its plugins, asks it with `docker-cli-plugin-metadata` who it is, and
//! runs it as `docker-swarmrs [docker's global flags] swarmrs COMMAND`. So the flags mean what they mean to `docker`: the
//! daemon is found by `--host`, by `DOCKER_HOST`, or by the context.
//!
//! - [`context`]: which daemon is meant
//! - [`daemon`]: one question to it
//! - [`format`]: the flag `--format`
//! - [`status`]: `docker swarmrs status`
//! - [`version`]: `docker swarmrs version`

mod context;
mod daemon;
mod format;
mod status;
mod version;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use context::Choice;

/// Manage a swarm made by swarmrs
#[derive(Debug, Parser)]
#[command(name = "docker", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(flatten)]
    docker: DockerFlags,
    #[command(subcommand)]
    plugin: Plugin,
}

/// The flags of `docker` itself, which it hands on. They may stand before or after our commands.
#[derive(Debug, Args)]
struct DockerFlags {
    /// Daemon socket to connect to
    #[arg(short = 'H', long, global = true, hide = true, value_name = "ADDRESS")]
    host: Vec<String>,
    /// Name of the context to use
    #[arg(short, long, global = true, hide = true)]
    context: Option<String>,
    /// Location of client config files
    #[arg(long, global = true, hide = true, value_name = "DIR")]
    config: Option<PathBuf>,
    #[command(flatten)]
    ignored: IgnoredFlags,
}

/// Flags of `docker` that concern nothing we do, taken so that they do not fail.
#[derive(Debug, Args)]
struct IgnoredFlags {
    #[arg(short = 'D', long, global = true, hide = true)]
    debug: bool,
    #[arg(short = 'l', long, global = true, hide = true)]
    log_level: Option<String>,
    #[arg(long, global = true, hide = true)]
    tls: bool,
    #[arg(long, global = true, hide = true)]
    tlsverify: bool,
    #[arg(long, global = true, hide = true)]
    tlscacert: Option<PathBuf>,
    #[arg(long, global = true, hide = true)]
    tlscert: Option<PathBuf>,
    #[arg(long, global = true, hide = true)]
    tlskey: Option<PathBuf>,
}

impl DockerFlags {
    /// The address of the daemon that is meant.
    fn address(&self) -> Result<String, context::Error> {
        let config = self.config.clone();
        let config = config.or_else(|| env::var_os("DOCKER_CONFIG").map(PathBuf::from));
        let home = || env::home_dir().unwrap_or_default().join(".docker");
        context::host(&Choice {
            host_flags: self.host.clone(),
            context_flag: self.context.clone(),
            host_variable: env::var("DOCKER_HOST").ok(),
            context_variable: env::var("DOCKER_CONTEXT").ok(),
            config: config.unwrap_or_else(home),
        })
    }
}

#[derive(Debug, Subcommand)]
enum Plugin {
    /// Print what the docker command wants to know of its plugins
    #[command(name = "docker-cli-plugin-metadata", hide = true)]
    Metadata,
    /// Manage a swarm made by swarmrs
    #[command(
        name = "swarmrs",
        subcommand_required = true,
        arg_required_else_help = true
    )]
    Swarmrs {
        #[command(subcommand)]
        command: Command,
    },
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how the swarm is; fails if a service or the swarm is not as it should be
    Status(status::Arguments),
    /// Show the versions of the plugin, the daemon and the engine behind it
    Version(version::Arguments),
}

/// What the docker command wants to know. Source: docker/cli `cli-plugins/metadata`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    schema_version: &'static str,
    vendor: &'static str,
    version: &'static str,
    short_description: &'static str,
}

const METADATA: Metadata = Metadata {
    schema_version: "0.1.0",
    vendor: "swarmrs",
    version: env!("CARGO_PKG_VERSION"),
    short_description: "Manage a swarm made by swarmrs",
};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.plugin {
        Plugin::Metadata => {
            println!("{}", serde_json::to_string(&METADATA)?);
            Ok(ExitCode::SUCCESS)
        }
        Plugin::Swarmrs { command } => match command {
            Command::Status(status) => status::run(&status, &arguments.docker),
            Command::Version(version) => {
                version::run(&version, &arguments.docker).map(|()| ExitCode::SUCCESS)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn dockers_flags_are_taken_before_and_after_the_command() {
        let lines: [&[&str]; 3] = [
            &[
                "docker-swarmrs",
                "-H",
                "unix:///x.sock",
                "swarmrs",
                "version",
            ],
            &[
                "docker-swarmrs",
                "swarmrs",
                "version",
                "--host",
                "unix:///x.sock",
            ],
            &[
                "docker-swarmrs",
                "-D",
                "--tls",
                "-l",
                "info",
                "--host=unix:///x.sock",
                "swarmrs",
                "version",
            ],
        ];
        for line in lines {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert_eq!(arguments.docker.host, ["unix:///x.sock"], "{line:?}");
        }
    }

    #[test]
    fn the_metadata_has_the_keys_that_docker_reads() {
        let text = serde_json::to_string(&METADATA).unwrap();
        for key in [
            "SchemaVersion\":\"0.1.0",
            "Vendor",
            "Version",
            "ShortDescription",
        ] {
            assert!(text.contains(key), "{text}");
        }
    }
}
