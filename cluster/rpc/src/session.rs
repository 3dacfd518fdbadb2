//! A session's two ends, and the one that stays inside a process.

use crate::message::session::{FromNode, ToNode};
use tokio::sync::mpsc;

/// Messages under way in each direction before a sender waits.
const IN_FLIGHT: usize = 64;

/// The other end is gone; the session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("session closed")]
pub struct SessionClosed;

/// The node's end.
#[derive(Debug)]
pub struct NodeEnd {
    sender: mpsc::Sender<FromNode>,
    receiver: mpsc::Receiver<ToNode>,
}

/// The manager's end.
#[derive(Debug)]
pub struct ManagerEnd {
    sender: mpsc::Sender<ToNode>,
    receiver: mpsc::Receiver<FromNode>,
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
    };
    (node, manager)
}

impl NodeEnd {
    /// The next message; none when the session is over. Safe to cancel.
    pub async fn receive(&mut self) -> Option<ToNode> {
        self.receiver.recv().await
    }

    pub async fn send(&self, message: FromNode) -> Result<(), SessionClosed> {
        self.sender.send(message).await.map_err(|_| SessionClosed)
    }
}

impl ManagerEnd {
    /// The next message; none when the session is over. Safe to cancel.
    pub async fn receive(&mut self) -> Option<FromNode> {
        self.receiver.recv().await
    }

    pub async fn send(&self, message: ToNode) -> Result<(), SessionClosed> {
        self.sender.send(message).await.map_err(|_| SessionClosed)
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
