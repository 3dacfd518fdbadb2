//! Talking to other members. There is no way to them yet: each is unreachable, which is the truth
//! for a lone member, who never asks.

use crate::raft::{Types, Vote};
use openraft::alias::SnapshotOf;
use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use std::future::Future;
use std::sync::Arc;

/// Makes a client per member.
pub(crate) struct Network;

/// The way to one member.
pub(crate) struct Peer {
    raft_id: u64,
    address: String,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &String) -> Peer {
        Peer {
            raft_id: target,
            address: node.clone(),
        }
    }
}

impl Peer {
    fn unreachable(&self) -> Unreachable<Types> {
        let text = format!("no way to member {} at {}", self.raft_id, self.address);
        Unreachable::new(&openraft::AnyError::error(text))
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Arc<[u8]>;

    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    /// Refused rather than granted, which is the trait's default for peers that know no pre-vote.
    async fn pre_vote(
        &mut self,
        _rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: SnapshotOf<Types, Arc<[u8]>>,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
