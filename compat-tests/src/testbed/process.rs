//! A long-lived program of the testbed, ended by its process id and reaped.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Error, Tried};
use crate::wait;

/// A child process; dropping it kills and reaps it.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` with both its streams appended to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, Error> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .tried(|| format!("open {}", log.display()))?;
        let copy = file
            .try_clone()
            .tried(|| format!("open {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file).stderr(copy);
        let child = command.spawn().tried(|| format!("start {command:?}"))?;
        Ok(Self { child })
    }

    /// The process id: that of the program itself, since `nsenter` and `unshare` replace themselves by it.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Sends SIGTERM and waits for the end, at most `limit`.
    pub fn stop(&mut self, limit: Duration) -> Result<(), Error> {
        self.signal(Signal::SIGTERM)?;
        wait::until(&format!("the end of process {}", self.pid()), limit, || {
            if self.is_running() {
                Err("running".to_owned())
            } else {
                Ok(())
            }
        })
    }

    /// Sends any signal.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        kill(self.pid(), signal)
            .map_err(|e| Error::Setup(format!("{signal} to process {}: {e}", self.pid())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
