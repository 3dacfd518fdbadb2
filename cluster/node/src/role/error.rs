//! Why a node cannot start.

use crate::record::RecordError;
use crate::trust;
use std::io;

/// The node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("cannot use {path}: {source}")]
    Folder { path: String, source: io::Error },
    #[error("cannot read the node's certificates: {0}")]
    Certificates(#[from] swarmrs_security::Error),
    #[error(transparent)]
    Store(#[from] swarmrs_store::Error),
    #[error(transparent)]
    Propose(#[from] swarmrs_store::ProposeError),
    #[error(transparent)]
    Agent(#[from] swarmrs_agent::Error),
    #[error("cannot listen on {addr}: {source}")]
    Listen { addr: String, source: io::Error },
    #[error(transparent)]
    Credentials(#[from] trust::CredentialsError),
    #[error("cannot start the quorum's thread: {0}")]
    Lane(io::Error),
}
