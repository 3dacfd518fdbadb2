//! `swarmrsd holder`: the process that carries a node's networks and outlives the daemon, from the same binary.
//!
//! The daemon starts it when it is needed; a service manager may, so that it is there before the engine.

use std::path::Path;

use nix::unistd::setsid;
use swarmrs_node::holder;

use super::{Error, RUNTIME_STOP, limits, log};
use crate::config::{Config, HolderConfig};

/// Names are answered while the driver is asked.
const WORKERS: usize = 2;

/// What `contrib/systemd` has for it. It holds the usual directories.
const UNIT: &str = "swarmrs-holder.service";
const UNIT_FOLDERS: [&str; 3] = [
    "/etc/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// The unit that runs the holder of a daemon with this configuration: none unless the daemon is a unit itself.
pub(super) fn unit(config: &Config) -> Option<String> {
    let managed = std::env::var_os("INVOCATION_ID").is_some();
    let usual = HolderConfig::default();
    let held = (&config.data_root, &config.exec_root) == (&usual.data_root, &usual.exec_root);
    let installed = || {
        let mut folders = UNIT_FOLDERS.iter();
        folders.any(|folder| Path::new(folder).join(UNIT).exists())
    };
    (managed && held && installed()).then(|| UNIT.to_owned())
}

/// Runs a holder until it is told to end.
///
/// # Errors
/// If it cannot start; the text says what to look at.
pub fn run(config: HolderConfig) -> Result<(), Error> {
    // A session of its own: no signal for the daemon's reaches it. Whoever leads one already has it.
    let _ = setsid();
    limits::refuse_core_dumps().map_err(Error::Limits)?;
    limits::allow_open_files().map_err(Error::Limits)?;
    let _level = log::start(config.level, config.format);
    super::abort_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("holder")
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let ended = runtime.block_on(holder::run(holder::Config::new(
        config.exec_root,
        config.data_root,
    )));
    runtime.shutdown_timeout(RUNTIME_STOP);
    Ok(ended?)
}
