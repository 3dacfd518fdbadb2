//! What can go wrong: opening the store, and proposing to it.

use crate::store::{MAX_BYTES, MAX_CHANGES};
use crate::sums::Differing;
use std::io;
use std::path::{Path, PathBuf};
use swarmrs_core::Rejected;

/// The store cannot be opened, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the folder open.
    #[error("{} is in use by another process", .folder.display())]
    Locked { folder: PathBuf },
    /// The folder holds something we did not write.
    #[error("{} was not written by swarmrs: {reason}", .path.display())]
    Foreign { path: PathBuf, reason: String },
    /// A newer release wrote this.
    #[error("{} has format {found}, this release reads up to {known}", .path.display())]
    Newer { path: PathBuf, found: u8, known: u8 },
    /// The folder was written with another log engine.
    #[error("{} was written with the log engine {found:?}, not {wanted:?}", .folder.display())]
    OtherEngine {
        folder: PathBuf,
        found: String,
        wanted: String,
    },
    /// The folder belongs to another member. A member never changes its number.
    #[error("{} belongs to raft member {found}, not {wanted}", .folder.display())]
    OtherMember {
        folder: PathBuf,
        found: u64,
        wanted: u64,
    },
    /// A file that must be there is not.
    #[error("{} is missing from a store that was in use{}", .path.display(), good(.snapshot))]
    Missing {
        path: PathBuf,
        snapshot: Option<PathBuf>,
    },
    /// A file does not hold what was written to it, or was written with another key.
    #[error("{} is damaged: {reason}{}", .path.display(), good(.snapshot))]
    Damaged {
        path: PathBuf,
        reason: String,
        /// The last snapshot that can be read.
        snapshot: Option<PathBuf>,
    },
    /// The file system refused.
    #[error("cannot {action} {}", .path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start thread {name}")]
    Thread {
        name: &'static str,
        #[source]
        source: io::Error,
    },
    /// The store was made a member before.
    #[error("store is initialized already")]
    Initialized,
    /// Too little space is left to go on.
    #[error("disk of {} is full: {} are free, {} are needed", .folder.display(), mib(.free), mib(.needed))]
    NoSpace {
        folder: PathBuf,
        free: u64,
        needed: u64,
    },
    /// The consensus core stopped, or never got where it should.
    #[error("consensus: {0}")]
    Consensus(String),
}

impl Error {
    /// For `map_err`: what was tried, on what.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::File {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn missing(path: &Path) -> Error {
        Error::Missing {
            path: path.to_owned(),
            snapshot: None,
        }
    }

    pub(crate) fn damaged(path: &Path, reason: String) -> Error {
        Error::Damaged {
            path: path.to_owned(),
            reason,
            snapshot: None,
        }
    }

    /// Says which snapshot is still good, where that helps whoever has to repair.
    pub(crate) fn with_snapshot(mut self, good: Option<PathBuf>) -> Error {
        match &mut self {
            Error::Damaged { snapshot, .. } | Error::Missing { snapshot, .. } => *snapshot = good,
            _ => {}
        }
        self
    }
}

fn mib(bytes: &u64) -> String {
    format!("{:.1} MiB", *bytes as f64 / (1024.0 * 1024.0))
}

fn good(snapshot: &Option<PathBuf>) -> String {
    match snapshot {
        Some(path) => format!("; last good snapshot: {}", path.display()),
        None => String::new(),
    }
}

/// The membership was not changed, or it is not known whether it was.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// Only the leader changes it.
    #[error("not the leader")]
    NotLeader { leader: Option<Member> },
    /// The number was used, and will not be used again.
    #[error("raft member {0} was dismissed before")]
    Departed(u64),
    /// There is no such member.
    #[error("there is no raft member {0}")]
    Unknown(u64),
    /// The member does not take the log, or not fast enough. It stays as a learner.
    #[error("raft member {raft_id} has the log up to entry {} of {last}", .matched.unwrap_or(0))]
    Behind {
        raft_id: u64,
        matched: Option<u64>,
        last: u64,
    },
    /// No other voter answers.
    #[error("no other voter can be reached")]
    NobodyElse,
    /// The member that was to lead did not take over in time.
    #[error("raft member {0} did not take the lead")]
    NotTaken(u64),
    /// It was not agreed on in time; it may still be.
    #[error("the change of membership was not agreed on in time")]
    Undecided,
    /// The consensus core would not have it.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] ProposeError),
}

/// A member as others know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub raft_id: u64,
    pub address: String,
}

/// A command did not become part of the state, or it is not known whether it did.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// It was committed and its guards did not hold: look again.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// It was not taken: this member does not lead, or not safely.
    #[error("not the leader")]
    NotLeader { leader: Option<Member> },
    /// The lead was lost meanwhile: the command may or may not be committed by the next leader.
    #[error("leadership was lost, the command may or may not take effect")]
    Unknown { leader: Option<Member> },
    /// It is larger than one entry may be.
    #[error(
        "command has {changes} changes and {bytes} bytes, limits are {MAX_CHANGES} and {MAX_BYTES}"
    )]
    TooLarge { changes: usize, bytes: usize },
    /// It was not taken: too little space is left on the disk.
    #[error(
        "disk of {} is nearly full: {} are free, {} are kept back: nothing was changed, free some space and try again",
        .folder.display(), mib(.free), mib(.reserve)
    )]
    NoSpace {
        folder: PathBuf,
        free: u64,
        reserve: u64,
    },
    /// Reading or writing the disk failed. The store opens itself again as soon as it can; whether
    /// the command took effect shows then.
    #[error(
        "disk of the swarm's state failed: {0}: reads go on, and writes as soon as the disk works again"
    )]
    Disk(String),
    /// The state of this member is not the leader's: nothing is read from it, and nothing decided on it.
    #[error("the state of this manager is not the leader's: {0}")]
    Differs(Differing),
    /// The store was shut down.
    #[error("store is closed")]
    Closed,
}
