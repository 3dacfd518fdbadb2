//! Files that are either wholly there or not at all.

use crate::Error;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Replaces `folder/name` by `bytes`: temporary file, fsync, rename, fsync of the folder. After a
/// crash the old or the new content is there, with the new one's permissions from its first byte.
pub(super) fn write(folder: &Path, name: &str, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    let temporary = folder.join(format!("{name}.tmp"));
    fill(&temporary, mode, bytes).map_err(failed("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(failed("put in place", &path))?;
    sync_folder(folder)
}

/// Renames within the folder, durably.
pub(super) fn rename(folder: &Path, from: &str, to: &str) -> Result<(), Error> {
    let path = folder.join(to);
    fs::rename(folder.join(from), &path).map_err(failed("put in place", &path))?;
    sync_folder(folder)
}

/// The file's content, or `None` if there is no such file.
pub(super) fn read(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let path = folder.join(name);
    absent_is_none(fs::read(&path)).map_err(failed("read", &path))
}

/// Removes the file if it is there.
pub(super) fn remove(folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(name);
    absent_is_none(fs::remove_file(&path))
        .map(drop)
        .map_err(failed("remove", &path))
}

/// The file's permission bits, or `None` if there is no such file.
pub(super) fn mode(folder: &Path, name: &str) -> Result<Option<u32>, Error> {
    let path = folder.join(name);
    let metadata = absent_is_none(fs::metadata(&path)).map_err(failed("inspect", &path))?;
    Ok(metadata.map(|metadata| metadata.permissions().mode() & 0o777))
}

/// Makes the names in the folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

fn fill(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    // A leftover of a crash could have other permissions, and they stay when a file is truncated.
    absent_is_none(fs::remove_file(path))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // The umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
