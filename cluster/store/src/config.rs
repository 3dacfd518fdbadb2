//! How a member of the store is set up.

use crate::threads::Threads;
use crate::transport::{Nobody, Transport};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_security::Sealer;

/// Free bytes below which nothing is proposed: room for a snapshot, a log between two snapshots, and
/// the engine's own growth.
pub const DEFAULT_RESERVE: u64 = 64 * 1024 * 1024;

/// What a [`crate::Store`] needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept; made if absent, readable by the owner only.
    pub folder: PathBuf,
    /// This member's number among the voters. A folder belongs to one number for ever.
    pub raft_id: u64,
    /// Where other members reach this one; it goes into the membership.
    pub address: String,
    /// What the log is kept with. A folder belongs to one engine for ever.
    pub engine: LogEngine,
    /// Seals all that is written.
    pub sealer: Sealer,
    /// Whether the member belonged to a cluster before. If so, a folder without its log is refused
    /// and never filled anew: whoever trusts this member would see it forget.
    pub was_initialized: bool,
    /// Goes on alone with what this member has: all others are dismissed, whether they live or not. Only for a
    /// member whose others are lost; they must not be let in again as they are.
    pub goes_on_alone: bool,
    /// The way to other members.
    pub transport: Arc<dyn Transport>,
    pub timing: Timing,
    pub snapshot: SnapshotPolicy,
    /// Free bytes on the folder's file system below which nothing is proposed.
    pub reserve: u64,
    pub threads: Threads,
}

impl Config {
    /// The member `raft_id` in `folder`, the rest as usual for one that has no others.
    pub fn new(
        folder: impl Into<PathBuf>,
        raft_id: u64,
        address: impl Into<String>,
        sealer: Sealer,
    ) -> Self {
        Config {
            folder: folder.into(),
            raft_id,
            address: address.into(),
            engine: LogEngine::default(),
            sealer,
            was_initialized: false,
            goes_on_alone: false,
            transport: Arc::new(Nobody),
            timing: Timing::default(),
            snapshot: SnapshotPolicy::default(),
            reserve: DEFAULT_RESERVE,
            threads: Threads::default(),
        }
    }
}

/// What a log is kept with on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogEngine {
    /// One file; the faster of the two.
    #[default]
    Redb,
    /// A folder, synced by us.
    Sled,
}

impl LogEngine {
    /// The name, as the format file and the command line have it.
    pub fn name(self) -> &'static str {
        match self {
            LogEngine::Redb => "redb",
            LogEngine::Sled => "sled",
        }
    }
}

impl fmt::Display for LogEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LogEngine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let engines = [LogEngine::Redb, LogEngine::Sled];
        let known = engines.into_iter().find(|engine| engine.name() == name);
        known.ok_or_else(|| format!("{name:?} is no log engine: expected redb or sled"))
    }
}

/// How soon silence is noticed.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A leader gives a sign of life this often. A lone voter needs none and gives none.
    pub heartbeat: Duration,
    /// After so long without one, plus up to `election_spread`, a follower stands for election.
    pub election: Duration,
    pub election_spread: Duration,
}

impl Default for Timing {
    /// Failover within a second, measured; shorter ones flap on a busy disk.
    fn default() -> Self {
        Timing {
            heartbeat: Duration::from_millis(100),
            election: Duration::from_millis(300),
            election_spread: Duration::from_millis(200),
        }
    }
}

impl Timing {
    /// Without a word for so long a leader does not count as one: the others may have elected another.
    pub(crate) fn lease(&self) -> Duration {
        self.election + self.election_spread
    }

    /// Whoever is silent for so long does not count as there. One lease without a word may be a slow disk.
    pub(crate) fn patience(&self) -> Duration {
        2 * self.lease()
    }
}

/// When the log is folded into a snapshot: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPolicy {
    /// Entries since the last one.
    pub entries: u64,
    /// Bytes written to the log since the last one.
    pub bytes: u64,
    /// Entries kept in the log behind a snapshot, for members that are a little late.
    pub keep: u64,
}

impl Default for SnapshotPolicy {
    /// Bounds both the replay at start and the memory of the readable log.
    fn default() -> Self {
        SnapshotPolicy {
            entries: 10_000,
            bytes: 4 * 1024 * 1024,
            keep: 500,
        }
    }
}
