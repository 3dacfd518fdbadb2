//! The types the consensus core is made for: terms with one leader each, members by number, nodes
//! by address.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::{Arc, Mutex};
use swarmrs_core::{Command, Rejected, Request};

/// A command on its way through the log; shared by all that hold it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) command: Arc<Command>,
    /// By which it is known if it comes again.
    pub(crate) request: Option<Request>,
    #[serde(skip)]
    json: Arc<Json>,
}

/// A command's JSON, as long as somebody is to write or send it.
#[derive(Default)]
struct Json {
    text: Mutex<Option<Arc<RawValue>>>,
    /// Whether it stays when it was written down.
    is_kept: bool,
}

impl Proposal {
    /// A command that was written down before.
    pub(crate) fn read(command: Arc<Command>, request: Option<Request>) -> Self {
        Proposal {
            command,
            request,
            json: Arc::default(),
        }
    }

    /// A command whose JSON is at hand: whoever writes it down needs not make it again.
    pub(crate) fn new(command: Command, request: Option<Request>, json: Box<RawValue>) -> Self {
        Proposal::with_json(command, request, json, false)
    }

    /// The same for one that will be sent to others: its JSON stays as long as it is in memory itself, which is
    /// bounded by how often snapshots are made.
    pub(crate) fn shared(command: Command, request: Option<Request>, json: Box<RawValue>) -> Self {
        Proposal::with_json(command, request, json, true)
    }

    fn with_json(
        command: Command,
        request: Option<Request>,
        json: Box<RawValue>,
        is_kept: bool,
    ) -> Self {
        Proposal {
            command: Arc::new(command),
            request,
            json: Arc::new(Json {
                text: Mutex::new(Some(json.into())),
                is_kept,
            }),
        }
    }

    /// The JSON, for whoever writes it down. Where nobody else needs it, that is once: it is as large as the
    /// command, and the log is kept in memory.
    pub(crate) fn take_json(&self) -> Option<Arc<RawValue>> {
        let mut text = self.json.text.lock().expect("no holder panics");
        match self.json.is_kept {
            true => text.clone(),
            false => text.take(),
        }
    }

    /// The JSON, made if need be: once for all who are sent it.
    pub(crate) fn share_json(&self) -> Result<Arc<RawValue>, serde_json::Error> {
        let mut text = self.json.text.lock().expect("no holder panics");
        if let Some(text) = &*text {
            return Ok(text.clone());
        }
        let made: Arc<RawValue> = serde_json::value::to_raw_value(&self.command)?.into();
        *text = Some(made.clone());
        Ok(made)
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

/// How applying an entry ended: the version that a command got, now or when it came first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome(pub Result<u64, Rejected>);

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
