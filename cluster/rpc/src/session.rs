//! A session's two ends, inside one process or on two machines.
//!
//! Between machines each end is a pair of channels too, and a task carries what is in them as JSON over a conversation.
//! What is under way when one side ends a session may be lost, as with any connection.

mod carry;
mod part;

use crate::message::control::SessionEnd;
use crate::message::session::{FromNode, ToNode};
use crate::{CallError, Client, Conversation, Method};
use carry::Most;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Messages under way in each direction before a sender waits.
const IN_FLIGHT: usize = 64;

/// The other end is gone; the session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("session closed")]
pub struct SessionClosed;

/// The node's end.
#[derive(Debug)]
pub struct NodeEnd {
    sender: mpsc::Sender<Held<FromNode>>,
    receiver: mpsc::Receiver<Held<ToNode>>,
}

/// The manager's end.
#[derive(Debug)]
pub struct ManagerEnd {
    sender: mpsc::Sender<Held<ToNode>>,
    receiver: mpsc::Receiver<Held<FromNode>>,
    ending: Ending,
}

/// How a session ended, once it has. Clones share it.
#[derive(Clone, Debug, Default)]
struct Ending(Arc<OnceLock<SessionEnd>>);

impl Ending {
    /// Only the first word counts.
    fn set(&self, end: SessionEnd) {
        let _ = self.0.set(end);
    }
}

/// A message that waits for its receiver, and the room that it takes meanwhile if it came from another machine.
#[derive(Debug)]
struct Held<T> {
    message: T,
    _room: Option<OwnedSemaphorePermit>,
}

impl<T> From<T> for Held<T> {
    fn from(message: T) -> Self {
        Held {
            message,
            _room: None,
        }
    }
}

/// A session between a node and the manager in its own process.
pub fn local() -> (NodeEnd, ManagerEnd) {
    let (to_manager, from_node) = mpsc::channel(IN_FLIGHT);
    let (to_node, from_manager) = mpsc::channel(IN_FLIGHT);
    let node = NodeEnd {
        sender: to_manager,
        receiver: from_manager,
    };
    let manager = ManagerEnd {
        sender: to_node,
        receiver: from_node,
        ending: Ending::default(),
    };
    (node, manager)
}

/// Opens a session with the manager that the client speaks to, within this time.
pub async fn dial(client: &Client, within: Duration) -> Result<NodeEnd, CallError> {
    let conversation = client.converse(Method::Session, within).await?;
    let (node, manager) = local();
    let ManagerEnd {
        sender, receiver, ..
    } = manager;
    let most = Most {
        out: FROM_NODE,
        into: TO_NODE,
    };
    tokio::spawn(async move {
        let unasked = Ending::default();
        carry::carry(conversation, receiver, sender, most, &unasked).await;
    });
    Ok(node)
}

/// A manager's end of the session that a node has opened.
pub fn accept(conversation: Conversation) -> ManagerEnd {
    let (node, manager) = local();
    let NodeEnd { sender, receiver } = node;
    let most = Most {
        out: TO_NODE,
        into: FROM_NODE,
    };
    let ending = manager.ending.clone();
    tokio::spawn(async move {
        carry::carry(conversation, receiver, sender, most, &ending).await;
    });
    manager
}

/// The most JSON that a node's messages may take together while they wait: a worker may be hostile. A thousand reports are
/// less than one MiB.
const FROM_NODE: usize = 8 * 1024 * 1024;

/// The same for a manager's. A complete set brings all payloads of a node, 500 KB to 1 MB each.
const TO_NODE: usize = 256 * 1024 * 1024;

impl NodeEnd {
    /// The next message; none when the session is over. Safe to cancel.
    pub async fn receive(&mut self) -> Option<ToNode> {
        let held = self.receiver.recv().await?;
        Some(held.message)
    }

    pub async fn send(&self, message: FromNode) -> Result<(), SessionClosed> {
        let sent = self.sender.send(message.into()).await;
        sent.map_err(|_| SessionClosed)
    }
}

impl ManagerEnd {
    /// How the node ended the session; none while it lasts, and if it is ended here or in this process.
    pub fn ending(&self) -> Option<SessionEnd> {
        self.ending.0.get().copied()
    }

    /// The next message; none when the session is over. Safe to cancel.
    pub async fn receive(&mut self) -> Option<FromNode> {
        let held = self.receiver.recv().await?;
        Some(held.message)
    }

    pub async fn send(&self, message: ToNode) -> Result<(), SessionClosed> {
        let sent = self.sender.send(message.into()).await;
        sent.map_err(|_| SessionClosed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_ends_for_one_side_when_the_other_drops_it() {
        let (mut node, manager) = local();
        drop(manager);
        assert_eq!(node.receive().await, None);
        assert_eq!(
            node.send(FromNode::Statuses(Vec::new())).await,
            Err(SessionClosed)
        );
    }
}
