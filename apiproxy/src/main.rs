//! `swarmrsd`: Swarm mode in front of the stock engine.

use std::ffi::OsString;
use std::process::ExitCode;

use swarmrs_apiproxy::config::{HolderConfig, Source, SourceError};
use swarmrs_apiproxy::daemon;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let ended = match HolderConfig::of(&arguments) {
        Some(Ok(config)) => daemon::holder::run(config).map_err(|error| error.to_string()),
        Some(Err(said)) => said.exit(),
        None => daemon(arguments),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swarmrsd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn daemon(arguments: Vec<OsString>) -> Result<(), String> {
    let source = Source::of(arguments);
    match (source.only_validates(), source.read()) {
        (Err(SourceError::CommandLine(said)), _) => said.exit(),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        (Ok(true), Ok(config)) => daemon::check(&config).map_err(|error| error.to_string()),
        (Ok(false), Ok(config)) => daemon::run(config, source).map_err(|error| error.to_string()),
    }
}
