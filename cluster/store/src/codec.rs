//! What records look like on disk: ours, versioned, sealed.
//!
//! ```text
//!   sealed ( version byte 1 | JSON )
//!
//!   log entry    {"term":2,"index":7,"body":{"command":{…}}}    also "blank", {"membership":{…}};
//!                before a command's body may stand "request":{"session":7,"number":3,"settled":2}
//!   marks        {"vote":{…}}  {"committed":{…}}  {"purged":{…}}  {"owner":{…}}  {"end":{…}}
//!   snapshot     {"last":{…},"membership":{…},"departed":[…],"state":{…}}
//! ```
//!
//! The consensus library's own serialization may change with its release; these mirrors change
//! only with their version byte. Sealing authenticates a record's bytes, not its place: a record
//! therefore says where it belongs, and whoever reads compares.

use crate::raft::{
    Entry, LogId, Membership, Payload, Proposal, SnapshotMeta, StoredMembership, Vote, log_id,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use swarmrs_core::state::Snapshot;
use swarmrs_core::{Command, Request};
use swarmrs_security::Sealer;
use zeroize::Zeroizing;

/// The version of records that this release writes. It reads nothing newer.
pub(crate) const VERSION: u8 = 1;

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRecord {
    #[error("{0}")]
    Seal(#[from] swarmrs_security::Error),
    #[error("record is empty")]
    Empty,
    #[error("record has format {0}, this release reads up to {VERSION}")]
    Newer(u8),
    #[error("record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("record of {wanted} was found to be of {found}")]
    Misplaced { wanted: String, found: String },
    #[error("{0}")]
    Membership(String),
}

/// One log entry.
#[derive(Serialize, Deserialize)]
struct EntryRecord {
    term: u64,
    index: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Request>,
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Blank,
    Command(Arc<Command>),
    /// The same, from JSON that is at hand.
    #[serde(rename = "command", skip_deserializing)]
    Written(Written),
    Membership(MembershipRecord),
}

/// JSON that is at hand.
struct Written(Arc<RawValue>);

impl Serialize for Written {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

/// Who votes (two sets while that changes), and where everyone is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MembershipRecord {
    voters: Vec<BTreeSet<u64>>,
    addresses: BTreeMap<u64, String>,
}

/// The id of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct IdRecord {
    term: u64,
    index: u64,
}

/// A single value beside the log; each says itself which it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mark {
    /// For whom this member voted last.
    Vote(Vote),
    /// Up to where entries are known to be committed.
    Committed(LogId),
    /// Up to where entries were removed because a snapshot holds them.
    Purged(LogId),
    /// Whose log this is.
    Owner(u64),
    /// Where the log ends.
    End(End),
}

/// Where a log ends as of a sync: what a damaged one may not fall short of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// Syncs are numbered, the first is 1.
    pub(crate) sync: u64,
    /// The last entry there ever was, purged or not.
    pub(crate) last: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MarkRecord {
    Vote {
        term: u64,
        candidate: u64,
        committed: bool,
    },
    Committed(IdRecord),
    Purged(IdRecord),
    Owner {
        raft_id: u64,
    },
    End(End),
}

/// A state with its place in the log.
#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotRecord {
    last: Option<IdRecord>,
    membership: MembershipRecord,
    membership_at: Option<IdRecord>,
    /// Members that were dismissed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) departed: BTreeSet<u64>,
    pub(crate) state: Snapshot,
}

/// Encodes and seals, opens and decodes.
#[derive(Clone, Debug)]
pub(crate) struct Codec(Sealer);

impl Codec {
    pub(crate) fn new(sealer: Sealer) -> Self {
        Codec(sealer)
    }

    pub(crate) fn entry(&self, entry: &Entry) -> Result<Vec<u8>, BadRecord> {
        self.seal(&Zeroizing::new(plain(&EntryRecord::from(entry))?))
    }

    /// The entry whose place is `index`.
    pub(crate) fn read_entry(&self, index: u64, bytes: &[u8]) -> Result<Entry, BadRecord> {
        let record: EntryRecord = read(&self.open(bytes)?)?;
        if record.index != index {
            return Err(BadRecord::Misplaced {
                wanted: format!("entry {index}"),
                found: format!("entry {}", record.index),
            });
        }
        record.try_into()
    }

    pub(crate) fn mark(&self, mark: &Mark) -> Result<Vec<u8>, BadRecord> {
        self.seal(&plain(&MarkRecord::from(mark))?)
    }

    /// The mark kept under `name`.
    pub(crate) fn read_mark(&self, name: &str, bytes: &[u8]) -> Result<Mark, BadRecord> {
        let record: MarkRecord = read(&self.open(bytes)?)?;
        let mark = Mark::from(record);
        if mark.name() != name {
            return Err(BadRecord::Misplaced {
                wanted: name.to_owned(),
                found: mark.name().to_owned(),
            });
        }
        Ok(mark)
    }

    pub(crate) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, BadRecord> {
        Ok(self.0.seal(plain)?)
    }

    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadRecord> {
        Ok(self.0.open(sealed)?.into())
    }
}

impl Mark {
    /// The name it is kept under.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Mark::Vote(_) => "vote",
            Mark::Committed(_) => "committed",
            Mark::Purged(_) => "purged",
            Mark::Owner(_) => "owner",
            Mark::End(_) => "end",
        }
    }
}

impl SnapshotRecord {
    /// `state`, which is what the log up to `last` makes.
    pub(crate) fn new(
        last: Option<LogId>,
        membership: &StoredMembership,
        departed: BTreeSet<u64>,
        state: Snapshot,
    ) -> Self {
        SnapshotRecord {
            last: last.map(IdRecord::from),
            membership: MembershipRecord::from(membership.membership()),
            membership_at: membership.log_id().map(IdRecord::from),
            departed,
            state,
        }
    }

    pub(crate) fn last(&self) -> Option<LogId> {
        self.last.map(LogId::from)
    }

    pub(crate) fn membership(&self) -> Result<StoredMembership, BadRecord> {
        self.membership.stored(self.membership_at)
    }

    /// The bytes, unsealed: this is also what one member hands to another.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, BadRecord> {
        plain(self)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BadRecord> {
        read(bytes)
    }
}

/// What of a snapshot says where it stands; the state is not looked at.
#[derive(Deserialize)]
pub(crate) struct SnapshotHead {
    last: Option<IdRecord>,
    membership: MembershipRecord,
    membership_at: Option<IdRecord>,
}

impl SnapshotHead {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BadRecord> {
        read(bytes)
    }

    pub(crate) fn meta(&self) -> Result<SnapshotMeta, BadRecord> {
        Ok(SnapshotMeta {
            last_log_id: self.last.map(LogId::from),
            last_membership: self.membership.stored(self.membership_at)?,
        })
    }
}

/// Version byte and JSON.
pub(crate) fn plain<T: Serialize>(record: &T) -> Result<Vec<u8>, BadRecord> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, record)?;
    Ok(bytes)
}

pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BadRecord> {
    Ok(serde_json::from_slice(after_version(bytes)?)?)
}

pub(crate) fn after_version(bytes: &[u8]) -> Result<&[u8], BadRecord> {
    match bytes.split_first() {
        None => Err(BadRecord::Empty),
        Some((&VERSION, rest)) => Ok(rest),
        Some((&version, _)) => Err(BadRecord::Newer(version)),
    }
}

impl From<LogId> for IdRecord {
    fn from(id: LogId) -> Self {
        IdRecord {
            term: id.leader_id.term,
            index: id.index,
        }
    }
}

impl From<IdRecord> for LogId {
    fn from(id: IdRecord) -> Self {
        log_id(id.term, id.index)
    }
}

impl From<&Entry> for EntryRecord {
    fn from(entry: &Entry) -> Self {
        let id = IdRecord::from(entry.log_id);
        EntryRecord {
            term: id.term,
            index: id.index,
            request: match &entry.payload {
                Payload::Normal(proposal) => proposal.request,
                Payload::Blank | Payload::Membership(_) => None,
            },
            body: match &entry.payload {
                Payload::Blank => Body::Blank,
                Payload::Normal(proposal) => match proposal.take_json() {
                    Some(json) => Body::Written(Written(json)),
                    None => Body::Command(proposal.command.clone()),
                },
                Payload::Membership(membership) => Body::Membership(membership.into()),
            },
        }
    }
}

impl TryFrom<EntryRecord> for Entry {
    type Error = BadRecord;

    fn try_from(record: EntryRecord) -> Result<Self, BadRecord> {
        Ok(Entry {
            log_id: log_id(record.term, record.index),
            payload: match record.body {
                Body::Blank => Payload::Blank,
                Body::Command(command) => Payload::Normal(Proposal::read(command, record.request)),
                Body::Written(Written(json)) => {
                    let command = serde_json::from_str(json.get())?;
                    Payload::Normal(Proposal::read(command, record.request))
                }
                Body::Membership(membership) => Payload::Membership((&membership).try_into()?),
            },
        })
    }
}

impl MembershipRecord {
    fn stored(&self, at: Option<IdRecord>) -> Result<StoredMembership, BadRecord> {
        let membership = Membership::try_from(self)?;
        Ok(StoredMembership::new(at.map(LogId::from), membership))
    }
}

impl From<&Membership> for MembershipRecord {
    fn from(membership: &Membership) -> Self {
        let address = |(id, address): (&u64, &String)| (*id, address.clone());
        MembershipRecord {
            voters: membership.get_joint_config().clone(),
            addresses: membership.nodes().map(address).collect(),
        }
    }
}

impl TryFrom<&MembershipRecord> for Membership {
    type Error = BadRecord;

    fn try_from(record: &MembershipRecord) -> Result<Self, BadRecord> {
        // A member that was never initialized has no voters, which the checked constructor refuses.
        if record.voters.is_empty() && record.addresses.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(record.voters.clone(), record.addresses.clone())
            .map_err(|error| BadRecord::Membership(error.to_string()))
    }
}

impl From<&Mark> for MarkRecord {
    fn from(mark: &Mark) -> Self {
        match mark {
            Mark::Vote(vote) => MarkRecord::Vote {
                term: vote.leader_id.term,
                candidate: vote.leader_id.voted_for,
                committed: vote.committed,
            },
            Mark::Committed(id) => MarkRecord::Committed((*id).into()),
            Mark::Purged(id) => MarkRecord::Purged((*id).into()),
            Mark::Owner(raft_id) => MarkRecord::Owner { raft_id: *raft_id },
            Mark::End(end) => MarkRecord::End(*end),
        }
    }
}

impl From<MarkRecord> for Mark {
    fn from(record: MarkRecord) -> Self {
        match record {
            MarkRecord::Vote {
                term,
                candidate,
                committed: true,
            } => Mark::Vote(Vote::new_committed(term, candidate)),
            MarkRecord::Vote {
                term, candidate, ..
            } => Mark::Vote(Vote::new(term, candidate)),
            MarkRecord::Committed(id) => Mark::Committed(id.into()),
            MarkRecord::Purged(id) => Mark::Purged(id.into()),
            MarkRecord::Owner { raft_id } => Mark::Owner(raft_id),
            MarkRecord::End(end) => Mark::End(end),
        }
    }
}

#[cfg(test)]
mod tests;
