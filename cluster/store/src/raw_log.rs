//! What the log asks of an engine: ordered records, a few named values, one barrier.
//!
//! An engine is owned by one thread, the disk writer. Writes may stay in memory until
//! [`RawLog::sync`] returns; from then on they survive a power cut. What is written between two
//! syncs is found after a crash as a whole or not at all.

mod contained;
mod journal;
mod kept;
mod redb;
mod sled;

pub(crate) use contained::Contained;
pub use contained::panic_is_contained;
pub(crate) use kept::Kept;
pub(crate) use redb::Redb;
pub(crate) use sled::Sled;

use crate::config::LogEngine;
use journal::Journaled;
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// Everything an engine holds: the records by index, in order, and the named values.
pub(crate) type Contents = (Vec<(u64, Vec<u8>)>, HashMap<String, Vec<u8>>);

/// A log engine.
pub(crate) trait RawLog: Send + 'static {
    /// Puts records at their indexes.
    fn write(&mut self, puts: &[(u64, Vec<u8>)]) -> io::Result<()>;
    /// Removes the records from `from` to `to`, both included.
    fn del(&mut self, from: u64, to: u64) -> io::Result<()>;
    /// Sets a named value.
    fn meta(&mut self, name: &str, value: &[u8]) -> io::Result<()>;
    /// Returns once all that was written is durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Reads everything. `InvalidData`: the file does not hold what was written to it.
    fn load(&mut self) -> io::Result<Contents>;
}

/// Makes an empty log of this engine at `path`.
pub(crate) fn create(engine: LogEngine, path: &Path) -> io::Result<Contained> {
    match engine {
        LogEngine::Redb => Contained::open(|| Redb::create(path)),
        LogEngine::Sled => Contained::open(|| Sled::create(path)),
    }
}

/// Opens the log of this engine at `path`. `InvalidData`: it is no such log, or a damaged one.
pub(crate) fn open(engine: LogEngine, path: &Path) -> io::Result<Contained> {
    match engine {
        LogEngine::Redb => {
            Contained::open(|| Journaled::open(Redb::open(path)?, journal::path_of(path)))
        }
        LogEngine::Sled => Contained::open(|| Sled::open(path)),
    }
}
