//! A unix socket that wakes its owner for what he waits for, and for nothing else.
//!
//! The runtime's stream listens for "can be written" all its life, and a unix socket says so anew each time its peer has
//! read something. So whoever has passed a message on would be woken once more for nothing, just while the peer works on it.
//! Here only reading is listened for; writing is, while a peer is slow to read.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

use super::listen;

/// One end of a connection.
#[derive(Debug)]
pub struct UnixSocket {
    stream: AsyncFd<net::UnixStream>,
    /// There while the last write found no room.
    room: Option<AsyncFd<OwnedFd>>,
}

impl TryFrom<UnixStream> for UnixSocket {
    type Error = io::Error;

    /// # Errors
    /// If the runtime cannot listen to the socket.
    fn try_from(stream: UnixStream) -> io::Result<Self> {
        let stream = listen(stream.into_std()?, Interest::READABLE)?;
        Ok(Self { stream, room: None })
    }
}

impl UnixSocket {
    /// Whether the peer is there and has said nothing, as far as can be seen without waiting.
    pub(crate) fn is_idle(&self) -> bool {
        let read = self.stream.get_ref().read(&mut [0]);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes at once, or as soon as there is room.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&net::UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match send(self.stream.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                sent => {
                    self.room = None;
                    return Poll::Ready(sent);
                }
            }
            let room = match &mut self.room {
                Some(room) => room,
                None => {
                    let again = self.stream.get_ref().as_fd().try_clone_to_owned()?;
                    let room = listen(again, Interest::WRITABLE)?;
                    self.room.insert(room)
                }
            };
            // The next turn finds room, or waits for a later word.
            ready!(room.poll_write_ready(cx))?.clear_ready();
        }
    }
}

impl AsyncRead for UnixSocket {
    #[expect(
        unsafe_code,
        reason = "the buffer's unused part is not initialized, and zeroing it first would cost a bulk copy a tenth"
    )]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.stream.poll_read_ready(cx))?;
            // SAFETY: nothing in it is made uninitialized: `recv` only writes to it.
            let unfilled = unsafe { buffer.unfilled_mut() };
            let space = unfilled.len();
            match ready.try_io(|stream| SockRef::from(stream.get_ref()).recv(unfilled)) {
                Ok(Ok(read)) => {
                    // Less than there was space for: no more is there, and the kernel says when more comes.
                    if 0 < read && read < space {
                        ready.clear_ready();
                    }
                    // SAFETY: `recv` has written as many bytes as it says.
                    unsafe { buffer.assume_init(read) };
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_nothing_there) => {}
            }
        }
    }
}

impl AsyncWrite for UnixSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_send(cx, |mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_send(cx, |mut stream| stream.write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.get_ref().as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn pair() -> (UnixSocket, UnixSocket) {
        let (near, far) = UnixStream::pair().unwrap();
        (near.try_into().unwrap(), far.try_into().unwrap())
    }

    #[tokio::test]
    async fn more_than_the_kernel_holds_arrives_whole_and_in_order() {
        let (mut near, mut far) = pair();
        let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let sender = tokio::spawn(async move {
            near.write_all(&sent).await.unwrap();
            assert!(near.room.is_none(), "nobody waits for room any more");
            near.shutdown().await.unwrap();
            near
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        drop(sender.await.unwrap());
    }

    #[tokio::test]
    async fn an_answer_after_a_short_read_is_heard() {
        let (mut near, mut far) = pair();
        for round in 0..100_u8 {
            far.write_all(&[round; 3]).await.unwrap();
            let mut space = [0; 64];
            assert_eq!(near.read(&mut space).await.unwrap(), 3);
            near.write_all(&[round]).await.unwrap();
            assert_eq!(far.read_u8().await.unwrap(), round);
        }
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
        let error = near.write_all(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_peer_is_idle_until_it_speaks_or_goes() {
        let (near, mut far) = pair();
        assert!(near.is_idle());
        far.write_all(b"x").await.unwrap();
        assert!(!near.is_idle());
        let (near, far) = pair();
        drop(far);
        assert!(!near.is_idle());
    }
}
