//! How a member of the store is set up.

use std::path::PathBuf;
use std::time::Duration;
use swarmrs_security::Sealer;

/// What a [`crate::Store`] needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept; made if absent, readable by the owner only.
    pub folder: PathBuf,
    /// This member's number among the voters. A folder belongs to one number for ever.
    pub raft_id: u64,
    /// Where other members reach this one; it goes into the membership.
    pub address: String,
    /// Seals all that is written.
    pub sealer: Sealer,
    pub timing: Timing,
    pub snapshot: SnapshotPolicy,
    /// Free bytes on the folder's file system below which nothing is proposed.
    pub reserve: u64,
}

impl Config {
    /// The member `raft_id` in `folder`, the rest as usual.
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
            sealer,
            timing: Timing::default(),
            snapshot: SnapshotPolicy::default(),
            // Room for a snapshot, a log between two snapshots, and the engine's own growth.
            reserve: 64 * 1024 * 1024,
        }
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
