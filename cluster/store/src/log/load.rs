//! Reading the log back at start: every record is opened and checked, or the log is refused.

use super::Cache;
use crate::codec::{BadRecord, Codec, End, Mark};
use crate::error::Error;
use crate::raft::LogId;
use crate::raw_log::{Contents, RawLog};
use std::io;
use std::path::Path;

/// What was found.
pub(crate) struct Loaded {
    pub(crate) cache: Cache,
    /// Whose log it is.
    pub(crate) owner: u64,
    pub(crate) end: End,
    /// Size of the records, as they are on disk.
    pub(crate) bytes: u64,
}

impl Loaded {
    /// Whether the log ever held an entry.
    pub(crate) fn is_initialized(&self) -> bool {
        self.cache.purged.is_some() || !self.cache.entries.is_empty()
    }

    /// How many entries a snapshot up to `snapshot` does not have.
    pub(crate) fn entries_after(&self, snapshot: Option<LogId>) -> u64 {
        let first = snapshot.map_or(0, |id| id.index + 1);
        self.cache.entries.range(first..).count() as u64
    }

    /// Whether log and snapshot meet: every entry after `snapshot` must be here.
    pub(crate) fn follows(&self, snapshot: Option<LogId>) -> bool {
        let purged = self.cache.purged.map(|id| id.index);
        purged <= snapshot.map(|id| id.index)
    }
}

/// Reads all of the log that `open` opens; up to sync `acknowledged` it was answered for. `path` is
/// for errors.
pub(crate) fn load<L: RawLog>(
    path: &Path,
    codec: &Codec,
    acknowledged: u64,
    open: impl FnOnce() -> io::Result<L>,
) -> Result<(L, Loaded), Error> {
    let read = || {
        let mut log = open()?;
        let contents = log.load()?;
        Ok((log, contents))
    };
    let (log, contents) = read().map_err(|error| unreadable(path, error))?;
    let loaded = decode(codec, contents).map_err(|error| refuse(path, &error))?;
    let whole = check_whole(&loaded, acknowledged);
    whole.map_err(|reason| Error::damaged(path, reason))?;
    Ok((log, loaded))
}

/// Whether everything is here: no entry lacks in the middle, and none at the end.
fn check_whole(loaded: &Loaded, acknowledged: u64) -> Result<(), String> {
    let Loaded { cache, end, .. } = loaded;
    if let Some(hole) = first_hole(cache) {
        return Err(format!("entry {hole} is missing"));
    }
    if end.sync < acknowledged {
        return Err(format!(
            "it ends with sync {}, but sync {acknowledged} was acknowledged",
            end.sync
        ));
    }
    let last = cache.entries.last_key_value().map(|(index, _)| *index);
    let last = last.or(cache.purged.map(|id| id.index));
    if last != end.last {
        let name = |entry: Option<u64>| entry.map_or("no entry".to_owned(), |e| e.to_string());
        return Err(format!(
            "it ends with {}, not with {}",
            name(last),
            name(end.last)
        ));
    }
    Ok(())
}

fn decode(codec: &Codec, (records, values): Contents) -> Result<Loaded, BadRecord> {
    let mut loaded = Loaded {
        cache: Cache::default(),
        owner: 0,
        end: End::default(),
        bytes: 0,
    };
    for (index, bytes) in records {
        let entry = codec.read_entry(index, &bytes)?;
        loaded.bytes += bytes.len() as u64;
        loaded.cache.entries.insert(index, entry);
    }
    for (name, bytes) in values {
        match codec.read_mark(&name, &bytes)? {
            Mark::Vote(vote) => loaded.cache.vote = Some(vote),
            Mark::Committed(id) => loaded.cache.committed = Some(id),
            Mark::Purged(id) => loaded.cache.purged = Some(id),
            Mark::Owner(raft_id) => loaded.owner = raft_id,
            Mark::End(end) => loaded.end = end,
        }
    }
    Ok(loaded)
}

/// The first entry that should be there and is not.
fn first_hole(cache: &Cache) -> Option<u64> {
    let first = cache.purged.map_or(0, |id| id.index + 1);
    let mut expected = first..;
    let mut found = cache.entries.keys();
    found.find_map(|index| expected.next().filter(|expected| expected != index))
}

fn refuse(path: &Path, error: &BadRecord) -> Error {
    match error {
        BadRecord::Newer(found) => Error::Newer {
            path: path.to_owned(),
            found: *found,
            known: crate::codec::VERSION,
        },
        error => Error::damaged(path, error.to_string()),
    }
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::damaged(path, error.to_string())
        }
        _ => Error::file("open", path)(error),
    }
}
