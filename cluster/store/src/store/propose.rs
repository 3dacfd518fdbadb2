//! Proposing: what is checked before, and what the core's answers mean.

use crate::error::{Member, ProposeError};
use crate::folder::free_bytes;
use crate::raft::{Proposal, Raft, Types};
use openraft::ReadPolicy;
use openraft::error::{ClientWriteError, Fatal, ForwardToLeader, LinearizableReadError, RaftError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use swarmrs_core::Command;

/// What one entry may hold. A plan that is larger is made of several. The largest object that Docker
/// allows, a config of 1000 KiB, takes a third more in base64.
const MAX_CHANGES: usize = 500;
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Refuses a command that is too large for one entry.
pub(super) fn check_size(command: &Command) -> Result<(), ProposeError> {
    let mut size = Size(0);
    let counted = serde_json::to_writer(&mut size, command);
    let (changes, bytes) = (command.changes.len(), size.0);
    if counted.is_err() || changes > MAX_CHANGES || bytes > MAX_BYTES {
        return Err(ProposeError::TooLarge { changes, bytes });
    }
    Ok(())
}

/// Counts what is written to it.
struct Size(usize);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
pub(super) async fn write(raft: &Raft, command: Command) -> Result<u64, ProposeError> {
    match raft.client_write(Proposal(Arc::new(command))).await {
        Ok(written) => {
            written.data.0?;
            Ok(written.log_id.index)
        }
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
    match raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
        Ok(_) => Ok(()),
        Err(RaftError::Fatal(error)) => Err(fatal(error)),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
            Err(ProposeError::NotLeader { leader: leader(to) })
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            Err(ProposeError::NotLeader { leader: None })
        }
    }
}

fn leader(to: ForwardToLeader<Types>) -> Option<Member> {
    to.leader_id.map(|raft_id| Member {
        raft_id,
        address: to.leader_node.unwrap_or_default(),
    })
}

fn fatal(error: Fatal<Types>) -> ProposeError {
    match error {
        Fatal::StorageError(error) => ProposeError::Disk(error.to_string()),
        Fatal::Panicked => ProposeError::Disk("consensus core panicked".to_owned()),
        Fatal::Stopped => ProposeError::Closed,
    }
}
