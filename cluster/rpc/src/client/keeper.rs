//! Connections that are to outlive this process.

use std::any::Any;
use std::fmt::Debug;
use std::os::fd::OwnedFd;

/// Whoever shares a connection's socket: as long as it does, the peer does not see the connection break when this process
/// is killed.
pub trait Keeper: Debug + Send + Sync + 'static {
    /// Shares the socket until what is given back is dropped, or this process has been gone for a while.
    fn keep(&self, socket: OwnedFd) -> Box<dyn Any + Send>;
}
