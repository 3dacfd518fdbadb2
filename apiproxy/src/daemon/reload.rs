//! SIGHUP: what can change while the daemon runs, changes.
//!
//! With a configuration file that is the log level, and the certificates of TCP ports, whose files are read again. What else
//! differs is named, since it needs a restart. Without a file there is nothing to read, and debug lines go on or off.

use tracing::{info, warn};

use super::log::Level;
use super::notify;
use crate::config::{Config, Source, SourceError};
use crate::server::Tls;

/// What a SIGHUP works on.
pub(super) struct Reload {
    pub source: Source,
    /// As the daemon was started.
    pub config: Config,
    pub level: Level,
    pub tls: Option<Tls>,
}

impl Reload {
    /// Heeds one SIGHUP. A configuration that cannot be read changes nothing.
    pub fn hang_up(&mut self) {
        notify::reloading();
        self.reload_certificates();
        match (&self.config.file, self.source.read()) {
            (None, Ok(Config { file: None, .. })) => self.level.toggle_debug(),
            (_, Ok(config)) => self.take_over(&config),
            (_, Err(error)) => self.keep(&error),
        }
        notify::ready();
    }

    fn take_over(&mut self, config: &Config) {
        self.level.set(config.level);
        let file = config.file.as_ref().map(|file| file.display().to_string());
        info!(file, level = %config.level, "SIGHUP: configuration reloaded");
        let fixed = self.config.fixed_differences(config);
        if !fixed.is_empty() {
            let options = fixed.join(", ");
            warn!(%options, "SIGHUP: these take effect after a restart");
        }
    }

    fn keep(&self, error: &SourceError) {
        warn!(%error, "SIGHUP: the configuration stays as it was");
    }

    fn reload_certificates(&self) {
        match self.tls.as_ref().map(Tls::reload) {
            None => {}
            Some(Ok(())) => info!("SIGHUP: certificates reloaded"),
            Some(Err(error)) => warn!(%error, "SIGHUP: the certificates stay as they were"),
        }
    }
}
