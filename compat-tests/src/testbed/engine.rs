//! A stock dockerd of a host's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::namespace::{Namespaces, read};
use super::process::Process;
use super::run_dir::Site;
use crate::error::{Error, Tried};
use crate::http::{self, Request};
use crate::wait;

pub const DOCKERD: &str = "/usr/sbin/dockerd";
const START: Duration = Duration::from_secs(60);

/// One engine: its files stay when it is killed, as on a real host.
pub struct Engine {
    files: PathBuf,
    cgroup: String,
    flags: Vec<String>,
    process: Option<Process>,
}

impl Engine {
    /// Starts an engine with its files in `files`.
    pub fn start(
        site: &Site,
        namespaces: &Namespaces,
        files: &Path,
        name: &str,
        flags: &[String],
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(files).tried(|| format!("make {}", files.display()))?;
        let cgroup = format!("/{}/{name}", site.name());
        let mut engine = Self {
            files: files.to_owned(),
            cgroup,
            flags: flags.to_vec(),
            process: None,
        };
        engine.resume(site, namespaces)?;
        Ok(engine)
    }

    /// Starts it again after [`Engine::kill`] or [`Engine::stop`].
    pub fn resume(&mut self, site: &Site, namespaces: &Namespaces) -> Result<(), Error> {
        self.forget_the_killed();
        let mut command = site.command("/usr/bin/nsenter");
        namespaces.enter_engine(&mut command);
        command
            .arg(DOCKERD)
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()));
        command
            .arg("--data-root")
            .arg(self.files.join("data"))
            .arg("--exec-root")
            .arg(self.files.join("exec"));
        command
            .arg("--pidfile")
            .arg(self.files.join("dockerd.pid"))
            .arg("--cgroup-parent")
            .arg(&self.cgroup)
            .args(&self.flags);
        let log = self.files.join("dockerd.log");
        let mut process = Process::start(&mut command, &log)?;
        wait::until("the start of dockerd", START, || {
            match ping(&self.socket()) {
                Ok(()) => Ok(()),
                Err(why) => Err(format!(
                    "{why}; running: {}, log: {}",
                    process.is_running(),
                    read(&log)
                )),
            }
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Removes the pidfiles that a killed dockerd leaves: its own would keep it from starting once the number has been
    /// given away, and that of its containerd, which the kernel kills with it, would make it wait for a process that
    /// is dead but perhaps not reaped yet.
    fn forget_the_killed(&self) {
        for pidfile in ["dockerd.pid", "exec/containerd/containerd.pid"] {
            std::fs::remove_file(self.files.join(pidfile)).ok();
        }
    }

    /// The engine's API socket.
    pub fn socket(&self) -> PathBuf {
        self.files.join("docker.sock")
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(|process| process.pid().as_raw())
    }

    /// Ends it without warning; its containers run on in their shims.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends it in order; its containers end with it.
    pub fn stop(&mut self) -> Result<(), Error> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.stop(START)
    }
}

/// Whether an API answers on `socket`.
pub fn ping(socket: &Path) -> Result<(), String> {
    let answer = http::call(
        socket,
        &Request::new("GET", "/_ping"),
        Duration::from_secs(5),
    );
    match answer {
        Ok(response) if response.status == 200 => Ok(()),
        Ok(response) => Err(format!(
            "ping answers {}: {}",
            response.status,
            response.message()
        )),
        Err(error) => Err(error.to_string()),
    }
}
