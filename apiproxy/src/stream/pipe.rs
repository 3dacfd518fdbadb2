//! One direction of a forwarded exchange.
//!
//! ```text
//!   from ──read──▶ [ cleared | not yet judged ] ──write──▶ to
//!                     ▲ Framing says how far
//! ```
//!
//! The buffer is small while little flows, because an attached terminal may sit for days beside ten thousand others, and
//! grows while reads fill it, because an image export should not notice us.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::framing::{Framing, Malformed};

/// What a silent pipe may hold on to.
const SMALL: usize = 4 * 1024;
/// The least that a read may take: almost every answer in one piece.
const USUAL: usize = 16 * 1024;
/// Past this size a larger buffer no longer saves system calls that can be measured.
const LARGE: usize = 256 * 1024;

/// How a pipe came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The message has passed completely and is written.
    Complete,
    /// The source closed before the framing said so; all that came is written.
    SourceEnded,
}

/// Which side broke.
#[derive(Debug)]
pub(crate) enum PipeError {
    Read,
    Write,
    Malformed,
}

impl From<Malformed> for PipeError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// Bytes on their way from one socket to another.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// Written before anything else: a head.
    prefix: Bytes,
    /// What was read and not yet written.
    pub(crate) inbox: BytesMut,
    /// How much of the inbox's front may be written.
    cleared: usize,
    framing: Framing,
    /// Bytes read since the source last had none.
    burst: usize,
    /// How much the next read may take.
    appetite: usize,
    stalled: bool,
}

impl Pipe {
    /// A pipe that has `prefix` to write and `inbox` already read.
    pub(crate) fn new(prefix: Bytes, inbox: BytesMut, framing: Framing) -> Self {
        Self {
            prefix,
            inbox,
            cleared: 0,
            framing,
            burst: 0,
            appetite: USUAL,
            stalled: false,
        }
    }

    /// Lets `head` bytes at the front pass, and then a body of the given framing.
    pub(crate) fn begin(&mut self, head: usize, framing: Framing) -> Result<(), Malformed> {
        self.framing = framing;
        self.cleared = head + self.framing.take(&self.inbox[head..])?;
        Ok(())
    }

    /// Whether the last poll waited for the receiving side.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Moves bytes until the message ends, the source ends, or one side has to be waited for.
    pub(crate) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
    ) -> Poll<Result<Flow, PipeError>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            self.stalled = true;
            ready!(self.poll_write(cx, to)).map_err(|_| PipeError::Write)?;
            self.stalled = false;
            if self.framing.is_done() {
                return Poll::Ready(Ok(Flow::Complete));
            }
            if !self.inbox.is_empty() {
                self.cleared = self.framing.take(&self.inbox)?;
                continue;
            }
            if ready!(self.poll_fill(cx, from)).map_err(|_| PipeError::Read)? == 0 {
                return Poll::Ready(Ok(Flow::SourceEnded));
            }
        }
    }

    /// Reads what the source has; 0 means its end.
    pub(crate) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
    ) -> Poll<io::Result<usize>> {
        self.inbox.reserve(self.appetite);
        let read = pin!(from.read_buf(&mut self.inbox)).poll(cx);
        match &read {
            Poll::Pending => self.rest(),
            Poll::Ready(Ok(n)) => self.burst_of(*n),
            Poll::Ready(Err(_)) => {}
        }
        read
    }

    /// A read that filled its space asks for more of it.
    fn burst_of(&mut self, n: usize) {
        self.burst += n;
        if n >= self.appetite {
            self.appetite = (self.appetite * 4).min(LARGE);
        }
    }

    /// The source is silent: the memory goes back, and after a trickle the appetite too.
    ///
    /// Taking a large buffer again costs the allocator next to nothing, keeping it costs every idle stream.
    fn rest(&mut self) {
        if self.inbox.is_empty() && self.inbox.capacity() > SMALL {
            self.inbox = BytesMut::new();
        }
        if self.burst < USUAL {
            self.appetite = USUAL;
        }
        self.burst = 0;
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while !self.prefix.is_empty() {
            let n = ready!(Pin::new(&mut *to).poll_write(cx, &self.prefix))?;
            self.prefix.advance(nonzero(n)?);
        }
        while self.cleared > 0 {
            let n = ready!(Pin::new(&mut *to).poll_write(cx, &self.inbox[..self.cleared]))?;
            self.inbox.advance(nonzero(n)?);
            self.cleared -= n;
        }
        Pin::new(to).poll_flush(cx)
    }
}

fn nonzero(n: usize) -> io::Result<usize> {
    if n == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(n)
}
