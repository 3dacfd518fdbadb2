//! Secrets and configs on this node: in memory, and as files in a tmpfs of ours that containers mount.
//!
//! ```text
//!   session ──keep──▶ vault ──content──▶ <exec-root>/secrets/<task>/secret-0 ══read-only bind══▶ /run/secrets/NAME
//!                    (memory)            (tmpfs)
//! ```
//!
//! The files of a task are made empty before its container is made, for the engine refuses to mount what it does not
//! see: so no container is ever made on an engine that would look past our tmpfs. They are written right before the
//! container starts, the first time and after a reboot alike, and they go when the container has gone. A restart of this
//! daemon leaves them alone: running containers hold them. Nothing here ever writes to a disk: without its tmpfs it
//! refuses. What a task may read is what its spec refers to, and nothing else.

mod content;
mod entry;
mod tmpfs;
mod vault;

pub use content::Surroundings;
pub use entry::{Entry, entries};

use crate::secret::vault::Vault;
use nix::sys::stat::Mode;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use swarmrs_types::TaskId;
use swarmrs_types::assignment::{Order, PayloadDiff};
use swarmrs_types::spec::{ContainerSpec, FileTarget};
use tracing::warn;

/// All secrets and configs of a node.
#[derive(Debug)]
pub struct Secrets {
    folder: PathBuf,
    vault: Mutex<Vault>,
    /// One look at the mount, or one mount, at a time.
    mounting: Mutex<()>,
}

impl Secrets {
    /// Nothing is kept yet; what a former life of the daemon left in `folder` is found there.
    pub fn at(folder: PathBuf) -> Self {
        Secrets {
            folder,
            vault: Mutex::default(),
            mounting: Mutex::default(),
        }
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes in what a manager says; a complete set replaces all before it.
    pub fn keep(&self, payloads: PayloadDiff, complete: bool) {
        self.vault().keep(payloads, complete);
    }

    /// Makes the task's files, empty, unless they are there. The error is for the user.
    pub fn reserve(&self, order: &Order) -> Result<(), String> {
        let entries = entries_of(order);
        if entries.is_empty() {
            return Ok(());
        }
        let folder = self.task_folder(order.task)?;
        for entry in entries {
            let path = folder.join(&entry.file_name);
            if !path.exists() {
                create(&path).map_err(|error| refusal("make", &path, &error))?;
            }
        }
        Ok(())
    }

    /// Writes what the task's container is to read, expanded for it. The error is for the user.
    pub fn fill(&self, order: &Order, seen: &Surroundings) -> Result<(), String> {
        let Some(container) = &order.spec.container_spec else {
            return Ok(());
        };
        let entries = entries(container);
        if entries.is_empty() {
            return Ok(());
        }
        let vault = self.vault().of(container);
        let folder = self.task_folder(order.task)?;
        for entry in &entries {
            let bytes = content::of(entry, container, &vault, seen)?;
            let owner = owner(entry.target)?;
            let path = folder.join(&entry.file_name);
            let mode = permissions(entry.target.mode);
            write(&path, &bytes, owner, mode).map_err(|error| refusal("write", &path, &error))?;
        }
        Ok(())
    }

    /// The task's container is gone.
    pub fn forget(&self, task: TaskId) {
        remove(&self.folder.join(task.as_str()));
    }

    /// Tasks that have files here.
    pub fn kept(&self) -> Vec<TaskId> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).collect()
    }

    /// The node has left its swarm: nothing is kept, not even the tmpfs.
    pub fn clear(&self) {
        *self.vault() = Vault::default();
        if let Err(error) = tmpfs::end(&self.folder) {
            warn!(path = %self.folder.display(), %error, "the tmpfs for secrets stays");
        }
    }

    /// The folder of a task, on a tmpfs that is there.
    fn task_folder(&self, task: TaskId) -> Result<PathBuf, String> {
        let _turn = self.mounting.lock().unwrap_or_else(PoisonError::into_inner);
        tmpfs::ensure(&self.folder).map_err(|error| {
            let folder = self.folder.display();
            format!("cannot keep secrets in memory: no tmpfs on {folder}: {error}")
        })?;
        let folder = self.folder.join(task.as_str());
        fs::create_dir_all(&folder).map_err(|error| refusal("make", &folder, &error))?;
        Ok(folder)
    }

    /// Every change under the lock is whole: a holder that panicked left nothing half done.
    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entries_of(order: &Order) -> Vec<Entry<'_>> {
    let container: Option<&ContainerSpec> = order.spec.container_spec.as_ref();
    container.map(entries).unwrap_or_default()
}

fn refusal(what: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!(path = %folder.display(), %error, "files of a task stay");
        }
        _ => {}
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    options.open(path)
}

/// The file is whole when it is in its place.
fn write(path: &Path, bytes: &[u8], owner: (i64, i64), mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = create(&new)?;
    file.write_all(bytes)?;
    fchown(&file, id(owner.0), id(owner.1))?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    fs::rename(&new, path)
}

/// As for Go's `os.Chown`: the low 32 bits, and −1 leaves it.
fn id(number: i64) -> Option<u32> {
    let id = number as u32;
    (id != u32::MAX).then_some(id)
}

fn owner(target: &FileTarget) -> Result<(i64, i64), String> {
    Ok((number(&target.uid)?, number(&target.gid)?))
}

/// Go's `strconv.Atoi`, with its words.
fn number(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let why = match text.parse() {
        Ok(number) if digits => return Ok(number),
        _ if digits => "value out of range",
        _ => "invalid syntax",
    };
    Err(format!("strconv.Atoi: parsing {text:?}: {why}"))
}

/// Go's file mode as the kernel's: its set-id and sticky bits are elsewhere.
fn permissions(mode: u32) -> u32 {
    let bits = [
        (1 << 23, Mode::S_ISUID),
        (1 << 22, Mode::S_ISGID),
        (1 << 20, Mode::S_ISVTX),
    ];
    let special = bits.iter().filter(|(go, _)| mode & go != 0);
    special.fold(mode & 0o777, |mode, (_, bit)| mode | bit.bits())
}

#[cfg(test)]
mod tests;
