//! The default engine: redb, one file, one `fdatasync` per commit.
//!
//! All writes between two syncs share one transaction, so a purge never costs a sync of its own.
//! Nothing holds a read transaction, which would keep freed pages and let the file grow.

use super::{Contents, RawLog};
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use std::collections::HashMap;
use std::io;
use std::path::Path;

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// Entries are read from our own memory, so the engine's cache serves its tree pages only.
const CACHE_BYTES: usize = 1024 * 1024;

/// A log in one redb file.
pub(crate) struct Redb {
    database: Database,
    /// What was written since the last sync.
    open: Option<WriteTransaction>,
}

impl Redb {
    /// Makes an empty log at `path`.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut log = Self::with(Database::builder().set_cache_size(CACHE_BYTES).create(path))?;
        let transaction = log.transaction()?;
        transaction.open_table(LOG).map_err(storage)?;
        transaction.open_table(META).map_err(storage)?;
        log.sync()?;
        Ok(log)
    }

    /// Opens the log at `path`. `InvalidData`: it is no such log, or a damaged one.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Every page is checked against its sum: a pointer that was changed could lead anywhere.
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        Self::with(builder.set_check_integrity_on_open(true).open(path))
    }

    fn with(database: Result<Database, DatabaseError>) -> io::Result<Self> {
        Ok(Redb {
            database: database.map_err(storage)?,
            open: None,
        })
    }

    fn transaction(&mut self) -> io::Result<&mut WriteTransaction> {
        if self.open.is_none() {
            self.open = Some(self.database.begin_write().map_err(storage)?);
        }
        Ok(self.open.as_mut().expect("set above"))
    }
}

impl RawLog for Redb {
    fn write(&mut self, puts: &[(u64, Vec<u8>)]) -> io::Result<()> {
        let mut table = self.transaction()?.open_table(LOG).map_err(storage)?;
        for (index, bytes) in puts {
            table.insert(index, bytes.as_slice()).map_err(storage)?;
        }
        Ok(())
    }

    fn del(&mut self, from: u64, to: u64) -> io::Result<()> {
        let mut table = self.transaction()?.open_table(LOG).map_err(storage)?;
        table.retain_in(from..=to, |_, _| false).map_err(storage)
    }

    fn meta(&mut self, name: &str, value: &[u8]) -> io::Result<()> {
        let mut table = self.transaction()?.open_table(META).map_err(storage)?;
        table.insert(name, value).map_err(storage)?;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.open.take() {
            Some(transaction) => transaction.commit().map_err(storage),
            None => Ok(()),
        }
    }

    fn load(&mut self) -> io::Result<Contents> {
        let read = self.database.begin_read().map_err(storage)?;
        let mut records = Vec::new();
        for item in read
            .open_table(LOG)
            .map_err(storage)?
            .iter()
            .map_err(storage)?
        {
            let (index, bytes) = item.map_err(storage)?;
            records.push((index.value(), bytes.value().to_vec()));
        }
        let mut values = HashMap::new();
        for item in read
            .open_table(META)
            .map_err(storage)?
            .iter()
            .map_err(storage)?
        {
            let (name, bytes) = item.map_err(storage)?;
            values.insert(name.value().to_owned(), bytes.value().to_vec());
        }
        Ok((records, values))
    }
}

/// The engine's error as ours: what the system said where it said something, `InvalidData` where
/// the file is not as it was written.
fn storage(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        error @ (redb::Error::Corrupted(_)
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted) => {
            io::Error::new(io::ErrorKind::InvalidData, error.to_string())
        }
        error => io::Error::other(error.to_string()),
    }
}
