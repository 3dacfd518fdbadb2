//! Log lines: level, format, and the switch between two levels while running.

use std::sync::atomic::{AtomicBool, Ordering};

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
    started: LevelFilter,
    debugging: AtomicBool,
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
        started: level,
        debugging: AtomicBool::new(level >= LevelFilter::DEBUG),
    }
}

/// Ours at the level; of the libraries only what is wrong.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_target("swarmrs", level)
        .with_default(level.min(LevelFilter::WARN))
}

impl Level {
    /// Debug lines on, or off again.
    pub fn toggle_debug(&self) {
        let debugging = !self.debugging.fetch_xor(true, Ordering::Relaxed);
        let level = match (debugging, self.started >= LevelFilter::DEBUG) {
            (true, true) => self.started,
            (true, false) => LevelFilter::DEBUG,
            (false, true) => LevelFilter::INFO,
            (false, false) => self.started,
        };
        match self.handle.reload(targets(level)) {
            Ok(()) => info!(%level, "SIGHUP: log level changed"),
            Err(error) => warn!(%error, "SIGHUP: the log level stays"),
        }
    }
}
