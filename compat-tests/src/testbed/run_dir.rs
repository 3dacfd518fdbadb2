//! The directory of one testbed and the promise that nothing outlives it.
//!
//! A watcher process holds the reading end of a pipe whose writing end only the owner has. When the owner drops the
//! directory, ends, or is killed, the pipe closes and the watcher sweeps. If the watcher was killed too, the next run
//! finds the directory without a living owner and sweeps it first.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::command;
use crate::error::{Error, Tried};

const SWEEP: &str = include_str!("sweep.sh");
const SWEEP_LIMIT: Duration = Duration::from_secs(60);

/// The variable by which every process of a testbed is known; daemons hand it on to what they start.
pub const MARK: &str = "SWARMRS_TESTBED";

/// Where a testbed is: its directory, whose name no other run can hold.
#[derive(Debug, Clone)]
pub struct Site {
    path: PathBuf,
}

/// A site that is swept when this value is dropped.
pub struct RunDir {
    site: Site,
    watcher: Child,
}

impl RunDir {
    /// Makes the directory, records its owner and starts its watcher.
    pub fn create() -> Result<Self, Error> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let owner = std::process::id();
        let started =
            start_time(owner).ok_or_else(|| Error::Setup("/proc is not mounted".to_owned()))?;
        let path = base().join(format!(
            "{owner}-{started}-{}",
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir_all(&path).tried(|| format!("make {}", path.display()))?;
        let watcher = Command::new("/bin/sh")
            .args(["-c", SWEEP, "sweep"])
            .arg(&path)
            .arg("watch")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .tried(|| "start the watcher".to_owned())?;
        Ok(Self {
            site: Site { path },
            watcher,
        })
    }

    /// Where the testbed is.
    pub fn site(&self) -> &Site {
        &self.site
    }
}

impl Site {
    /// Where the testbed's files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name that is unique on this machine, for cgroups.
    pub fn name(&self) -> String {
        cgroup_name(&self.path)
    }

    /// A command whose process, and all that it starts, is known to belong to this testbed.
    ///
    /// Its environment is otherwise that of a fresh machine: no proxy, no Docker settings of the user.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.path)
            .env(MARK, &self.path);
        command
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        drop(self.watcher.wait());
    }
}

/// Sweeps what earlier runs left whose owner no longer lives.
pub fn sweep_leftovers() -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(base()) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if !owner_lives(&entry.file_name().to_string_lossy()) {
            let mut sweep = Command::new("/bin/sh");
            sweep.args(["-c", SWEEP, "sweep"]).arg(entry.path());
            command::run(&mut sweep, b"", SWEEP_LIMIT)?;
        }
    }
    Ok(())
}

fn base() -> PathBuf {
    std::env::var_os("SWARMRS_TESTBED_DIR").map_or_else(
        || std::env::temp_dir().join("swarmrs-testbed"),
        PathBuf::from,
    )
}

fn cgroup_name(dir: &Path) -> String {
    format!(
        "swarmrs-testbed-{}",
        dir.file_name().unwrap_or_default().to_string_lossy()
    )
}

fn owner_lives(name: &str) -> bool {
    let mut parts = name.split('-');
    let owner = parts
        .next()
        .and_then(|pid| pid.parse().ok())
        .and_then(start_time);
    owner.is_some() && owner.as_deref() == parts.next()
}

/// When the process started, in clock ticks since boot: with it a process id names one process for good.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold blanks.
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_ours_while_its_owner_lives() {
        let me = std::process::id();
        let started = start_time(me).unwrap();
        assert!(owner_lives(&format!("{me}-{started}-0")));
        assert!(!owner_lives(&format!("{me}-1-0")));
        assert!(!owner_lives("unreadable"));
    }
}
