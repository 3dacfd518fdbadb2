//! What moves bytes: message framing, one-way pipes and the sign that a peer is gone.
//!
//! Nothing here knows a route. A [`Pipe`] forwards exactly the bytes that [`Framing`] says belong to a message and keeps the
//! rest, so that a byte of the next request can never slip through behind the one that was judged.

mod framing;
mod hang_up;
mod pipe;
mod unix;

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest};

pub(crate) use framing::Framing;
pub(crate) use hang_up::HangUp;
pub(crate) use pipe::{Flow, Pipe, PipeError};
pub use unix::UnixSocket;

/// A client's connection: a unix or TCP stream, or TLS around one (then the descriptor is the stream's below).
pub trait Socket: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static> Socket for S {}

/// Has the runtime listen to a descriptor that belongs to `socket` alone, for this and nothing else.
#[expect(
    deprecated,
    reason = "its successor is unsafe for descriptors that others may close; these are nobody else's"
)]
fn listen<T: AsRawFd>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}
