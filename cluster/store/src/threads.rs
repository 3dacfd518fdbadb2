//! Where the work is done that nobody is to be held up by: on threads, or, in a simulation, in turns on one.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Who does the work of a store.
#[derive(Clone, Default)]
pub enum Threads {
    /// The consensus core and the disk writer have a thread each, and snapshots are made on others.
    #[default]
    Own,
    /// All is done on the runtime of whoever opens the store, by one task after the other, so that whoever holds its
    /// clock decides what happens when. Dropping that runtime is the store's sudden death.
    Turns(DiskTime),
}

/// How long the next piece of work with the disk takes.
pub type DiskTime = Arc<dyn Fn() -> Duration + Send + Sync>;

impl Threads {
    /// Does `work`, which may take its time; others go on meanwhile.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Threads::Own => {
                let done = tokio::task::spawn_blocking(work).await;
                done.map_err(io::Error::other)
            }
            Threads::Turns(time) => {
                tokio::time::sleep(time()).await;
                Ok(work())
            }
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Threads::Own => "Own",
            Threads::Turns(_) => "Turns",
        })
    }
}
