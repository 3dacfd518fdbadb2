//! Whether the peer still lives.
//!
//! A ping goes out at every beat. What counts as life is any byte that arrives, not the answer alone: on a slow line
//! the answer waits behind a snapshot.

use h2::{Ping, PingPong};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// What a node may send ahead of our reading on one stream, and twice as much on its connection. A ping waits behind no
/// more than that, and the notes of what was read come as often: over a line of 2 Mbit/s a peer still speaks every
/// second. On one of 10 ms there and back it lets 25 MB/s through.
pub(crate) const WINDOW: u32 = 256 * 1024;

/// How often a peer is asked for a sign of life, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Between an answer and the next question.
    pub every: Duration,
    /// A peer of which no byte came for so long after a question is silent.
    pub within: Duration,
}

impl Default for Keepalive {
    /// A silent peer is found within 3 s: below the grace of a node (5 s), above what a busy machine may
    /// keep a process waiting.
    fn default() -> Self {
        Keepalive {
            every: Duration::from_secs(1),
            within: Duration::from_secs(2),
        }
    }
}

/// How often something arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beats(Arc<AtomicU64>);

impl Beats {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection of which it is noted when something arrives.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// Taken out only while the connection moves to another runtime.
    stream: Option<TcpStream>,
    beats: Beats,
}

impl Pulse {
    /// Small frames go out at once.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Pulse {
            stream: Some(stream),
            beats: Beats::default(),
        })
    }

    pub(crate) fn beats(&self) -> Beats {
        self.beats.clone()
    }

    /// Makes the current runtime the one that watches the descriptor.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        if let Some(stream) = self.stream.take() {
            self.stream = Some(TcpStream::from_std(stream.into_std()?)?);
        }
        Ok(())
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let stream = self.stream.as_mut();
        stream
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Pulse {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = to.filled().len();
        ready!(self.stream()?.poll_read(context, to))?;
        if to.filled().len() > before {
            self.beats.one();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pulse {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

/// Why a peer is not heard any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unheard {
    #[error("the connection is over")]
    Over,
    #[error("the peer is silent")]
    Silent,
}

/// Waits for one answer; an error if nothing at all arrives in time, or the connection is over.
pub(crate) async fn ping(
    pings: &mut PingPong,
    beats: &Beats,
    within: Duration,
) -> Result<(), Unheard> {
    let mut answer = pin!(pings.ping(Ping::opaque()));
    loop {
        let before = beats.count();
        match timeout(within, &mut answer).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(_)) => return Err(Unheard::Over),
            Err(_) if beats.count() != before => {}
            Err(_) => return Err(Unheard::Silent),
        }
    }
}

/// Comes back when the peer is not heard any more.
pub(crate) async fn watch(mut pings: PingPong, beats: Beats, keepalive: Keepalive) -> Unheard {
    loop {
        sleep(keepalive.every).await;
        if let Err(unheard) = ping(&mut pings, &beats, keepalive.within).await {
            return unheard;
        }
    }
}
