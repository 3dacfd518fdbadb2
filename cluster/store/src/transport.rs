//! The way to other members, which whoever opens the store gives it.

use crate::error::Member;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// What one member asks another. The bodies are the store's own matter. For all but the last two the consensus core
/// waits: they must not stand behind anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Entries of the log, or a sign of life without any.
    Append,
    /// A vote, or whether there would be one.
    Vote,
    /// A part of a snapshot.
    Snapshot,
    /// Taking the lead over.
    Transfer,
    /// A command for the leader.
    Propose,
    /// How far the leader has agreed.
    ReadIndex,
}

impl Ask {
    pub const ALL: [Ask; 6] = [
        Ask::Append,
        Ask::Vote,
        Ask::Snapshot,
        Ask::Transfer,
        Ask::Propose,
        Ask::ReadIndex,
    ];

    /// The longest body of a question, in bytes; answers stay below 64 KiB. An entry may hold 2 MiB, and
    /// what precedes it in the same message 1 MiB.
    pub const fn most_bytes(self) -> usize {
        const MIB: usize = 1024 * 1024;
        match self {
            Ask::Append | Ask::Propose => 4 * MIB,
            Ask::Snapshot => MIB + 64 * 1024,
            Ask::Vote | Ask::Transfer | Ask::ReadIndex => 64 * 1024,
        }
    }
}

/// Carries questions to other members, whose [`crate::Store::hear`] answers them.
///
/// What it promises: `to` is who is asked and nobody else, the one who hears learns who asked, and nobody
/// between them can read or change a byte. It keeps no order and may lose or repeat questions.
///
/// Futures are polled on the consensus core's thread, whose runtime has a clock and no sockets: IO belongs on a
/// runtime of the transport's own. They may be dropped at any time.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The answer to `body`, which must be there `within` that time.
    async fn ask(
        &self,
        to: &Member,
        ask: Ask,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, TransportError>;
}

impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// There is no answer. The question may have been heard all the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer in time")]
    TimedOut,
}

/// Reaches nobody: for a member that is alone.
#[derive(Debug)]
pub struct Nobody;

#[async_trait]
impl Transport for Nobody {
    async fn ask(
        &self,
        to: &Member,
        _ask: Ask,
        _body: Bytes,
        _within: Duration,
    ) -> Result<Bytes, TransportError> {
        let text = format!("no way to member {} at {}", to.raft_id, to.address);
        Err(TransportError::Unreachable(text))
    }
}
