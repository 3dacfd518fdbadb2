//! What can go wrong with the agent itself. What goes wrong with a task is its status, not an error.

use std::io;
use std::path::PathBuf;
use swarmrs_types::TaskId;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be used; nothing was changed in it.
    #[error("cannot use the agent's journal {}: {reason}", path.display())]
    Journal { path: PathBuf, reason: String },
    /// The file system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The engine refused, or is away.
    #[error(transparent)]
    Engine(#[from] swarmrs_engine::Error),
    /// No container of this node belongs to the task (yet).
    #[error("task {0} has no container on this node")]
    NoContainer(TaskId),
    /// Containers that could not be removed.
    #[error("cannot remove the containers of this node's tasks: {0}")]
    Leave(String),
    /// A part of the agent ended on its own, which none does in order.
    #[error("the agent has ended: {0}")]
    Ended(String),
}
