//! The leader's state in the place of one that is not the same.

use super::{Applied, Machine};
use crate::codec::SnapshotRecord;
use crate::log::LogReader;
use crate::raft::LogId;
use crate::snapshot::invalid;
use openraft::RaftLogReader;
use std::io;
use std::sync::Arc;

impl Machine {
    /// Puts `data`, a snapshot of the leader's, in the place of the state, in memory and on disk, and applies again what
    /// `log` has behind it. False: it cannot be this one, and nothing was changed.
    ///
    /// A crash leaves the snapshot before or this one, and behind either the log.
    pub(crate) async fn start_over(
        &mut self,
        data: Arc<[u8]>,
        log: &mut LogReader,
    ) -> io::Result<bool> {
        // A snapshot in the making is of the state that is wrong, and would take the place of this one.
        if Arc::strong_count(&self.token) > 1 {
            return Ok(false);
        }
        let bytes = data.clone();
        let read = move || restore(&bytes);
        let (mut applied, last) = self.snapshots.aside(read).await?;
        // What is not agreed on as far as that here may still be taken back.
        let Some(here) = self.applied.last.filter(|here| *here >= last) else {
            return Ok(false);
        };
        let mut sums = vec![(last.index, applied.sum)];
        let behind = last.index + 1..here.index + 1;
        for entry in log.try_get_log_entries(behind).await? {
            applied.apply(&entry, &mut Vec::new());
            sums.push((entry.log_id.index, applied.sum));
        }
        if applied.last != Some(here) {
            return Ok(false);
        }
        let snapshots = self.snapshots.clone();
        let keep = move || snapshots.replace(last.index, &data);
        let is_kept = self.snapshots.aside(keep).await?;
        if is_kept {
            self.replace(applied, sums);
        }
        Ok(is_kept)
    }
}

/// The state in a snapshot, and its last entry.
fn restore(bytes: &[u8]) -> io::Result<(Applied, LogId)> {
    let record = SnapshotRecord::from_bytes(bytes).map_err(invalid)?;
    let applied = Applied::restore(&record).map_err(io::Error::other)?;
    let last = applied.last;
    let last = last.ok_or_else(|| io::Error::other("the snapshot is of no entry"))?;
    Ok((applied, last))
}
