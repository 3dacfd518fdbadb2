//! The sign that a peer has gone for good, told apart from a peer that has only finished sending.
//!
//! A read of zero bytes means either. `docker run -i < file` shuts its writing side and still waits for output; a killed
//! client reads nothing any more, and whatever runs on its behalf must stop. The kernel tells the two apart (`EPOLLHUP`), but
//! the runtime's stream does not let one wait for that alone. So the descriptor is registered a second time, asking for
//! nothing but urgent data, which these sockets never carry: what is left is the hang-up.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::listen;

/// Waits for both directions of a socket to be closed by its peer, or for its failure.
#[derive(Debug)]
pub(crate) struct HangUp(AsyncFd<OwnedFd>);

impl HangUp {
    /// Starts to watch a socket.
    pub(crate) fn of(socket: &impl AsFd) -> io::Result<Self> {
        let descriptor = socket.as_fd().try_clone_to_owned()?;
        listen(descriptor, Interest::PRIORITY).map(Self)
    }

    /// Ready once the peer is gone.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_read_ready(cx).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn a_peer_that_finished_sending_is_still_there_and_one_that_closed_is_not() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let watch = HangUp::of(&near).unwrap();
        far.write_all(b"x").await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(near.read_to_end(&mut Vec::new()).await.unwrap(), 1);
        let waited = tokio::time::timeout(
            std::time::Duration::from_millis(50),
            poll_fn(|cx| watch.poll_gone(cx)),
        );
        assert!(waited.await.is_err(), "a half-close is no hang-up");
        drop(far);
        let waited = tokio::time::timeout(
            std::time::Duration::from_secs(5),
            poll_fn(|cx| watch.poll_gone(cx)),
        );
        assert!(waited.await.is_ok(), "a close is one");
    }
}
