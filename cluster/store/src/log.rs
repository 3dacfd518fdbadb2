//! The log as the consensus core sees it: readable in memory at once, on disk a moment later.
//!
//! Every change is made in memory first and handed to the disk writer in the same order. Appends
//! and votes are answered when they are durable; truncations and purges need no answer, since
//! whatever is durable later was written after them. How far the log is committed waits for the next
//! append.

mod acknowledged;
mod alone;
mod load;
mod writer;

pub(crate) use acknowledged::Acknowledged;
pub(crate) use alone::go_on_alone;
pub(crate) use load::{Loaded, load};
pub(crate) use writer::{Disk, Growth, Pace, Writer};

use crate::codec::Mark;
use crate::raft::{Entry, LogId, Types, Vote};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::oneshot;
use writer::{Desk, Job};

/// What of the log is in memory: all of it since the last purge.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: BTreeMap<u64, Entry>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
}

/// Reads the log. Any number of these may exist.
#[derive(Clone)]
pub(crate) struct LogReader(Arc<RwLock<Cache>>);

/// Changes the log. There is one, in the consensus core.
pub(crate) struct LogStorage {
    reader: LogReader,
    desk: Arc<Desk>,
    /// How far the log is committed, if the writer was not told yet. It goes with the next append: on its
    /// own it would wake the writer in the middle of every answer.
    untold: Option<LogId>,
}

impl LogReader {
    fn cache(&self) -> RwLockReadGuard<'_, Cache> {
        self.0.read().expect("no holder of this lock panics")
    }

    fn cache_mut(&self) -> RwLockWriteGuard<'_, Cache> {
        self.0.write().expect("no holder of this lock panics")
    }
}

impl LogStorage {
    /// A log that holds `loaded` and writes through `writer`.
    pub(crate) fn new(loaded: Cache, writer: &Writer) -> Self {
        LogStorage {
            reader: LogReader(Arc::new(RwLock::new(loaded))),
            desk: writer.desk(),
            untold: None,
        }
    }

    /// The log, for whoever only reads.
    pub(crate) fn reader(&self) -> LogReader {
        self.reader.clone()
    }
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let cache = self.cache();
        let entries = cache.entries.range(range);
        Ok(entries.map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.cache().vote)
    }
}

impl RaftLogStorage<Types> for LogStorage {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let cache = self.reader.cache();
        let last = cache.entries.last_key_value();
        Ok(LogState {
            last_purged_log_id: cache.purged,
            last_log_id: last.map(|(_, entry)| entry.log_id).or(cache.purged),
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (done, durable) = oneshot::channel();
        self.desk.order(Job::Vote(*vote, done))?;
        durable
            .await
            .map_err(|_| io::Error::other("disk writer has ended"))??;
        self.reader.cache_mut().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed else {
            return Ok(());
        };
        self.reader.cache_mut().committed = Some(committed);
        self.untold = Some(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.reader.cache().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let readable = entries.iter().map(|e| (e.log_id.index, e.clone()));
        self.reader.cache_mut().entries.extend(readable);
        let committed = self.untold.take();
        self.desk.order(Job::Append {
            entries,
            committed,
            answer: callback,
        })
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        self.reader.cache_mut().entries.split_off(&from);
        self.desk.order(Job::Truncate { from })
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut cache = self.reader.cache_mut();
        cache.entries = cache.entries.split_off(&(upto.index + 1));
        cache.purged = Some(upto);
        drop(cache);
        self.desk.order(Job::Purge { upto })
    }
}

impl Drop for LogStorage {
    fn drop(&mut self) {
        if let Some(committed) = self.untold.take() {
            // A writer that has ended has nothing to write it to.
            let _ended = self.desk.order(Job::Mark(Mark::Committed(committed)));
        }
    }
}

#[cfg(test)]
mod tests;
