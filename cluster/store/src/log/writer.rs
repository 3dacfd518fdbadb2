//! The disk writer: the one thread that touches the log engine.
//!
//! It takes all that waits, writes it, syncs once and then answers everyone. While it syncs, the
//! next batch gathers by itself: the busier the log, the more entries share a sync. One caller
//! alone pays exactly one.

use super::Acknowledged;
use crate::codec::{BadRecord, Codec, End, Mark};
use crate::config::SnapshotPolicy;
use crate::error::Error;
use crate::figures::Measures;
use crate::raft::{Entry, LogId, Types, Vote};
use crate::raw_log::RawLog;
use openraft::storage::IOFlushed;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{Notify, oneshot};

/// What the writer is asked to do.
pub(crate) enum Job {
    /// Durable before the answer, and with them how far the log was committed before.
    Append {
        entries: Vec<Entry>,
        committed: Option<LogId>,
        answer: IOFlushed<Types>,
    },
    /// Durable before the answer.
    Vote(Vote, oneshot::Sender<io::Result<()>>),
    /// Durable with whatever is next.
    Mark(Mark),
    Truncate {
        from: u64,
    },
    Purge {
        upto: LogId,
    },
}

/// Who waits for a sync.
enum Answer {
    Append(IOFlushed<Types>),
    Vote(oneshot::Sender<io::Result<()>>),
}

/// How much the log has grown since the last snapshot; says when that is enough.
#[derive(Debug)]
pub(crate) struct Growth {
    entries: AtomicU64,
    bytes: AtomicU64,
    most_entries: AtomicU64,
    most_bytes: u64,
    enough: Notify,
}

impl Growth {
    /// A log that already has so much behind the last snapshot.
    pub(crate) fn new(entries: u64, bytes: u64, policy: SnapshotPolicy) -> Self {
        Growth {
            entries: AtomicU64::new(entries),
            bytes: AtomicU64::new(bytes),
            most_entries: AtomicU64::new(policy.entries),
            most_bytes: policy.bytes,
            enough: Notify::new(),
        }
    }

    /// Returns when a snapshot is due.
    pub(crate) async fn enough(&self) {
        self.enough.notified().await;
    }

    /// Bytes since the last snapshot.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A snapshot is being made.
    pub(crate) fn reset(&self) {
        self.entries.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// From now on a snapshot is due after so many entries, at least one.
    pub(crate) fn snapshot_after(&self, entries: u64) {
        if self.most_entries.swap(entries.max(1), Ordering::Relaxed) > entries {
            self.add(0, 0);
        }
    }

    fn add(&self, entries: u64, bytes: u64) {
        let entries = self.entries.fetch_add(entries, Ordering::Relaxed) + entries;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if entries >= self.most_entries.load(Ordering::Relaxed) || bytes >= self.most_bytes {
            self.enough.notify_one();
        }
    }
}

/// The thread.
pub(crate) struct Writer {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Writes to `log`, which ends at `end`.
    pub(crate) fn start(
        log: impl RawLog,
        codec: Codec,
        growth: Arc<Growth>,
        end: End,
        acknowledged: Acknowledged,
        measures: Arc<Measures>,
    ) -> Result<Self, Error> {
        let (jobs, queue) = channel();
        let name = "raft-disk";
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut disk = Disk {
                    log,
                    codec,
                    growth,
                    end,
                    acknowledged,
                    measures,
                    failed: None,
                };
                disk.run(&queue);
            })
            .map_err(|source| Error::Thread { name, source })?;
        Ok(Writer { jobs, thread })
    }

    /// Where jobs are put in.
    pub(crate) fn jobs(&self) -> Sender<Job> {
        self.jobs.clone()
    }

    /// Waits until everything ordered is on disk and the engine is closed. All other senders must be
    /// gone.
    pub(crate) fn finish(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("disk writer panicked");
        }
    }
}

struct Disk<L> {
    log: L,
    codec: Codec,
    growth: Arc<Growth>,
    end: End,
    acknowledged: Acknowledged,
    measures: Arc<Measures>,
    /// After one failure nothing is written any more: what follows would leave a hole.
    failed: Option<(io::ErrorKind, String)>,
}

impl<L: RawLog> Disk<L> {
    fn run(&mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut answers = Vec::new();
            self.take(first, &mut answers);
            for job in queue.try_iter() {
                self.take(job, &mut answers);
            }
            if !answers.is_empty() {
                self.attempt(Self::sync);
            }
            for answer in answers {
                answer.give(self.result());
            }
        }
        self.attempt(Self::sync);
    }

    /// Makes all that was written durable, and notes that it may be answered.
    fn sync(&mut self) -> io::Result<()> {
        let asked = Instant::now();
        self.end.sync += 1;
        self.mark(&Mark::End(self.end))?;
        self.log.sync()?;
        let noted = self.acknowledged.note(self.end.sync);
        self.measures.syncs.note(asked.elapsed());
        noted
    }

    fn take(&mut self, job: Job, answers: &mut Vec<Answer>) {
        match job {
            Job::Append {
                entries,
                committed,
                answer,
            } => {
                self.attempt(|disk| {
                    committed.map_or(Ok(()), |id| disk.mark(&Mark::Committed(id)))?;
                    disk.append(&entries)
                });
                answers.push(Answer::Append(answer));
            }
            Job::Vote(vote, answer) => {
                self.attempt(|disk| disk.mark(&Mark::Vote(vote)));
                answers.push(Answer::Vote(answer));
            }
            Job::Mark(mark) => self.attempt(|disk| disk.mark(&mark)),
            Job::Truncate { from } => self.attempt(|disk| {
                disk.end.last = from.checked_sub(1);
                disk.log.del(from, u64::MAX)
            }),
            Job::Purge { upto } => self.attempt(|disk| {
                disk.end.last = disk.end.last.max(Some(upto.index));
                disk.mark(&Mark::Purged(upto))?;
                disk.log.del(0, upto.index)
            }),
        }
    }

    fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut puts = Vec::with_capacity(entries.len());
        for entry in entries {
            puts.push((
                entry.log_id.index,
                self.codec.entry(entry).map_err(invalid)?,
            ));
        }
        self.log.write(&puts)?;
        let last = entries.last().map(|entry| entry.log_id.index);
        self.end.last = last.or(self.end.last);
        let bytes = puts.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        self.growth.add(entries.len() as u64, bytes);
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> io::Result<()> {
        let bytes = self.codec.mark(mark).map_err(invalid)?;
        self.log.meta(mark.name(), &bytes)
    }

    fn attempt(&mut self, action: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failed.is_none()
            && let Err(error) = action(self)
        {
            tracing::error!(%error, "cannot write the log");
            self.failed = Some((error.kind(), error.to_string()));
        }
    }

    fn result(&self) -> io::Result<()> {
        match &self.failed {
            None => Ok(()),
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
        }
    }
}

impl Answer {
    fn give(self, result: io::Result<()>) {
        match self {
            Answer::Append(answer) => answer.io_completed(result),
            // Nobody waits if the core was shut down meanwhile.
            Answer::Vote(answer) => drop(answer.send(result)),
        }
    }
}

fn invalid(error: BadRecord) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}
