//! Talking to other members: the consensus core's questions, put into our words and carried by the
//! [`Transport`].

use crate::codec::BadRecord;
use crate::config::Config;
use crate::error::Member;
use crate::question::{self, Unanswered};
use crate::raft::{LogId, Payload, SnapshotMeta, Types, Vote};
use crate::roster::Roster;
use crate::sums::Sums;
use crate::transport::{Ask, Transport, TransportError};
use crate::wire::{
    AppendAnswer, AppendQuestion, At, EntryWire, SnapshotAnswer, SnapshotQuestion, TransferAnswer,
    TransferQuestion, VoteAnswer, VoteKind, VoteQuestion, encode, encode_part,
};
use bytes::Bytes;
use openraft::AnyError;
use openraft::alias::SnapshotOf;
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Entries go into one message up to so many bytes, or one that is larger.
const MESSAGE: usize = 1024 * 1024;

/// Bytes of a snapshot in one message.
const PART: usize = 1024 * 1024;

/// How long entries may take to be on another member's disk before they are sent again. Signs of life, which
/// decide who leads, have a shorter time of their own.
const APPEND_WITHIN: Duration = Duration::from_secs(2);

/// The same for a part of a snapshot, and for the word that all of it is being taken up.
const PART_WITHIN: Duration = Duration::from_secs(5);

/// Between two tries to reach a member that cannot be reached: first and longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Makes a client per member.
pub(crate) struct Network {
    transport: Arc<dyn Transport>,
    roster: Arc<Roster>,
    sums: Arc<Sums>,
}

impl Network {
    pub(crate) fn new(config: &Config, roster: Arc<Roster>, sums: Arc<Sums>) -> Self {
        Network {
            transport: config.transport.clone(),
            roster,
            sums,
        }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &String) -> Peer {
        let member = Member {
            raft_id: target,
            address: node.clone(),
        };
        let (roster, sums) = (self.roster.clone(), self.sums.clone());
        Peer::new(member, self.transport.clone(), roster, sums)
    }
}

/// The way to one member.
pub(crate) struct Peer {
    member: Member,
    transport: Arc<dyn Transport>,
    roster: Arc<Roster>,
    sums: Arc<Sums>,
}

impl Peer {
    pub(crate) fn new(
        member: Member,
        transport: Arc<dyn Transport>,
        roster: Arc<Roster>,
        sums: Arc<Sums>,
    ) -> Self {
        Peer {
            member,
            transport,
            roster,
            sums,
        }
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        ask: Ask,
        body: Bytes,
        within: Duration,
    ) -> Result<T, Unanswered> {
        // It may have moved since the core was told of it.
        if let Some(address) = self.roster.address(self.member.raft_id) {
            self.member.address = address;
        }
        let (transport, roster) = (self.transport.as_ref(), &self.roster);
        question::put(transport, roster, &self.member, ask, body, within).await
    }

    async fn append(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        within: Duration,
    ) -> Result<AppendEntriesResponse<Types>, Unanswered> {
        let within = match rpc.entries.is_empty() {
            true => within,
            false => APPEND_WITHIN,
        };
        let (body, taken) = append_question(self.member.raft_id, &rpc, self.sums.newest())?;
        Ok(match self.ask(Ask::Append, body, within).await? {
            AppendAnswer::Taken if taken == rpc.entries.len() => AppendEntriesResponse::Success,
            AppendAnswer::Taken => {
                AppendEntriesResponse::PartialSuccess(Some(rpc.entries[taken - 1].log_id))
            }
            AppendAnswer::Conflict if rpc.prev_log_id.is_none() => {
                return Err(Unanswered::Nonsense("conflict at the beginning of the log"));
            }
            AppendAnswer::Conflict => AppendEntriesResponse::Conflict,
            AppendAnswer::HigherVote(vote) => AppendEntriesResponse::HigherVote(vote.into()),
        })
    }

    async fn stand(
        &mut self,
        kind: VoteKind,
        rpc: VoteRequest<Types>,
        within: Duration,
    ) -> Result<VoteResponse<Types>, Unanswered> {
        let body = encode(&VoteQuestion {
            to: self.member.raft_id,
            kind,
            vote: rpc.vote.into(),
            last: rpc.last_log_id.map(At::from),
        })?;
        let answer: VoteAnswer = self.ask(Ask::Vote, body, within).await?;
        let last = answer.last.map(LogId::from);
        Ok(VoteResponse::new(
            Vote::from(answer.vote),
            last,
            answer.is_granted,
        ))
    }

    /// Sends a snapshot part by part, each from where the other has it to; once all is there, asks until it is taken up.
    pub(crate) async fn send(
        &mut self,
        vote: Vote,
        meta: &SnapshotMeta,
        data: &[u8],
        begins_anew: bool,
    ) -> Result<Vote, Unanswered> {
        let mut offset = 0;
        loop {
            let end = data.len().min(offset + PART);
            let question = SnapshotQuestion {
                to: self.member.raft_id,
                vote: vote.into(),
                last: meta.last_log_id.map(At::from),
                size: data.len() as u64,
                offset: offset as u64,
                begins_anew,
            };
            let body = encode_part(&question, &data[offset..end])?;
            match self.ask(Ask::Snapshot, body, PART_WITHIN).await? {
                SnapshotAnswer::Done { vote } => return Ok(vote.into()),
                SnapshotAnswer::Wanted { offset: wanted } => {
                    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
                    if wanted > data.len() {
                        return Err(Unanswered::Nonsense("more of a snapshot than there is"));
                    }
                    offset = wanted;
                }
            }
        }
    }

    async fn transfer(
        &mut self,
        req: TransferLeaderRequest<Types>,
        within: Duration,
    ) -> Result<TransferLeaderResponse<Types>, Unanswered> {
        let body = encode(&TransferQuestion {
            to: self.member.raft_id,
            vote: (*req.from_leader()).into(),
            next: *req.to_node_id(),
            last: req.last_log_id().copied().map(At::from),
        })?;
        Ok(match self.ask(Ask::Transfer, body, within).await? {
            TransferAnswer::Taken => Ok(()),
            TransferAnswer::VoteChanged { vote } => Err(TransferLeaderError::VoteChanged {
                expected: *req.from_leader(),
                actual: vote.into(),
            }),
            TransferAnswer::Behind { last } => Err(TransferLeaderError::LogNotFlushed {
                expected: req.last_log_id().copied(),
                actual: last.map(LogId::from),
            }),
        })
    }
}

/// The question, and how many of the entries are in it.
fn append_question(
    to: u64,
    rpc: &AppendEntriesRequest<Types>,
    sum: Option<(u64, u64)>,
) -> Result<(Bytes, usize), BadRecord> {
    let mut texts = Vec::with_capacity(rpc.entries.len());
    let mut bytes = 0;
    for entry in &rpc.entries {
        let json = match &entry.payload {
            Payload::Normal(proposal) => Some(proposal.share_json()?),
            Payload::Blank | Payload::Membership(_) => None,
        };
        bytes += json.as_ref().map_or(0, |json| json.get().len());
        if bytes > MESSAGE && !texts.is_empty() {
            break;
        }
        texts.push(json);
    }
    let wire = |(entry, json)| EntryWire::new(entry, Option::as_deref(json));
    let entries: Vec<EntryWire> = rpc.entries.iter().zip(&texts).map(wire).collect();
    let taken = entries.len();
    let question = AppendQuestion {
        to,
        vote: rpc.vote.into(),
        after: rpc.prev_log_id.map(At::from),
        committed: rpc.leader_commit.map(At::from),
        sum,
        entries,
    };
    Ok((encode(&question)?, taken))
}

impl From<Unanswered> for RPCError<Types> {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Transport(TransportError::TimedOut) => {
                RPCError::Network(NetworkError::new(&AnyError::error(unanswered)))
            }
            unanswered => RPCError::Unreachable(unreachable(unanswered)),
        }
    }
}

fn unreachable(unanswered: Unanswered) -> Unreachable<Types> {
    Unreachable::new(&AnyError::error(unanswered))
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Arc<[u8]>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Ok(self.append(rpc, option.hard_ttl()).await?)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let kind = match rpc.leadership_transfer {
            true => VoteKind::Transfer,
            false => VoteKind::Plain,
        };
        Ok(self.stand(kind, rpc, option.hard_ttl()).await?)
    }

    /// Whoever cannot be asked has not granted it.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Ok(self.stand(VoteKind::Pre, rpc, option.hard_ttl()).await?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<Types, Arc<[u8]>>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let sending = self.send(vote, &snapshot.meta, &snapshot.snapshot, false);
        let sent = tokio::select! {
            sent = sending => sent,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        match sent {
            Ok(vote) => Ok(SnapshotResponse::new(vote)),
            Err(unanswered) => Err(StreamingError::Unreachable(unreachable(unanswered))),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        Ok(self.transfer(req, option.hard_ttl()).await?)
    }

    fn backoff(&self) -> Option<Backoff> {
        let doubled = |pause: &Duration| Some((*pause * 2).min(LONGEST_PAUSE));
        Some(Backoff::new(std::iter::successors(
            Some(FIRST_PAUSE),
            doubled,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Entry, Proposal, log_id};
    use swarmrs_core::Command;
    use swarmrs_types::{ClusterTime, Timestamp};

    fn entry(index: u64, bytes: usize) -> Entry {
        let command = Command {
            time: ClusterTime(index),
            wall: Timestamp::from_unix_nanos(1),
            guards: Vec::new(),
            changes: Vec::new(),
        };
        let json = format!("{{\"padding\":\"{}\"}}", "x".repeat(bytes));
        let json = serde_json::value::RawValue::from_string(json).unwrap();
        Entry {
            log_id: log_id(1, index),
            payload: Payload::Normal(Proposal::shared(command, None, json)),
        }
    }

    #[test]
    fn a_message_holds_a_megabyte_of_entries_or_one_that_is_larger() {
        let taken = |sizes: &[usize]| {
            let entries = sizes.iter().zip(1..).map(|(bytes, i)| entry(i, *bytes));
            let rpc = AppendEntriesRequest {
                vote: Vote::new_committed(1, 1),
                prev_log_id: None,
                entries: entries.collect(),
                leader_commit: None,
            };
            append_question(2, &rpc, None).unwrap().1
        };
        assert_eq!(taken(&[]), 0);
        assert_eq!(taken(&[10, 10, 10]), 3);
        assert_eq!(taken(&[MESSAGE / 2 - 100; 4]), 2);
        assert_eq!(taken(&[2 * MESSAGE, 10]), 1);
        assert_eq!(taken(&[10, 2 * MESSAGE, 10]), 1);
    }
}
