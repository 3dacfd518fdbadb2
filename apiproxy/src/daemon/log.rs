//! Log lines: level, format, and the switch between two levels while running.

use tracing::level_filters::LevelFilter;
use tracing::{info, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// The level that holds now.
pub(super) struct Level {
    handle: reload::Handle<Targets, Registry>,
    /// What debug lines are switched off to.
    configured: LevelFilter,
    debugging: bool,
}

/// Logs to stderr from now on.
pub(super) fn start(level: LevelFilter, format: LogFormat) -> Level {
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let logging = tracing_subscriber::registry().with(lines.with_filter(filter));
    // A second daemon in one process (a test's) logs where the first does.
    let _ = logging.try_init();
    Level {
        handle,
        configured: level,
        debugging: level >= LevelFilter::DEBUG,
    }
}

/// Ours at the level; of the libraries only what is wrong.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_target("swarmrs", level)
        .with_default(level.min(LevelFilter::WARN))
}

impl Level {
    /// Another level from now on.
    pub fn set(&mut self, level: LevelFilter) {
        self.configured = level;
        self.debugging = level >= LevelFilter::DEBUG;
        self.apply(level);
    }

    /// Debug lines on, or off again.
    pub fn toggle_debug(&mut self) {
        self.debugging = !self.debugging;
        let level = match (self.debugging, self.configured >= LevelFilter::DEBUG) {
            (true, true) => self.configured,
            (true, false) => LevelFilter::DEBUG,
            (false, true) => LevelFilter::INFO,
            (false, false) => self.configured,
        };
        if self.apply(level) {
            info!(%level, "SIGHUP: log level changed");
        }
    }

    fn apply(&self, level: LevelFilter) -> bool {
        let applied = self.handle.reload(targets(level));
        if let Err(error) = &applied {
            warn!(%error, "SIGHUP: the log level stays");
        }
        applied.is_ok()
    }
}
