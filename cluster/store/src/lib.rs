//! What is agreed: the replicated log of commands, and the state it makes.
//!
//! ```text
//!   propose ──▶ raft core ──▶ log ──▶ disk writer ──▶ RawLog (redb or sled)
//!                   │          │          one sync for all that waits
//!                committed     └─ in memory, for readers
//!                   ▼
//!                machine ──apply──▶ State ──▶ view    free, never waits
//!                   │                  └────▶ watch   the view, then every batch after it
//!                   └──snapshot──▶ snapshots/snapshot-<index>
//! ```
//!
//! [`Store`] is one member: it opens or creates its folder, takes part in the agreement and shows
//! the result. Whoever proposes gets an answer once the command is on disk, committed and applied
//! here; a reader takes the newest state as a value.
//!
//! Other members are spoken to by [`Transport`], and heard by [`Store::hear`]:
//!
//! ```text
//!   raft core ──▶ raft_network ──wire──▶ Transport ─ ─ ─▶ Store::hear ──▶ its raft core
//!   propose, read_index ──(not the leader)──▶ Transport ─ ─ ─▶ Store::hear ──▶ its log
//! ```
//!
//! A command may be proposed at any member; it goes to the leader, again and again while leaders come and go, and takes
//! effect once. A member is let in as a learner, votes once it has the log, and is dismissed for ever.
//!
//! Raft's core runs on a thread of its own, and so does the writer of its log: neither ever waits
//! for a reader, a snapshot, or JSON. Everything on disk is sealed with the member's data key, says
//! which version of its format it has, and is checked when it is read; what cannot be read is
//! refused by name and never started over.
//!
//! The folder:
//!
//! ```text
//!   lock                   held while a process has the folder open
//!   format                 version byte and the log engine that wrote the folder
//!   log.redb or log.sled   the log, the vote and the marks
//!   log.redb-journal       what log.redb has not taken over yet
//!   acknowledged           up to which sync of the log anybody was answered
//!   snapshots/snapshot-N   the state up to entry N
//!   snapshots/differing-N  the same of a state that was not the leader's: evidence, read by nobody here
//! ```

mod codec;
mod config;
mod current;
mod error;
mod figures;
mod folder;
mod leadership;
mod log;
mod machine;
mod pulse;
mod question;
mod raft;
mod raft_network;
mod raft_thread;
mod raw_log;
mod reception;
mod requests;
mod roster;
mod snapshot;
mod start_over;
mod store;
mod sums;
mod threads;
mod transport;
mod watch;
mod wire;

pub use config::{Config, DEFAULT_RESERVE, LogEngine, SnapshotPolicy, Timing};
pub use error::{Error, Member, MembershipError, ProposeError};
pub use figures::{Figures, Measures};
pub use leadership::Leadership;
pub use raw_log::panic_is_contained;
pub use store::{Lag, MemberView, Store};
pub use sums::Differing;
pub use threads::{DiskTime, Threads};
pub use transport::{Ask, Nobody, Transport, TransportError};
pub use watch::{Batch, Bell, Interest, Watch};
