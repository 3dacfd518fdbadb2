//! A network namespace that threads of the benchmark work in: what a container's own program would measure, without a
//! program in the image.

use std::fs::File;
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::error::Tried;
use crate::{Error, Host};

/// The network of a container, or of the hub that hosts are plugged into.
pub(super) struct Space {
    file: File,
}

impl Space {
    /// The network of a process.
    pub fn of_process(pid: &str) -> Result<Self, Error> {
        Self::at(format!("/proc/{pid}/ns/net"))
    }

    /// The one that a file stands for.
    pub fn at(path: String) -> Result<Self, Error> {
        let file = File::open(&path).tried(|| format!("open {path}"))?;
        Ok(Self { file })
    }

    /// The network of a container, by its id or name.
    pub fn of_container(host: &Host, container: &str) -> Result<Self, Error> {
        let target = format!("/containers/{container}/json");
        let inspected = host.engine_api("GET", &target, None)?.success()?;
        Self::of_process(&inspected["State"]["Pid"].to_string())
    }

    /// Runs `work` in a thread of its own that has entered the namespace. Sockets that it opens stay of the namespace.
    pub fn within<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let inside = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .map_err(|error| Error::Setup(format!("enter a network namespace: {error}")))?;
            work()
        };
        thread::scope(|scope| {
            let panicked = |_| Err(Error::Setup("a thread panicked".to_owned()));
            scope.spawn(inside).join().unwrap_or_else(panicked)
        })
    }
}
