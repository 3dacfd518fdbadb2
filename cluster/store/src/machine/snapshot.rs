//! Making a snapshot, away from the core's thread.

use super::Applied;
use crate::codec::SnapshotRecord;
use crate::raft::Types;
use crate::snapshot::{Snapshots, invalid};
use openraft::RaftSnapshotBuilder;
use openraft::alias::SnapshotOf;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A state that does not change any more, and where to write it.
pub(crate) struct Builder {
    applied: Applied,
    snapshots: Arc<Snapshots>,
    /// Held while it may be written.
    _token: Arc<()>,
}

impl Builder {
    pub(super) fn new(applied: Applied, snapshots: Arc<Snapshots>, token: Arc<()>) -> Self {
        Builder {
            applied,
            snapshots,
            _token: token,
        }
    }

    /// The state for another member; nothing is written here.
    pub(crate) async fn for_another(self) -> io::Result<SnapshotOf<Types, Arc<[u8]>>> {
        let meta = self.applied.meta();
        let snapshots = self.snapshots.clone();
        let snapshot = snapshots.aside(move || bytes(&self.applied)).await?;
        Ok(openraft::Snapshot { meta, snapshot })
    }

    /// Keeps the state, which is not the leader's, as evidence. Returns where.
    pub(crate) async fn keep_evidence(self) -> io::Result<PathBuf> {
        let snapshots = self.snapshots.clone();
        let index = self.applied.last.map_or(0, |last| last.index);
        let keep = move || self.snapshots.keep_evidence(index, &bytes(&self.applied)?);
        snapshots.aside(keep).await
    }
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Arc<[u8]>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Arc<[u8]>>> {
        let (applied, snapshots) = (self.applied.clone(), self.snapshots.clone());
        let write = move || write(&applied, &snapshots);
        let data = self.snapshots.aside(write).await?;
        Ok(openraft::Snapshot {
            meta: self.applied.meta(),
            snapshot: data,
        })
    }
}

fn bytes(applied: &Applied) -> io::Result<Arc<[u8]>> {
    let state = applied.state.snapshot();
    let departed = applied.departed.clone();
    let record = SnapshotRecord::new(applied.last, &applied.membership, departed, state);
    Ok(record.to_bytes().map_err(invalid)?.into())
}

fn write(applied: &Applied, snapshots: &Snapshots) -> io::Result<Arc<[u8]>> {
    let data = bytes(applied)?;
    if let Some(last) = applied.last {
        snapshots.write(last.index, &data)?;
    }
    Ok(data)
}
