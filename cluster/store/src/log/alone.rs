//! Making a member go on alone: its log says from its end on that there is nobody else.

use super::{Acknowledged, Loaded};
use crate::codec::{Codec, Mark, SnapshotRecord};
use crate::raft::{Entry, LogId, Membership, Payload, Vote, log_id};
use crate::raw_log::RawLog;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Adds an entry with which `raft_id` is the only member, unless it is so already; all entries before it count as
/// agreed on once it leads. Its term is one that this member has heard of nobody in: an entry of the others at the same
/// place is another entry.
pub(crate) fn go_on_alone(
    log: &mut impl RawLog,
    loaded: &mut Loaded,
    acknowledged: &Acknowledged,
    codec: &Codec,
    snapshot: Option<&SnapshotRecord>,
    (raft_id, address): (u64, &str),
) -> io::Result<()> {
    let before = loaded.membership(snapshot).map_err(io::Error::other)?;
    if before.nodes().all(|(id, _)| *id == raft_id) {
        return Ok(());
    }
    let last = loaded.last(snapshot);
    let heard = loaded.cache.vote.map_or(0, |vote| vote.leader_id.term);
    let term = heard.max(last.map_or(0, |last| last.leader_id.term)) + 1;
    let nodes = BTreeMap::from([(raft_id, address.to_owned())]);
    let alone = Membership::new(vec![BTreeSet::from([raft_id])], nodes);
    let entry = Entry {
        log_id: log_id(term, last.map_or(0, |last| last.index + 1)),
        payload: Payload::Membership(alone.map_err(io::Error::other)?),
    };
    let vote = Vote::new(term, raft_id);
    let index = entry.log_id.index;
    loaded.end.sync += 1;
    loaded.end.last = Some(index);
    let record = codec.entry(&entry).map_err(io::Error::other)?;
    log.write(&[(index, record)])?;
    for mark in [Mark::Vote(vote), Mark::End(loaded.end)] {
        let bytes = codec.mark(&mark).map_err(io::Error::other)?;
        log.meta(mark.name(), &bytes)?;
    }
    log.sync()?;
    acknowledged.note(loaded.end.sync)?;
    loaded.cache.vote = Some(vote);
    loaded.cache.entries.insert(index, entry);
    tracing::warn!(
        raft_id,
        index,
        term,
        "going on alone, all other members are dismissed"
    );
    Ok(())
}

impl Loaded {
    /// Who belonged to the agreement last, as log and snapshot say.
    fn membership(
        &self,
        snapshot: Option<&SnapshotRecord>,
    ) -> Result<Membership, crate::codec::BadRecord> {
        let of_entry = |entry: &Entry| match &entry.payload {
            Payload::Membership(membership) => Some(membership.clone()),
            Payload::Blank | Payload::Normal(_) => None,
        };
        if let Some(membership) = self.cache.entries.values().rev().find_map(of_entry) {
            return Ok(membership);
        }
        match snapshot {
            Some(snapshot) => Ok(snapshot.membership()?.membership().clone()),
            None => Ok(Membership::default()),
        }
    }

    /// The last entry there is.
    fn last(&self, snapshot: Option<&SnapshotRecord>) -> Option<LogId> {
        let entry = self.cache.entries.last_key_value();
        let entry = entry.map(|(_, entry)| entry.log_id);
        let folded = snapshot.and_then(SnapshotRecord::last);
        entry.max(self.cache.purged).max(folded)
    }
}
