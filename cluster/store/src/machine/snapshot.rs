//! Making a snapshot, away from the core's thread.

use super::Applied;
use crate::codec::SnapshotRecord;
use crate::raft::Types;
use crate::snapshot::{Snapshots, invalid};
use openraft::RaftSnapshotBuilder;
use openraft::alias::SnapshotOf;
use std::io;
use std::sync::Arc;

/// A state that does not change any more, and where to write it.
pub(crate) struct Builder {
    applied: Applied,
    snapshots: Arc<Snapshots>,
}

impl Builder {
    pub(super) fn new(applied: Applied, snapshots: Arc<Snapshots>) -> Self {
        Builder { applied, snapshots }
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

fn write(applied: &Applied, snapshots: &Snapshots) -> io::Result<Arc<[u8]>> {
    let state = applied.state.snapshot();
    let departed = applied.departed.clone();
    let record = SnapshotRecord::new(applied.last, &applied.membership, departed, state);
    let data: Arc<[u8]> = record.to_bytes().map_err(invalid)?.into();
    if let Some(last) = applied.last {
        snapshots.write(last.index, &data)?;
    }
    Ok(data)
}
