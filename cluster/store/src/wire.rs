//! What members say to each other: ours, versioned.
//!
//! ```text
//!   question, answer     version byte 1 | JSON
//!   part of a snapshot   version byte 1 | length of the JSON, 4 bytes big endian | JSON | bytes
//! ```
//!
//! Each question says whom it is for, and whoever hears it compares: an address may have come to belong to
//! another member. A command goes over the wire as the JSON that was made of it by whoever proposed it and,
//! with the leader's time in it, by the leader; the others write down what the leader made.

pub(crate) use crate::codec::read as decode;
use crate::codec::{BadRecord, MembershipRecord, VERSION, after_version, plain};
use crate::error::{Member, ProposeError};
use crate::raft::{Entry, LogId, Payload, Proposal, Vote, log_id};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::path::PathBuf;
use swarmrs_core::{Rejected, Request};

/// For whom somebody votes; committed: he leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VoteWire {
    pub(crate) term: u64,
    pub(crate) candidate: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) committed: bool,
}

/// The place of an entry: term and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct At(u64, u64);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AppendQuestion<'a> {
    pub(crate) to: u64,
    pub(crate) vote: VoteWire,
    /// The entry before these.
    pub(crate) after: Option<At>,
    pub(crate) committed: Option<At>,
    /// An entry that the leader has applied, and what its state comes to after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<(u64, u64)>,
    #[serde(borrow)]
    pub(crate) entries: Vec<EntryWire<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EntryWire<'a> {
    at: At,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Request>,
    #[serde(borrow)]
    body: BodyWire<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyWire<'a> {
    Blank,
    #[serde(borrow)]
    Command(&'a RawValue),
    Membership(MembershipRecord),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AppendAnswer {
    Taken,
    /// The entry before these is not here.
    Conflict,
    HigherVote(VoteWire),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VoteQuestion {
    pub(crate) to: u64,
    pub(crate) kind: VoteKind,
    pub(crate) vote: VoteWire,
    pub(crate) last: Option<At>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VoteKind {
    /// Would you?
    Pre,
    Plain,
    /// The leader wants it so.
    Transfer,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VoteAnswer {
    pub(crate) vote: VoteWire,
    pub(crate) is_granted: bool,
    pub(crate) last: Option<At>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SnapshotQuestion {
    pub(crate) to: u64,
    pub(crate) vote: VoteWire,
    /// Which snapshot: the last entry in it, and its size.
    pub(crate) last: Option<At>,
    pub(crate) size: u64,
    /// Where in it these bytes stand.
    pub(crate) offset: u64,
    /// It was asked for by a member whose state is not the leader's, to start over from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) begins_anew: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SnapshotAnswer {
    /// Go on from here: where it ends, once there is nothing left but to wait.
    Wanted { offset: u64 },
    /// It is taken up, or refused because of this vote.
    Done { vote: VoteWire },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TransferQuestion {
    pub(crate) to: u64,
    pub(crate) vote: VoteWire,
    /// Who is to lead.
    pub(crate) next: u64,
    pub(crate) last: Option<At>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TransferAnswer {
    Taken,
    VoteChanged { vote: VoteWire },
    Behind { last: Option<At> },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProposeQuestion<'a> {
    pub(crate) to: u64,
    pub(crate) request: Request,
    #[serde(borrow)]
    pub(crate) command: &'a RawValue,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReadQuestion {
    pub(crate) to: u64,
    /// The state of whoever asks is not the leader's: he is to be sent that. A release before this hears nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) wants_state: bool,
}

impl ReadQuestion {
    /// How far member `to` is, if it leads.
    pub(crate) fn of(to: u64) -> Self {
        ReadQuestion {
            to,
            wants_state: false,
        }
    }
}

/// What the leader says: how far whoever asked must have applied the log, or why not.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeaderAnswer {
    Index(u64),
    Rejected(Rejected),
    NotLeader {
        leader: Option<(u64, String)>,
    },
    Unknown,
    TooLarge {
        changes: usize,
        bytes: usize,
    },
    NoSpace {
        folder: PathBuf,
        free: u64,
        reserve: u64,
    },
    Disk(String),
    Closed,
}

/// An answer, or why there is none.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer<T> {
    Answer(T),
    Refused(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// Whoever asks does not belong to the agreement any more.
    #[error("dismissed from the agreement")]
    Dismissed,
    #[error("the question was for another: this is member {here}")]
    Misdirected { here: u64 },
    #[error("member {from} speaks for member {claimed}")]
    Impostor { from: u64, claimed: u64 },
    #[error("not ready: {0}")]
    Unready(String),
    #[error("cannot read the question: {0}")]
    Unreadable(String),
}

pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Bytes, BadRecord> {
    Ok(plain(message)?.into())
}

/// A part of a snapshot.
pub(crate) fn encode_part(question: &SnapshotQuestion, part: &[u8]) -> Result<Bytes, BadRecord> {
    let json = serde_json::to_vec(question)?;
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
    Ok([&[VERSION], &length.to_be_bytes()[..], &json, part]
        .concat()
        .into())
}

pub(crate) fn decode_part(bytes: &[u8]) -> Result<(SnapshotQuestion, &[u8]), BadRecord> {
    let rest = after_version(bytes)?;
    let (length, rest) = rest.split_first_chunk().ok_or(BadRecord::Empty)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (json, part) = rest.split_at_checked(length).ok_or(BadRecord::Empty)?;
    Ok((serde_json::from_slice(json)?, part))
}

impl<'a> EntryWire<'a> {
    /// The entry; `json` is its command's, if it has one.
    pub(crate) fn new(entry: &Entry, json: Option<&'a RawValue>) -> Self {
        let (request, body) = match (&entry.payload, json) {
            (Payload::Membership(membership), _) => (None, BodyWire::Membership(membership.into())),
            (Payload::Normal(proposal), Some(json)) => (proposal.request, BodyWire::Command(json)),
            (Payload::Normal(_) | Payload::Blank, _) => (None, BodyWire::Blank),
        };
        EntryWire {
            at: entry.log_id.into(),
            request,
            body,
        }
    }

    pub(crate) fn into_entry(self) -> Result<Entry, BadRecord> {
        let payload = match self.body {
            BodyWire::Blank => Payload::Blank,
            BodyWire::Command(json) => {
                let command = serde_json::from_str(json.get())?;
                Payload::Normal(Proposal::new(command, self.request, json.to_owned()))
            }
            BodyWire::Membership(membership) => Payload::Membership((&membership).try_into()?),
        };
        Ok(Entry {
            log_id: self.at.into(),
            payload,
        })
    }
}

impl From<LogId> for At {
    fn from(id: LogId) -> Self {
        At(id.leader_id.term, id.index)
    }
}

impl From<At> for LogId {
    fn from(At(term, index): At) -> Self {
        log_id(term, index)
    }
}

impl From<Vote> for VoteWire {
    fn from(vote: Vote) -> Self {
        VoteWire {
            term: vote.leader_id.term,
            candidate: vote.leader_id.voted_for,
            committed: vote.committed,
        }
    }
}

impl From<VoteWire> for Vote {
    fn from(vote: VoteWire) -> Self {
        match vote.committed {
            true => Vote::new_committed(vote.term, vote.candidate),
            false => Vote::new(vote.term, vote.candidate),
        }
    }
}

impl From<Result<u64, ProposeError>> for LeaderAnswer {
    fn from(result: Result<u64, ProposeError>) -> Self {
        let error = match result {
            Ok(index) => return LeaderAnswer::Index(index),
            Err(error) => error,
        };
        match error {
            ProposeError::Rejected(rejected) => LeaderAnswer::Rejected(rejected),
            ProposeError::NotLeader { leader } => LeaderAnswer::NotLeader {
                leader: leader.map(|member| (member.raft_id, member.address)),
            },
            // Whoever asks is to ask again: another will lead.
            ProposeError::Differs(_) => LeaderAnswer::NotLeader { leader: None },
            ProposeError::Unknown { .. } => LeaderAnswer::Unknown,
            ProposeError::TooLarge { changes, bytes } => LeaderAnswer::TooLarge { changes, bytes },
            ProposeError::NoSpace {
                folder,
                free,
                reserve,
            } => LeaderAnswer::NoSpace {
                folder,
                free,
                reserve,
            },
            ProposeError::Disk(text) => LeaderAnswer::Disk(text),
            ProposeError::Closed => LeaderAnswer::Closed,
        }
    }
}

impl From<LeaderAnswer> for Result<u64, ProposeError> {
    fn from(answer: LeaderAnswer) -> Self {
        Err(match answer {
            LeaderAnswer::Index(index) => return Ok(index),
            LeaderAnswer::Rejected(rejected) => ProposeError::Rejected(rejected),
            LeaderAnswer::NotLeader { leader } => ProposeError::NotLeader {
                leader: leader.map(|(raft_id, address)| Member { raft_id, address }),
            },
            // It ends while it is asked; another will lead.
            LeaderAnswer::Unknown | LeaderAnswer::Closed => ProposeError::Unknown { leader: None },
            LeaderAnswer::TooLarge { changes, bytes } => ProposeError::TooLarge { changes, bytes },
            LeaderAnswer::NoSpace {
                folder,
                free,
                reserve,
            } => ProposeError::NoSpace {
                folder,
                free,
                reserve,
            },
            LeaderAnswer::Disk(text) => ProposeError::Disk(text),
        })
    }
}

#[cfg(test)]
mod tests;
