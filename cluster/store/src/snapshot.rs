//! Snapshots: the whole state as a sealed file. The newest counts; as many older ones are kept as the
//! swarm is set to.
//!
//! A snapshot is written beside the old one, made durable, given its name, and only then is what is too
//! old removed: at any moment there is one that can be read.

use crate::codec::{BadRecord, Codec, SnapshotRecord, VERSION};
use crate::error::Error;
use crate::folder::{UNFINISHED, free_bytes, replace, sync_folder};
use crate::threads::Threads;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

const PREFIX: &str = "snapshot-";

/// The folder of snapshots.
#[derive(Debug)]
pub(crate) struct Snapshots {
    folder: PathBuf,
    codec: Codec,
    reserve: u64,
    threads: Threads,
    /// How many are kept behind the newest.
    older: AtomicU64,
    /// The index of the newest. Held while files are read, written or removed.
    current: Mutex<Option<u64>>,
}

impl Snapshots {
    /// The snapshots in `folder`. Nothing is touched.
    pub(crate) fn open(
        folder: PathBuf,
        codec: Codec,
        reserve: u64,
        threads: Threads,
    ) -> Result<Self, Error> {
        let found = list(&folder).map_err(Error::file("read", &folder))?;
        let newest = found.iter().map(|(index, _)| *index).max();
        Ok(Snapshots {
            folder,
            codec,
            reserve,
            threads,
            older: AtomicU64::new(0),
            current: Mutex::new(newest),
        })
    }

    /// From now on so many are kept behind the newest.
    pub(crate) fn keep_older(&self, older: u64) {
        self.older.store(older, Ordering::Relaxed);
    }

    /// Removes what a crash left behind: files that were being written or were to be removed.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        let _turn = self.current.lock().expect("no holder panics");
        let cleared = self.remove_old();
        cleared.map_err(Error::file("clear", &self.folder))
    }

    /// Where the snapshot there is can be found.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let current = *self.current.lock().expect("no holder panics");
        current.map(|index| self.path_of(index))
    }

    /// Reads the snapshot there is, at start.
    pub(crate) fn load(&self) -> Result<Option<SnapshotRecord>, Error> {
        let Some(path) = self.path() else {
            return Ok(None);
        };
        let sealed = fs::read(&path).map_err(Error::file("read", &path))?;
        let read = || SnapshotRecord::from_bytes(&self.open_file(&sealed)?);
        match read() {
            Ok(record) => Ok(Some(record)),
            Err(BadRecord::Newer(found)) => Err(Error::Newer {
                path,
                found,
                known: VERSION,
            }),
            Err(error) => Err(Error::damaged(&path, error.to_string())),
        }
    }

    /// The bytes of the snapshot there is, unsealed.
    pub(crate) fn read(&self) -> io::Result<Option<Arc<[u8]>>> {
        let current = self.current.lock().expect("no holder panics");
        let Some(index) = *current else {
            return Ok(None);
        };
        let sealed = fs::read(self.path_of(index))?;
        let opened = self.open_file(&sealed).map_err(invalid)?;
        Ok(Some(opened.as_slice().into()))
    }

    /// Keeps `bytes`, the snapshot up to entry `index`, in front of those before. An older one
    /// than there is changes nothing.
    pub(crate) fn write(&self, index: u64, bytes: &[u8]) -> io::Result<()> {
        let sealed = self.codec.seal(bytes).map_err(invalid)?;
        let mut current = self.current.lock().expect("no holder panics");
        if current.is_some_and(|there| there >= index) {
            return Ok(());
        }
        replace(
            &self.path_of(index),
            &[&[VERSION], sealed.as_slice()].concat(),
        )?;
        *current = Some(index);
        tracing::info!(index, bytes = bytes.len(), "snapshot written");
        self.remove_old()
    }

    /// Reads or writes one while others go on.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.threads.aside(work).await?
    }

    /// Whether there is room for another one.
    pub(crate) fn has_room(&self) -> bool {
        free_bytes(&self.folder).is_ok_and(|free| free >= self.reserve / 2)
    }

    fn path_of(&self, index: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{index:020}"))
    }

    fn open_file(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadRecord> {
        match file.split_first() {
            None => Err(BadRecord::Empty),
            Some((&VERSION, sealed)) => self.codec.open(sealed),
            Some((&version, _)) => Err(BadRecord::Newer(version)),
        }
    }

    fn remove_old(&self) -> io::Result<()> {
        let mut kept = list(&self.folder)?;
        kept.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        let older = self.older.load(Ordering::Relaxed);
        kept.truncate(usize::try_from(older).map_or(usize::MAX, |older| older.saturating_add(1)));
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if is_ours(&path) && !kept.iter().any(|(_, kept)| *kept == path) {
                fs::remove_file(&path)?;
            }
        }
        sync_folder(&self.folder)
    }
}

/// Finished snapshots by index.
fn list(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let index = name(&path)
            .strip_prefix(PREFIX)
            .and_then(|index| index.parse().ok());
        found.extend(index.map(|index| (index, path)));
    }
    Ok(found)
}

fn is_ours(path: &Path) -> bool {
    let name = name(path);
    name.strip_prefix(PREFIX).is_some_and(|rest| {
        let index = rest.strip_suffix(UNFINISHED).unwrap_or(rest);
        index.parse::<u64>().is_ok()
    })
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

pub(crate) fn invalid(error: BadRecord) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
