//! Snapshots: the whole state as a sealed file. The newest counts; as many older ones are kept as the
//! swarm is set to.
//!
//! A snapshot is written beside the old one, made durable, given its name, and only then is what is too
//! old removed: at any moment there is one that can be read.
//!
//! A state that was found not to be the leader's is kept beside them as evidence, in the same form and by another name.

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

/// Names of evidence: up to which entry the state went.
const EVIDENCE: &str = "differing-";

/// How many pieces of evidence are kept: whoever differs again differs the same way, or as it did in the beginning.
const MOST_EVIDENCE: usize = 2;

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
        let found = list(&folder, PREFIX).map_err(Error::file("read", &folder))?;
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
        let mut current = self.current.lock().expect("no holder panics");
        match current.is_some_and(|there| there >= index) {
            true => Ok(()),
            false => self.put(&mut current, index, bytes),
        }
    }

    /// As [`Snapshots::write`], also in the place of one up to the same entry, whose state was wrong. False: there is a
    /// newer one, and the log may not reach back to this.
    pub(crate) fn replace(&self, index: u64, bytes: &[u8]) -> io::Result<bool> {
        let mut current = self.current.lock().expect("no holder panics");
        match current.is_some_and(|there| there > index) {
            true => Ok(false),
            false => self.put(&mut current, index, bytes).map(|()| true),
        }
    }

    fn put(&self, current: &mut Option<u64>, index: u64, bytes: &[u8]) -> io::Result<()> {
        replace(&self.path_of(index), &self.seal_file(bytes)?)?;
        *current = Some(index);
        tracing::info!(index, bytes = bytes.len(), "snapshot written");
        self.remove_old()
    }

    /// Keeps `bytes`, a state up to entry `index` that is not the leader's, for whoever looks into it. Returns where.
    pub(crate) fn keep_evidence(&self, index: u64, bytes: &[u8]) -> io::Result<PathBuf> {
        let _turn = self.current.lock().expect("no holder panics");
        let path = self.folder.join(format!("{EVIDENCE}{index:020}"));
        replace(&path, &self.seal_file(bytes)?)?;
        let mut kept = list(&self.folder, EVIDENCE)?;
        kept.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        for (_, old) in kept.iter().skip(MOST_EVIDENCE) {
            fs::remove_file(old)?;
        }
        sync_folder(&self.folder)?;
        Ok(path)
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

    fn seal_file(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let sealed = self.codec.seal(bytes).map_err(invalid)?;
        Ok([&[VERSION], sealed.as_slice()].concat())
    }

    fn open_file(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadRecord> {
        match file.split_first() {
            None => Err(BadRecord::Empty),
            Some((&VERSION, sealed)) => self.codec.open(sealed),
            Some((&version, _)) => Err(BadRecord::Newer(version)),
        }
    }

    fn remove_old(&self) -> io::Result<()> {
        let mut kept = list(&self.folder, PREFIX)?;
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

/// Finished files of this kind by index.
fn list(folder: &Path, prefix: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let index = name(&path)
            .strip_prefix(prefix)
            .and_then(|index| index.parse().ok());
        found.extend(index.map(|index| (index, path)));
    }
    Ok(found)
}

/// Whether this is a snapshot, or was to become one or evidence.
fn is_ours(path: &Path) -> bool {
    let name = name(path);
    let unfinished = name.strip_suffix(UNFINISHED);
    let snapshot = unfinished.unwrap_or(name).strip_prefix(PREFIX);
    let evidence = unfinished.and_then(|name| name.strip_prefix(EVIDENCE));
    let index = snapshot.or(evidence);
    index.is_some_and(|index| index.parse::<u64>().is_ok())
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

pub(crate) fn invalid(error: BadRecord) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use swarmrs_security::{DataKey, Sealer};

    fn snapshots(folder: &Path) -> Snapshots {
        let codec = Codec::new(Sealer::new(&DataKey::from_bytes([7; DataKey::LEN])));
        Snapshots::open(folder.to_owned(), codec, 0, Threads::Own).unwrap()
    }

    #[test]
    fn evidence_is_sealed_for_root_alone_and_no_snapshot_and_the_newest_two_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = snapshots(folder.path());
        kept.write(5, b"right").unwrap();
        for index in [9, 20, 100] {
            let path = kept.keep_evidence(index, b"wrong").unwrap();
            let file = fs::read(&path).unwrap();
            assert_eq!(kept.open_file(&file).unwrap().as_slice(), b"wrong");
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        fs::write(
            folder.path().join(format!("{EVIDENCE}7{UNFINISHED}")),
            "half",
        )
        .unwrap();
        let opened = snapshots(folder.path());
        opened.clear().unwrap();
        assert_eq!(&*opened.read().unwrap().unwrap(), b"right");
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| name(&e.unwrap().path()).to_owned())
            .collect();
        names.sort();
        let number = |prefix: &str, index: u64| format!("{prefix}{index:020}");
        assert_eq!(
            names,
            [
                number(EVIDENCE, 20),
                number(EVIDENCE, 100),
                number(PREFIX, 5)
            ]
        );
    }

    #[test]
    fn the_leaders_snapshot_takes_the_place_of_one_up_to_the_same_entry_and_of_none_that_is_newer()
    {
        let folder = tempfile::tempdir().unwrap();
        let kept = snapshots(folder.path());
        kept.write(5, b"wrong").unwrap();
        kept.write(5, b"no other").unwrap();
        assert_eq!(&*kept.read().unwrap().unwrap(), b"wrong");
        assert!(!kept.replace(4, b"older").unwrap());
        assert!(kept.replace(5, b"right").unwrap());
        assert_eq!(
            &*snapshots(folder.path()).read().unwrap().unwrap(),
            b"right"
        );
        assert!(kept.replace(6, b"newer").unwrap());
        assert_eq!(
            &*snapshots(folder.path()).read().unwrap().unwrap(),
            b"newer"
        );
    }
}
