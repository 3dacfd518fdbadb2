//! `swarmrsd`: Swarm mode in front of the stock engine.

use std::process::ExitCode;

use swarmrs_apiproxy::config::{Source, SourceError};
use swarmrs_apiproxy::daemon;

fn main() -> ExitCode {
    let source = Source::of(std::env::args_os());
    let ended = match (source.only_validates(), source.read()) {
        (Err(SourceError::CommandLine(said)), _) => said.exit(),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        (Ok(true), Ok(config)) => daemon::check(&config).map_err(|error| error.to_string()),
        (Ok(false), Ok(config)) => daemon::run(config, source).map_err(|error| error.to_string()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swarmrsd: {error}");
            ExitCode::FAILURE
        }
    }
}
