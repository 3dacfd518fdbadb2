//! swarmrsd on a host, and where its binary comes from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::Options;
use super::engine::ping;
use super::namespace::{Namespaces, read};
use super::process::Process;
use super::run_dir::Site;
use crate::command;
use crate::error::{Error, Tried};
use crate::wait;

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(15);
const BUILD: Duration = Duration::from_secs(30 * 60);

/// Package and program.
pub(super) const SWARMRSD: [&str; 2] = ["swarmrs-apiproxy", "swarmrsd"];

/// One swarmrsd: its files stay when it is killed.
pub struct Daemon {
    binary: PathBuf,
    files: PathBuf,
    engine: PathBuf,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    process: Option<Process>,
}

impl Daemon {
    /// Starts swarmrsd in front of the engine socket `engine`, with its files in `files`, as `options` say.
    pub fn start(
        site: &Site,
        namespaces: &Namespaces,
        files: &Path,
        engine: &Path,
        options: &Options,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(files).tried(|| format!("make {}", files.display()))?;
        let mut binary = options.swarmrsd.clone().map_or_else(tested_binary, Ok)?;
        if namespaces.has_another_engine() {
            binary = at_hand(&binary, files)?;
        }
        let mut daemon = Self {
            binary,
            files: files.to_owned(),
            engine: engine.to_owned(),
            flags: options.flags.clone(),
            environment: Vec::new(),
            process: None,
        };
        daemon.resume(site, namespaces)?;
        Ok(daemon)
    }

    /// Starts it again after [`Daemon::kill`] or [`Daemon::stop`], and waits until its API answers.
    pub fn resume(&mut self, site: &Site, namespaces: &Namespaces) -> Result<(), Error> {
        self.launch(site, namespaces)?;
        let (socket, log) = (self.socket(), self.log());
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        wait::until("the start of swarmrsd", START, || match ping(&socket) {
            Ok(()) => Ok(()),
            Err(why) => Err(format!(
                "{why}; running: {}, log: {}",
                process.is_running(),
                read(&log)
            )),
        })
    }

    /// Starts it without waiting for anything.
    pub fn launch(&mut self, site: &Site, namespaces: &Namespaces) -> Result<(), Error> {
        let mut command = site.command("/usr/bin/nsenter");
        namespaces.enter_engine(&mut command);
        command
            .arg(&self.binary)
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()));
        command
            .arg("--engine")
            .arg(format!("unix://{}", self.engine.display()));
        command
            .arg("--data-root")
            .arg(self.files.join("data"))
            .arg("--exec-root")
            .arg(self.exec_root());
        command
            .arg("--pidfile")
            .arg(self.files.join("swarmrsd.pid"))
            .args(&self.flags);
        if !self
            .flags
            .iter()
            .any(|flag| flag.starts_with("--log-level"))
        {
            command.args(["--log-level", "debug"]);
        }
        command.env("RUST_BACKTRACE", "1");
        command.envs(self.environment.iter().cloned());
        self.process = Some(Process::start(&mut command, &self.log())?);
        Ok(())
    }

    /// From its next start on it has these variables beside the testbed's own, and no others of an earlier call.
    pub fn set_environment(&mut self, variables: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.environment = variables.iter().map(own).collect();
    }

    /// From its next start on it is another program.
    pub(super) fn become_program(&mut self, binary: &Path) {
        self.binary = binary.to_owned();
    }

    /// The API socket.
    pub fn socket(&self) -> PathBuf {
        self.files.join("swarmrs.sock")
    }

    /// Where it keeps its state.
    pub fn data_root(&self) -> PathBuf {
        self.files.join("data")
    }

    /// Where it keeps what ends with the machine; the host's mount namespace shows what is mounted there.
    pub fn exec_root(&self) -> PathBuf {
        self.files.join("exec")
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.files.join("swarmrsd.log")
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(|process| process.pid().as_raw())
    }

    /// The process id of its holder, if one runs: it is no child of ours.
    pub fn holder_pid(&self) -> Option<i32> {
        let root = self.exec_root();
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(|pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.contains(&&b"holder"[..]) && words.contains(&root.as_os_str().as_encoded_bytes())
        })
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends it in order; it must be gone within 15 seconds.
    pub fn stop(&mut self) -> Result<(), Error> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.stop(STOP)
    }
}

/// The program among the host's files: the engine's root folder has no others of the machine's.
fn at_hand(binary: &Path, files: &Path) -> Result<PathBuf, Error> {
    let here = files.join("program");
    let linked = std::fs::hard_link(binary, &here);
    let copied = linked.or_else(|_| std::fs::copy(binary, &here).map(drop));
    copied.tried(|| format!("copy {} to {}", binary.display(), here.display()))?;
    Ok(here)
}

/// The swarmrsd under test: `SWARMRSD` if set, else the one that cargo builds now, so that none is ever stale.
pub fn tested_binary() -> Result<PathBuf, Error> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(path) = std::env::var_os("SWARMRSD") {
        return Ok(path.into());
    }
    let built = BUILT.get_or_init(|| build(SWARMRSD, &[]).map_err(|error| error.to_string()));
    built.clone().map_err(Error::Setup)
}

/// The CLI plugin under test: `DOCKER_SWARMRS` if set, else the one that cargo builds now.
pub fn plugin() -> Result<PathBuf, Error> {
    match std::env::var_os("DOCKER_SWARMRS") {
        Some(path) => Ok(path.into()),
        None => build(["docker-swarmrs", "docker-swarmrs"], &[]),
    }
}

/// Builds swarmrsd as it is shipped and says where it is.
pub fn build_release() -> Result<PathBuf, Error> {
    build(SWARMRSD, &["--release"])
}

pub(super) fn build(program: [&str; 2], flags: &[&str]) -> Result<PathBuf, Error> {
    build_in(workspace(), program, flags, None)
}

/// Builds a program of the workspace in `sources`; `last` follows the flags.
pub(super) fn build_in(
    sources: &Path,
    [package, program]: [&str; 2],
    flags: &[&str],
    last: Option<&Path>,
) -> Result<PathBuf, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(sources)
        .args(["build", "--quiet", "--package", package, "--bin", program]);
    command
        .args(["--message-format", "json-render-diagnostics"])
        .args(flags)
        .args(last);
    let output = command::run(&mut command, b"", BUILD)?;
    output.success()?;
    let mut executable = output.stdout.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    executable
        .next_back()
        .ok_or_else(|| Error::Setup(format!("cargo built no {program}")))
}

/// The root of the source tree.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
