//! How a holder comes to be.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::holder::control::Successor;
use crate::holder::life;

/// What to start, and where it is then found.
#[derive(Clone, Debug)]
pub struct Launch {
    /// swarmrsd itself: one binary, two fates.
    pub program: PathBuf,
    pub exec_root: PathBuf,
    pub data_root: PathBuf,
    /// Further arguments, such as how to log.
    pub arguments: Vec<OsString>,
    /// A unit of the service manager that runs it, if there is one: then it starts with the machine, too.
    pub unit: Option<String>,
}

impl Launch {
    /// Where the holder listens.
    pub fn socket(&self) -> PathBuf {
        life::socket(&self.exec_root)
    }

    /// What a holder leaves behind until it is told to clear it.
    pub fn state(&self) -> PathBuf {
        life::state(&self.data_root)
    }

    /// What a holder is that is to be one of ours.
    pub fn successor(&self) -> Successor {
        let option = |name: &str, value: &Path| [OsString::from(name), value.into()];
        let folders = [
            option("--exec-root", &self.exec_root),
            option("--data-root", &self.data_root),
        ];
        let mut arguments = vec![OsString::from("holder")];
        arguments.extend(folders.into_iter().flatten());
        arguments.extend(self.arguments.iter().cloned());
        Successor {
            program: self.program.clone(),
            arguments,
        }
    }

    /// Starts one. It makes itself a session of its own, so that no signal meant for us reaches it; its log lines go where
    /// ours go.
    pub fn start(&self) -> io::Result<Child> {
        if let Some(unit) = &self.unit {
            let mut command = Command::new("systemctl");
            return command
                .args(["--quiet", "start", unit])
                .stdin(Stdio::null())
                .spawn();
        }
        let Successor { program, arguments } = self.successor();
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .current_dir("/")
            .kill_on_drop(false)
            .spawn()
    }
}
