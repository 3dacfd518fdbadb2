//! Carries a session's messages over a conversation.

use super::part::{Whole, parts};
use super::{Ending, Held};
use crate::codec::Malformed;
use crate::message::control::SessionEnd;
use crate::{CallError, Conversation, FrameReceiver, FrameSender, from_json, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tracing::{debug, warn};

/// A peer that lives but takes nothing for so long is of no use.
const STUCK: Duration = Duration::from_secs(30);

/// How long a peer may take to hear that we ended the session.
const FAREWELL: Duration = Duration::from_secs(2);

/// The most bytes of JSON in one message, and of all that wait to be received together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) out: usize,
    pub(super) into: usize,
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("we ended it")]
    Ours,
    #[error("the peer ended it")]
    Theirs,
    #[error("the peer takes no messages")]
    Stuck,
    #[error(transparent)]
    Failed(#[from] CallError),
}

impl From<Malformed> for Over {
    fn from(malformed: Malformed) -> Self {
        Over::Failed(malformed.into())
    }
}

/// Sends what comes out of `outbox` and puts what arrives into `inbox`, until either side ends it.
pub(super) async fn carry<Out: Serialize, In: DeserializeOwned>(
    conversation: Conversation,
    outbox: mpsc::Receiver<Held<Out>>,
    inbox: mpsc::Sender<Held<In>>,
    most: Most,
    ending: &Ending,
) {
    let Conversation {
        mut sender,
        mut receiver,
    } = conversation;
    let Err(over) = tokio::select! {
        over = push(&mut sender, outbox, most.out) => over,
        over = pull(&mut receiver, &inbox, most.into) => over,
    };
    // Before the inbox closes: who sees it closed may ask why.
    ending.set(match over {
        Over::Theirs => SessionEnd::Goodbye,
        Over::Ours | Over::Stuck | Over::Failed(_) => SessionEnd::Reset,
    });
    drop(inbox);
    if let Over::Ours = over {
        let _ = timeout(FAREWELL, part_with(sender, receiver)).await;
    }
    match over {
        Over::Failed(error @ (CallError::Malformed(_) | CallError::TooLong { .. })) => {
            warn!(%error, "session ended: its messages do not fit");
        }
        over => debug!(%over, "session ended"),
    }
}

/// Ends our direction and waits for the end of the peer's: with both dropped at once the stream is broken to it.
async fn part_with(sender: FrameSender, mut receiver: FrameReceiver) -> Result<(), CallError> {
    sender.finish().await?;
    while receiver.next().await?.is_some() {}
    Ok(())
}

async fn push<Out: Serialize>(
    sender: &mut FrameSender,
    mut outbox: mpsc::Receiver<Held<Out>>,
    most: usize,
) -> Result<Infallible, Over> {
    while let Some(held) = outbox.recv().await {
        let message = to_json(&held.message)?;
        drop(held);
        let (length, limit) = (message.len(), most);
        if length > limit {
            return Err(Malformed::TooLong { length, limit }.into());
        }
        for part in parts(message) {
            match timeout(STUCK, sender.send(part)).await {
                Ok(sent) => sent?,
                Err(_) => return Err(Over::Stuck),
            }
        }
    }
    Err(Over::Ours)
}

async fn pull<In: DeserializeOwned>(
    receiver: &mut FrameReceiver,
    inbox: &mpsc::Sender<Held<In>>,
    most: usize,
) -> Result<Infallible, Over> {
    let room = Arc::new(Semaphore::new(most));
    let mut whole = Whole::new(most);
    while let Some(part) = receiver.next().await? {
        let Some(json) = whole.add(&part)? else {
            continue;
        };
        let held = Held {
            _room: take(&room, json.len()).await,
            message: from_json(&json)?,
        };
        drop(json);
        if inbox.send(held).await.is_err() {
            return Err(Over::Ours);
        }
    }
    Err(Over::Theirs)
}

/// Room for a message, once those before it have left enough.
async fn take(room: &Arc<Semaphore>, length: usize) -> Option<OwnedSemaphorePermit> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    room.clone().acquire_many_owned(length).await.ok()
}
