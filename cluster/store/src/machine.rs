//! The state machine: committed entries in, states and events out.

mod difference;
mod snapshot;
mod start_over;

use crate::codec::{BadRecord, SnapshotHead, SnapshotRecord};
use crate::folder::FormatMark;
use crate::log::Growth;
use crate::raft::{Entry, LogId, Outcome, Payload, SnapshotMeta, StoredMembership, Types};
use crate::roster::Roster;
use crate::snapshot::{Snapshots, invalid};
use crate::sums::{Sum, Sums};
use crate::watch::Feed;
use difference::difference;
use futures_util::{Stream, TryStreamExt};
use openraft::alias::SnapshotOf;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use snapshot::Builder;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use swarmrs_core::{Event, State};

/// The agreed state of this member, and what comes of changing it.
pub(crate) struct Machine {
    applied: Applied,
    feed: Arc<Feed>,
    /// Whether `feed` shows more than is applied here yet: a core before this one went further.
    catching_up: bool,
    snapshots: Arc<Snapshots>,
    growth: Arc<Growth>,
    roster: Arc<Roster>,
    sums: Arc<Sums>,
    format: FormatMark,
    /// Shared with every snapshot that may still be written.
    token: Arc<()>,
}

/// What the log up to one entry makes.
#[derive(Clone, Default)]
struct Applied {
    state: State,
    last: Option<LogId>,
    membership: StoredMembership,
    /// Members that were dismissed.
    departed: BTreeSet<u64>,
    /// Of the state.
    sum: Sum,
}

/// A snapshot that cannot be taken up.
#[derive(Debug, thiserror::Error)]
enum BadSnapshot {
    #[error(transparent)]
    Record(#[from] BadRecord),
    #[error(transparent)]
    State(#[from] swarmrs_core::state::SnapshotError),
}

impl Machine {
    /// The machine as `snapshot` left it, or a new one; its states go to `feed`.
    pub(crate) fn new(
        snapshot: Option<&SnapshotRecord>,
        feed: Arc<Feed>,
        snapshots: Arc<Snapshots>,
        growth: Arc<Growth>,
        roster: Arc<Roster>,
        sums: Arc<Sums>,
        format: FormatMark,
    ) -> Result<Self, String> {
        let applied = match snapshot {
            Some(record) => Applied::restore(record).map_err(|error| error.to_string())?,
            None => Applied::default(),
        };
        let mut machine = Machine {
            applied,
            feed,
            catching_up: true,
            snapshots,
            growth,
            roster,
            sums,
            format,
            token: Arc::default(),
        };
        machine.note_sum();
        machine.show(Vec::new(), || {});
        Ok(machine)
    }

    fn note_sum(&self) {
        if let Some(last) = self.applied.last {
            self.sums.note(last.index, self.applied.sum);
        }
    }

    /// Shows the state, which `events` led to, and gives the answers that wait for it. One that is not the leader's is
    /// shown to nobody.
    fn show(&mut self, events: Vec<Event>, answer: impl FnOnce()) {
        self.heed();
        match self.sums.differ() {
            true => answer(),
            false => self.publish(events, answer),
        }
    }

    /// Nobody is shown an older state than before: until the log has been applied as far as it once was, nothing is
    /// shown, and then all at once.
    fn publish(&mut self, events: Vec<Event>, answer: impl FnOnce()) {
        if !self.catching_up {
            return self.feed.publish(&self.applied.state, events, answer);
        }
        let shown = self.feed.view();
        if self.applied.state.applied() < shown.applied() {
            return answer();
        }
        self.catching_up = false;
        let events = difference(&shown, &self.applied.state);
        self.feed.publish(&self.applied.state, events, answer);
    }
}

impl Machine {
    /// The state as it is now.
    pub(crate) fn builder(&self) -> Builder {
        let (applied, snapshots) = (self.applied.clone(), self.snapshots.clone());
        Builder::new(applied, snapshots, self.token.clone())
    }

    /// Puts another state in the place of the one there was. Watchers are told what the difference is, as if it had
    /// happened at once.
    fn replace(&mut self, applied: Applied, sums: Vec<(u64, Sum)>) {
        self.applied = applied;
        self.catching_up = true;
        self.heed();
        self.publish(Vec::new(), || {});
        self.sums.begin_anew(sums);
    }

    fn heed(&mut self) {
        self.heed_settings();
        self.roster.set_departed(&self.applied.departed);
    }

    /// What the swarm says of snapshots, and of the level of what follows, holds from the entry on that says it.
    fn heed_settings(&mut self) {
        let Some(cluster) = self.applied.state.cluster() else {
            return;
        };
        match self.format.raise(cluster.level) {
            Ok(true) => tracing::info!(level = cluster.level, "feature level of the log"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the log's feature level is not written down"),
        }
        let raft = &cluster.spec.raft;
        if raft.snapshot_interval > 0 {
            self.growth.snapshot_after(raft.snapshot_interval);
        }
        self.snapshots
            .keep_older(raft.keep_old_snapshots.unwrap_or_default());
    }
}

impl Applied {
    fn restore(record: &SnapshotRecord) -> Result<Self, BadSnapshot> {
        let state = State::restore(&record.state)?;
        let mut sum = Sum::default();
        let made = difference(&State::default(), &state);
        made.iter().for_each(|event| sum.note(event));
        Ok(Applied {
            state,
            sum,
            last: record.last(),
            membership: record.membership()?,
            departed: record.departed.clone(),
        })
    }

    /// Applies one entry; what happened is added to `events`.
    fn apply(&mut self, entry: &Entry, events: &mut Vec<Event>) -> Outcome {
        let index = entry.log_id.index;
        self.last = Some(entry.log_id);
        match &entry.payload {
            Payload::Normal(proposal) => {
                let (request, command) = (proposal.request, &proposal.command);
                let applied = self.state.apply_once(index, request, command);
                return Outcome(applied.map(|applied| {
                    applied.events.iter().for_each(|event| self.sum.note(event));
                    events.extend(applied.events);
                    applied.version
                }));
            }
            Payload::Membership(membership) => {
                let next = StoredMembership::new(Some(entry.log_id), membership.clone());
                self.note_departed(&next);
                self.membership = next;
            }
            Payload::Blank => {}
        }
        self.state.skip(index);
        Outcome(Ok(index))
    }

    fn note_departed(&mut self, next: &StoredMembership) {
        let stays = |raft_id: &u64| next.get_node(raft_id).is_some();
        let before = self.membership.nodes().map(|(raft_id, _)| *raft_id);
        self.departed.extend(before);
        self.departed.retain(|raft_id| !stays(raft_id));
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.last,
            last_membership: self.membership.clone(),
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    /// A snapshot's bytes, unsealed: every member seals with a key of its own.
    type SnapshotData = Arc<[u8]>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied.last, self.applied.membership.clone()))
    }

    /// Applies what is committed, shows the state once, then answers: who is answered finds the
    /// effect in the view.
    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + Send,
    {
        let mut events = Vec::new();
        let mut answers: Vec<(ApplyResponder<Types>, Outcome)> = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let outcome = self.applied.apply(&entry, &mut events);
            self.sums.note(entry.log_id.index, self.applied.sum);
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        self.show(events, || {
            for (responder, outcome) in answers {
                responder.send(outcome);
            }
        });
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        // It would take the place of one that may be right, and the log would go with it.
        if self.sums.differ() {
            return None;
        }
        // A snapshot that fails for want of space would stop the core; one that comes later does
        // no harm.
        if !force && !self.snapshots.has_room() {
            tracing::warn!("too little space for a snapshot, log is kept instead");
            return None;
        }
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.growth.reset();
        self.builder()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Arc<[u8]>) -> io::Result<()> {
        let (snapshots, last) = (self.snapshots.clone(), meta.last_log_id);
        // Reading it takes its time: the core goes on meanwhile.
        let take = move || {
            let record = SnapshotRecord::from_bytes(&data).map_err(invalid)?;
            let applied = Applied::restore(&record).map_err(io::Error::other)?;
            last.map_or(Ok(()), |last| snapshots.write(last.index, &data))?;
            Ok::<_, io::Error>(applied)
        };
        let applied = self.snapshots.aside(take).await?;
        let sums = last.map(|last| (last.index, applied.sum));
        self.replace(applied, Vec::from_iter(sums));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Arc<[u8]>>>> {
        let Some(data) = self.snapshots.read()? else {
            return Ok(None);
        };
        let head = SnapshotHead::from_bytes(&data).map_err(invalid)?;
        Ok(Some(openraft::Snapshot {
            meta: head.meta().map_err(invalid)?,
            snapshot: data,
        }))
    }
}
