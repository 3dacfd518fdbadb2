//! Proposing: what is checked before, and what the core's answers mean.

use crate::error::{Member, ProposeError};
use crate::folder::free_bytes;
use crate::raft::{Proposal, Raft, Types};
use openraft::ReadPolicy;
use openraft::error::{ClientWriteError, Fatal, ForwardToLeader, LinearizableReadError, RaftError};
use serde_json::value::RawValue;
use std::path::Path;
use swarmrs_core::Command;

/// What one entry may hold. A plan that is larger is made of several. The largest object that Docker
/// allows, a config of 1000 KiB, takes a third more in base64.
pub(crate) const MAX_CHANGES: usize = 500;
pub(crate) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The command's JSON, as it goes into the log. Refuses one that is too large for one entry.
pub(super) fn json(command: &Command) -> Result<Box<RawValue>, ProposeError> {
    let json = serde_json::value::to_raw_value(command).ok();
    let changes = command.changes.len();
    let bytes = json.as_ref().map_or(0, |json| json.get().len());
    match json {
        Some(json) if changes <= MAX_CHANGES && bytes <= MAX_BYTES => Ok(json),
        _ => Err(ProposeError::TooLarge { changes, bytes }),
    }
}

/// Refuses while the disk is nearly full: a write that fails half way would end the core.
pub(super) fn check_space(folder: &Path, reserve: u64) -> Result<(), ProposeError> {
    let free = free_bytes(folder).map_err(|error| ProposeError::Disk(error.to_string()))?;
    if free < reserve {
        return Err(ProposeError::NoSpace {
            folder: folder.to_owned(),
            free,
            reserve,
        });
    }
    Ok(())
}

/// Puts the command through the log.
pub(super) async fn write(raft: &Raft, proposal: Proposal) -> Result<u64, ProposeError> {
    match raft.client_write(proposal).await {
        Ok(written) => Ok(written.data.0?),
        Err(RaftError::Fatal(error)) => Err(fatal(error)),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
            Err(ProposeError::NotLeader { leader: leader(to) })
        }
        Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(to))) => {
            Err(ProposeError::Unknown { leader: leader(to) })
        }
        Err(RaftError::APIError(error)) => Err(ProposeError::Disk(error.to_string())),
    }
}

/// Returns when this member is known to lead and has applied all that was committed before.
pub(super) async fn confirm(raft: &Raft) -> Result<(), ProposeError> {
    let confirmed = raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
    confirmed.map(|_| ()).map_err(unconfirmed)
}

/// How far whoever asks must have applied the log, once this member is known to lead.
pub(super) async fn agreed(raft: &Raft) -> Result<u64, ProposeError> {
    let confirmed = raft.get_read_log_id(ReadPolicy::ReadIndex).await;
    confirmed.map(|(at, _)| at.index()).map_err(unconfirmed)
}

fn unconfirmed(error: RaftError<Types, LinearizableReadError<Types>>) -> ProposeError {
    match error {
        RaftError::Fatal(error) => fatal(error),
        RaftError::APIError(LinearizableReadError::ForwardToLeader(to)) => {
            ProposeError::NotLeader { leader: leader(to) }
        }
        RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => {
            ProposeError::NotLeader { leader: None }
        }
    }
}

pub(super) fn leader(to: ForwardToLeader<Types>) -> Option<Member> {
    to.leader_id.map(|raft_id| Member {
        raft_id,
        address: to.leader_node.unwrap_or_default(),
    })
}

pub(super) fn fatal(error: Fatal<Types>) -> ProposeError {
    match error {
        Fatal::StorageError(error) => ProposeError::Disk(error.to_string()),
        Fatal::Panicked => ProposeError::Disk("consensus core panicked".to_owned()),
        Fatal::Stopped => ProposeError::Closed,
    }
}
