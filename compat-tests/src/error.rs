//! What can go wrong while a testbed is built or a command is run: always said in full, never skipped over.

use std::io;
use std::time::Duration;

/// A failure of the harness itself, as opposed to a finding about swarmrs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call or file operation failed; `what` says what was tried and on what.
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    /// A condition did not come true in time; `last` is the state that was seen last.
    #[error("{what} did not happen within {limit:?}; last seen: {last}")]
    Deadline {
        what: String,
        limit: Duration,
        last: String,
    },
    /// A set-up step was refused by the machine, an engine or a daemon.
    #[error("{0}")]
    Setup(String),
    /// A peer did not speak HTTP as expected.
    #[error("malformed answer: {0}")]
    Answer(String),
    /// A scenario or list of differences cannot be read.
    #[error("{file}:{line}: {what}")]
    Parse {
        file: String,
        line: usize,
        what: String,
    },
}

/// Says what was tried when an IO call fails.
pub trait Tried<T> {
    /// Turns an IO error into [`Error::Io`] with `what` in front.
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            what: what(),
            source,
        })
    }
}
