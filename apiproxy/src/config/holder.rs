//! What `swarmrsd holder` is told.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use tracing::level_filters::LevelFilter;

use super::arguments::Level;
use super::{Config, LogFormat};

/// What the program is called when it holds networks.
const NAME: &str = "holder";

/// Hold this node's networks; swarmrsd starts it by itself
#[derive(Debug, Parser)]
#[command(name = "swarmrsd holder")]
struct Arguments {
    /// Directory of persistent state, swarmrsd's
    #[arg(long, value_name = "DIR", default_value = "/var/lib/swarmrs")]
    data_root: PathBuf,
    /// Directory of state that ends with a reboot, swarmrsd's
    #[arg(long, value_name = "DIR", default_value = "/run/swarmrs")]
    exec_root: PathBuf,
    /// Log level
    #[arg(short = 'l', long, value_enum, default_value_t = Level::Info)]
    log_level: Level,
    /// Format of log lines
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// Where a holder keeps its things, and how it logs.
#[derive(Debug, Clone, PartialEq)]
pub struct HolderConfig {
    pub data_root: PathBuf,
    pub exec_root: PathBuf,
    pub level: LevelFilter,
    pub format: LogFormat,
}

impl Default for HolderConfig {
    fn default() -> Self {
        Arguments::parse_from([NAME]).into()
    }
}

impl From<Arguments> for HolderConfig {
    fn from(arguments: Arguments) -> Self {
        HolderConfig {
            data_root: arguments.data_root,
            exec_root: arguments.exec_root,
            level: arguments.log_level.into(),
            format: arguments.log_format,
        }
    }
}

impl HolderConfig {
    /// Of a command line, the program's name first; none if it does not ask for a holder.
    pub fn of(arguments: &[OsString]) -> Option<Result<Self, clap::Error>> {
        let [program, name, rest @ ..] = arguments else {
            return None;
        };
        if name != NAME {
            return None;
        }
        let read = Arguments::try_parse_from([program].into_iter().chain(rest));
        Some(read.map(Into::into))
    }

    /// The arguments beside the two directories that a daemon with this configuration gives its holder: it logs alike.
    pub fn arguments(config: &Config) -> Vec<OsString> {
        let level = config.level.to_string();
        let format = match config.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        ["--log-level", &level, "--log-format", format]
            .map(OsString::from)
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn line(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn only_the_word_itself_asks_for_a_holder() {
        assert!(HolderConfig::of(&line(&["swarmrsd"])).is_none());
        assert!(HolderConfig::of(&line(&["swarmrsd", "--data-root", "holder"])).is_none());
        let usual = HolderConfig::of(&line(&["swarmrsd", "holder"]))
            .unwrap()
            .unwrap();
        assert_eq!(usual.exec_root, PathBuf::from("/run/swarmrs"));
        let wrong = HolderConfig::of(&line(&["swarmrsd", "holder", "--nonsense"])).unwrap();
        assert!(wrong.is_err());
    }

    #[test]
    fn a_holder_logs_as_its_daemon_does() {
        for flags in [
            &["--debug"][..],
            &["--log-level", "warn", "--log-format", "json"],
        ] {
            let daemon = Source::of([&["swarmrsd"], flags].concat()).read().unwrap();
            let given = HolderConfig::arguments(&daemon);
            let line = [line(&["swarmrsd", "holder"]), given].concat();
            let holder = HolderConfig::of(&line).unwrap().unwrap();
            assert_eq!((holder.level, holder.format), (daemon.level, daemon.format));
        }
    }
}
