//! The types the consensus core is made for: terms with one leader each, members by number, nodes
//! by address.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::{Arc, Mutex};
use swarmrs_core::{Command, Rejected};

/// A command on its way through the log; shared by all that hold it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) command: Arc<Command>,
    /// Its JSON, until it is written down.
    #[serde(skip)]
    json: Arc<Mutex<Option<Box<RawValue>>>>,
}

impl Proposal {
    /// A command that was written down before.
    pub(crate) fn read(command: Arc<Command>) -> Self {
        Proposal {
            command,
            json: Arc::default(),
        }
    }

    /// A command whose JSON is at hand: whoever writes it down needs not make it again.
    pub(crate) fn new(command: Command, json: Box<RawValue>) -> Self {
        Proposal {
            command: Arc::new(command),
            json: Arc::new(Mutex::new(Some(json))),
        }
    }

    /// The JSON, once: it is as large as the command, and the log is kept in memory.
    pub(crate) fn take_json(&self) -> Option<Box<RawValue>> {
        self.json.lock().expect("no holder panics").take()
    }
}

impl fmt::Debug for Proposal {
    /// The command shows no secret; its JSON would.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proposal").field(&self.command).finish()
    }
}

impl fmt::Display for Proposal {
    /// Only the size: a command may carry what must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes", self.command.changes.len())
    }
}

/// How applying an entry ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome(pub Result<(), Rejected>);

openraft::declare_raft_types!(
    /// What openraft is to work with.
    pub(crate) Types:
        D = Proposal,
        R = Outcome,
        NodeId = u64,
        Node = String,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = openraft::TokioRuntime,
);

/// A term that had a leader.
type Term = openraft::vote::leader_id_std::CommittedLeaderId<u64>;

pub(crate) type Entry = openraft::Entry<Term, Payload>;
pub(crate) type LogId = openraft::LogId<Term>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type Payload = openraft::EntryPayload<Proposal, u64, String>;
pub(crate) type Membership = openraft::Membership<u64, String>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub(crate) type Raft = openraft::Raft<Types, crate::machine::Machine>;

/// The id of the entry at `index` proposed in `term`.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId {
        leader_id: Term::new(term),
        index,
    }
}
