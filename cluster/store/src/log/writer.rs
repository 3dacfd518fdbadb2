//! The disk writer: whoever has it takes all that waits, writes it, syncs once and then answers
//! everyone.
//!
//! That is a thread of its own: while it syncs, the core goes on and the next batch gathers by itself,
//! so the busier the log, the more entries share a sync. Where nothing else can happen meanwhile, the
//! core does the same work in place and saves two changes of thread ([`Pace`]).

use super::Acknowledged;
use crate::codec::{BadRecord, Codec, End, Mark};
use crate::config::SnapshotPolicy;
use crate::error::Error;
use crate::figures::Measures;
use crate::raft::{Entry, LogId, Types, Vote};
use crate::raw_log::RawLog;
use crate::threads::{DiskTime, Threads};
use openraft::storage::IOFlushed;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

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

/// Whether anything could be done while the disk is busy.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// There is no other member, to be heard or told anything.
    alone: AtomicBool,
    /// Proposals that wait for their answer.
    waiting: AtomicUsize,
}

/// A proposal that waits.
pub(crate) struct Waiting<'a>(&'a Pace);

impl Pace {
    /// Notes whether this member is the only one.
    pub(crate) fn set_alone(&self, alone: bool) {
        self.alone.store(alone, Ordering::Release);
    }

    /// One more waits, until what is returned is dropped.
    pub(crate) fn enter(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Waiting(self)
    }

    /// Whether this member is the only one.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Acquire)
    }

    fn is_idle(&self) -> bool {
        self.is_alone() && self.waiting.load(Ordering::Acquire) <= 1
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The writer's owner.
pub(crate) struct Writer {
    desk: Arc<Desk>,
    /// None where it works in turns with all others.
    thread: Option<JoinHandle<()>>,
}

/// Where jobs are put in, and done in their order.
pub(crate) struct Desk {
    queue: Mutex<Queue>,
    bell: Bell,
    /// None once the writer has ended.
    disk: Mutex<Option<Disk>>,
    pace: Arc<Pace>,
}

/// Tells the writer that there is something to do.
enum Bell {
    Thread(Condvar),
    Task(Notify),
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    ended: bool,
}

impl Writer {
    pub(crate) fn start(disk: Disk, pace: Arc<Pace>, threads: &Threads) -> Result<Self, Error> {
        let desk = Arc::new(Desk {
            queue: Mutex::default(),
            bell: Bell::of(threads),
            disk: Mutex::new(Some(disk)),
            pace,
        });
        let thread = match threads {
            Threads::Own => Some(Desk::man(desk.clone())?),
            Threads::Turns(time) => {
                tokio::spawn(Desk::take_turns(desk.clone(), time.clone()));
                None
            }
        };
        Ok(Writer { desk, thread })
    }

    /// Where jobs are put in.
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.desk.clone()
    }

    /// Waits until everything ordered is on disk and the engine is closed.
    pub(crate) fn finish(self) {
        self.desk.queue().ended = true;
        self.desk.bell.ring();
        if self.thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("disk writer panicked");
        }
        self.desk.work();
        if let Some(mut disk) = self.desk.disk().take() {
            disk.attempt(Disk::sync);
        }
    }
}

impl Bell {
    fn of(threads: &Threads) -> Self {
        match threads {
            Threads::Own => Bell::Thread(Condvar::new()),
            Threads::Turns(_) => Bell::Task(Notify::new()),
        }
    }

    fn ring(&self) {
        match self {
            Bell::Thread(arrived) => arrived.notify_one(),
            Bell::Task(arrived) => arrived.notify_one(),
        }
    }
}

impl Desk {
    /// A thread that does what is put in.
    fn man(desk: Arc<Desk>) -> Result<JoinHandle<()>, Error> {
        let name = "raft-disk";
        let thread = std::thread::Builder::new().name(name.to_owned());
        let serve = move || {
            while desk.wait() {
                desk.work()
            }
        };
        thread
            .spawn(serve)
            .map_err(|source| Error::Thread { name, source })
    }

    /// The same as a task among others.
    async fn take_turns(desk: Arc<Desk>, time: DiskTime) {
        while let Bell::Task(arrived) = &desk.bell {
            arrived.notified().await;
            if desk.queue().ended {
                return;
            }
            tokio::time::sleep(time()).await;
            desk.work();
        }
    }

    /// Puts a job in. It is done when this returns, or soon.
    pub(crate) fn order(&self, job: Job) -> io::Result<()> {
        let mut queue = self.queue();
        if queue.ended {
            return Err(io::Error::other("disk writer has ended"));
        }
        queue.jobs.push(job);
        drop(queue);
        match self.pace.is_idle() {
            true => self.work(),
            false => self.bell.ring(),
        }
        Ok(())
    }

    /// Waits for jobs; false when there will be no more.
    fn wait(&self) -> bool {
        let Bell::Thread(arrived) = &self.bell else {
            return false;
        };
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.ended;
        let queue = arrived.wait_while(self.queue(), idle);
        !queue.expect("no holder panics").ended
    }

    /// Does all jobs there are. The disk is taken first: whoever has it has the oldest jobs.
    fn work(&self) {
        let mut disk = self.disk();
        let jobs = std::mem::take(&mut self.queue().jobs);
        if let Some(disk) = disk.as_mut() {
            disk.work(jobs);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder panics")
    }

    fn disk(&self) -> MutexGuard<'_, Option<Disk>> {
        self.disk.lock().expect("no holder panics")
    }
}

/// The log's engine, and what is to be known for writing to it.
pub(crate) struct Disk {
    log: Box<dyn RawLog>,
    codec: Codec,
    growth: Arc<Growth>,
    end: End,
    acknowledged: Acknowledged,
    measures: Arc<Measures>,
    /// After one failure nothing is written any more: what follows would leave a hole.
    failed: Option<(io::ErrorKind, String)>,
}

impl Disk {
    /// Writes to `log`, which ends at `end`.
    pub(crate) fn new(
        log: impl RawLog,
        codec: Codec,
        growth: Arc<Growth>,
        end: End,
        acknowledged: Acknowledged,
        measures: Arc<Measures>,
    ) -> Self {
        Disk {
            log: Box::new(log),
            codec,
            growth,
            end,
            acknowledged,
            measures,
            failed: None,
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let mut answers = Vec::new();
        for job in jobs {
            self.take(job, &mut answers);
        }
        if !answers.is_empty() {
            self.attempt(Self::sync);
        }
        for answer in answers {
            answer.give(self.result());
        }
    }

    /// Makes all that was written durable, and notes that it may be answered.
    fn sync(&mut self) -> io::Result<()> {
        let asked = Instant::now();
        self.measures.pulse.begin(self.end.last);
        self.end.sync += 1;
        let noted = self
            .mark(&Mark::End(self.end))
            .and_then(|()| self.log.sync())
            .and_then(|()| self.acknowledged.note(self.end.sync));
        self.measures.pulse.end();
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
