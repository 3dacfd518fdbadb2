//! Carries a session's messages over a conversation.

use crate::{CallError, Conversation, FrameReceiver, FrameSender, from_json, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

/// A peer that lives but takes no message for so long is of no use.
const STUCK: Duration = Duration::from_secs(30);

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

/// Sends what comes out of `outbox` and puts what arrives into `inbox`, until either side ends it.
pub(super) async fn carry<Out: Serialize, In: DeserializeOwned>(
    conversation: Conversation,
    outbox: mpsc::Receiver<Out>,
    inbox: mpsc::Sender<In>,
) {
    let Conversation { sender, receiver } = conversation;
    let Err(over) = tokio::select! {
        over = push(sender, outbox) => over,
        over = pull(receiver, inbox) => over,
    };
    match over {
        Over::Failed(error @ (CallError::Malformed(_) | CallError::TooLong { .. })) => {
            warn!(%error, "session ended: its messages do not fit");
        }
        over => debug!(%over, "session ended"),
    }
}

async fn push<Out: Serialize>(
    mut sender: FrameSender,
    mut outbox: mpsc::Receiver<Out>,
) -> Result<Infallible, Over> {
    while let Some(message) = outbox.recv().await {
        let frame = to_json(&message).map_err(CallError::from)?;
        match timeout(STUCK, sender.send(frame)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(Over::Stuck),
        }
    }
    Err(Over::Ours)
}

async fn pull<In: DeserializeOwned>(
    mut receiver: FrameReceiver,
    inbox: mpsc::Sender<In>,
) -> Result<Infallible, Over> {
    while let Some(frame) = receiver.next().await? {
        let message = from_json(&frame).map_err(CallError::from)?;
        if inbox.send(message).await.is_err() {
            return Err(Over::Ours);
        }
    }
    Err(Over::Theirs)
}
