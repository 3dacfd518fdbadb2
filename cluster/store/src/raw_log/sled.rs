//! The other engine: sled 0.34, hardened.
//!
//! sled's `flush` hands the pages to the disk and leaves the file's size and extents to a timer, so
//! a power cut takes acknowledged entries with it. Five rules keep it honest:
//!
//! - After each flush the data file is synced here, through a descriptor of our own.
//! - What is written between two syncs is one transaction over both trees: all of it is found
//!   after a crash, or nothing.
//! - No value is long enough for sled to move it, or the leaf it stands in, to a file of its own,
//!   which nobody would sync. Long records are cut into [`PIECE`]s under neighbouring keys.
//! - A file that a crash left half written (`snap.….generating`) is removed; sled takes it for
//!   its newest one.
//! - Its timer is off: nothing becomes durable that was not asked for.
//!
//! ```text
//!   tree "log"    index (8 bytes, big endian) | piece (4 bytes)   →  bytes
//!   tree "meta"   name                                            →  bytes
//! ```

use super::{Contents, RawLog};
use crate::folder::sync_folder;
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};
use sled::{Db, IVec, Mode, Tree};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// A leaf of sled's holds up to 17 values and must stay below a quarter of a segment, 128 KiB.
const PIECE: usize = 4 * 1024;

/// Entries are read from our own memory; the engine needs its pages only to write.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// A log in a folder of sled's.
pub(crate) struct Sled {
    database: Db,
    log: Tree,
    meta: Tree,
    /// The file behind it all, to be synced.
    data: File,
    /// What was written since the last sync; `None` removes.
    puts: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    values: BTreeMap<String, Vec<u8>>,
}

impl Sled {
    /// Makes an empty log in the folder `path`, durable with all its files.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        let log = Self::with(path)?;
        for entry in fs::read_dir(path)? {
            File::open(entry?.path())?.sync_all()?;
        }
        sync_folder(path)?;
        Ok(log)
    }

    /// Opens the log in the folder `path`. `InvalidData`: it is no such log, or a damaged one.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // sled fills a folder that lacks its data anew.
        for name in ["db", "conf"] {
            fs::metadata(path.join(name)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => damaged(format!("its file {name} is missing")),
                _ => error,
            })?;
        }
        remove_half_written(path)?;
        Self::with(path)
    }

    fn with(path: &Path) -> io::Result<Self> {
        let config = sled::Config::new()
            .path(path)
            .mode(Mode::HighThroughput)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None);
        let database = config.open().map_err(storage)?;
        Ok(Sled {
            log: database.open_tree("log").map_err(storage)?,
            meta: database.open_tree("meta").map_err(storage)?,
            data: File::options().write(true).open(path.join("db"))?,
            database,
            puts: BTreeMap::new(),
            values: BTreeMap::new(),
        })
    }

    /// The keys between two indexes, on disk and on their way there.
    fn keys(&self, from: u64, to: u64) -> io::Result<Vec<Vec<u8>>> {
        let range = key(from, 0)..=key(to, u32::MAX);
        let mut keys = Vec::new();
        for found in self.log.range(range.clone()).keys() {
            keys.push(found.map_err(storage)?.to_vec());
        }
        keys.extend(self.puts.range(range).map(|(key, _)| key.clone()));
        Ok(keys)
    }

    /// Hands everything that waits to sled, as one transaction.
    fn commit(&mut self) -> io::Result<()> {
        let (puts, values) = (&self.puts, &self.values);
        let write = |(log, meta): &(_, _)| put_all(log, meta, puts, values);
        match (&self.log, &self.meta).transaction(write) {
            Ok(()) => {}
            Err(TransactionError::Storage(error)) => return Err(storage(error)),
            Err(TransactionError::Abort(())) => unreachable!("nothing aborts"),
        }
        self.puts.clear();
        self.values.clear();
        Ok(())
    }
}

type View = sled::transaction::TransactionalTree;

fn put_all(
    log: &View,
    meta: &View,
    puts: &BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    values: &BTreeMap<String, Vec<u8>>,
) -> Result<(), ConflictableTransactionError<()>> {
    for (key, value) in puts {
        match value {
            Some(value) => log.insert(key.as_slice(), value.as_slice())?,
            None => log.remove(key.as_slice())?,
        };
    }
    for (name, value) in values {
        meta.insert(name.as_bytes(), value.as_slice())?;
    }
    Ok(())
}

impl RawLog for Sled {
    fn write(&mut self, puts: &[(u64, Vec<u8>)]) -> io::Result<()> {
        for (index, bytes) in puts {
            // One that stood there before may have had more pieces.
            self.del(*index, *index)?;
            for (number, piece) in (0..).zip(bytes.chunks(PIECE)) {
                self.puts.insert(key(*index, number), Some(piece.to_vec()));
            }
        }
        Ok(())
    }

    fn del(&mut self, from: u64, to: u64) -> io::Result<()> {
        for key in self.keys(from, to)? {
            self.puts.insert(key, None);
        }
        Ok(())
    }

    fn meta(&mut self, name: &str, value: &[u8]) -> io::Result<()> {
        self.values.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.puts.is_empty() && self.values.is_empty() {
            return Ok(());
        }
        self.commit()?;
        self.database.flush().map_err(storage)?;
        self.data.sync_data()
    }

    fn load(&mut self) -> io::Result<Contents> {
        let mut records: Vec<(u64, Vec<u8>)> = Vec::new();
        for item in self.log.iter() {
            let (key, piece) = item.map_err(storage)?;
            let (index, number) = place(&key)?;
            match (records.last_mut(), number) {
                (_, 0) => records.push((index, piece.to_vec())),
                (Some((last, bytes)), _) if *last == index => bytes.extend_from_slice(&piece),
                _ => return Err(damaged(format!("entry {index} has lost its beginning"))),
            }
        }
        let mut values = HashMap::new();
        for item in self.meta.iter() {
            let (name, value) = item.map_err(storage)?;
            let name = String::from_utf8(name.to_vec());
            let name = name.map_err(|_| damaged("a mark has no name".to_owned()))?;
            values.insert(name, value.to_vec());
        }
        Ok((records, values))
    }
}

fn key(index: u64, piece: u32) -> Vec<u8> {
    [&index.to_be_bytes()[..], &piece.to_be_bytes()].concat()
}

fn place(key: &IVec) -> io::Result<(u64, u32)> {
    let split = key.split_first_chunk::<8>();
    let place = split.and_then(|(index, piece)| Some((*index, piece.try_into().ok()?)));
    let (index, piece) = place.ok_or_else(|| damaged("a record has no index".to_owned()))?;
    Ok((u64::from_be_bytes(index), u32::from_be_bytes(piece)))
}

fn remove_half_written(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "generating") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The engine's error as ours: what the system said where it said something, `InvalidData` where
/// the files are not as they were written.
fn storage(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        // The fourth says that the files are set up as ours never are.
        sled::Error::Corruption { .. }
        | sled::Error::CollectionNotFound(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Unsupported(_) => damaged(error.to_string()),
    }
}

fn damaged(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
