//! What the log asks of an engine: ordered records, a few named values, one barrier.
//!
//! An engine is owned by one thread, the disk writer. Writes may stay in memory until
//! [`RawLog::sync`] returns; from then on they survive a power cut. Between two syncs nothing is
//! promised but order: what is found after a crash is what some prefix of the writes left.

mod redb;

pub(crate) use redb::Redb;

use std::collections::HashMap;
use std::io;

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
