//! The pidfile: one daemon for one set of folders.

use std::fs;
use std::path::{Path, PathBuf};

use super::Error;

/// A pidfile that is ours; removed when dropped.
#[derive(Debug)]
pub(super) struct Pidfile(PathBuf);

impl Pidfile {
    /// Writes our process id.
    ///
    /// # Errors
    /// If the process that the file names still runs and is a daemon as we are. One that ended without removing its file, or
    /// whose number another program has by now, does not count.
    pub fn take(path: &Path) -> Result<Self, Error> {
        if let Some(pid) = owner(path) {
            let path = path.display().to_string();
            return Err(Error::Running { pid, path });
        }
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
            fs::write(path, format!("{}\n", std::process::id()))
        };
        write().map_err(|error| Error::path(path, error))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // What is left behind names a process that is gone, which the next one sees.
        let _ = fs::remove_file(&self.0);
    }
}

/// The other daemon that the file names, if it is one.
fn owner(path: &Path) -> Option<u32> {
    let text = fs::read_to_string(path).ok()?;
    let pid: u32 = text.trim().parse().ok()?;
    let us = std::process::id();
    (pid != us && program(pid)? == program(us)?).then_some(pid)
}

/// What a process runs; `None` for one that has ended, also while its parent has not taken notice of that.
fn program(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (front, rest) = stat.rsplit_once(") ")?;
    let (_, name) = front.split_once(" (")?;
    let is_over = rest.starts_with(['Z', 'X']);
    (!is_over).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_names_nobody_is_taken_over_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/swarmrsd.pid");
        fs::create_dir_all(folder.path().join("deep")).unwrap();
        for rubble in ["", "x", "0", "-1", "999999999"] {
            fs::write(&path, rubble).unwrap();
            let pidfile = Pidfile::take(&path).unwrap();
            let written = fs::read_to_string(&path).unwrap();
            assert_eq!(written, format!("{}\n", std::process::id()));
            drop(pidfile);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_number_that_another_program_has_by_now_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, "1\n").unwrap();
        assert!(Pidfile::take(&path).is_ok());
    }

    #[test]
    fn a_process_that_has_ended_does_not_count_before_its_parent_knows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let mut other = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        assert!(program(other.id()).is_some());
        other.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while program(other.id()).is_some() {
            assert!(std::time::Instant::now() < deadline, "it was killed");
            std::thread::yield_now();
        }
        fs::write(&path, other.id().to_string()).unwrap();
        assert!(Pidfile::take(&path).is_ok());
        other.wait().unwrap();
    }
}
