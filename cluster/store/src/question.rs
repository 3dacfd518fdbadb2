//! A question to another member, and what comes of it.

use crate::codec::BadRecord;
use crate::error::Member;
use crate::roster::Roster;
use crate::transport::{Ask, Transport, TransportError};
use crate::wire::{Answer, Refusal, decode};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Why a member gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{0}")]
    Record(#[from] BadRecord),
    #[error("{0}")]
    Nonsense(&'static str),
}

/// The answer of member `to`. If it says that this member was dismissed, the roster knows from then on.
pub(crate) async fn put<T: DeserializeOwned>(
    transport: &dyn Transport,
    roster: &Roster,
    to: &Member,
    ask: Ask,
    body: Bytes,
    within: Duration,
) -> Result<T, Unanswered> {
    let answer = transport.ask(to, ask, body, within).await?;
    match decode(&answer)? {
        Answer::Answer(answer) => Ok(answer),
        Answer::Refused(refusal) => {
            if refusal == Refusal::Dismissed {
                roster.dismiss();
            }
            Err(refusal.into())
        }
    }
}
