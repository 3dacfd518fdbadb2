//! A stream's direction away from us.

use crate::codec::{Frame, to_json};
use crate::{CallError, Refusal};
use bytes::Bytes;
use h2::{Reason, SendStream};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

/// Sends frames. Clones share it: the one that answers must be able to say no after it gave the sender out.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing(Arc<Mutex<Stream>>);

#[derive(Debug)]
struct Stream {
    stream: SendStream<Bytes>,
    /// What is left of the frame under way.
    pending: Bytes,
    finished: bool,
}

impl Outgoing {
    pub(crate) fn new(stream: SendStream<Bytes>) -> Self {
        Outgoing(Arc::new(Mutex::new(Stream {
            stream,
            pending: Bytes::new(),
            finished: false,
        })))
    }

    /// Sends a frame, and that there is none after it.
    pub(crate) async fn send(&self, frame: Frame, last: bool) -> Result<(), CallError> {
        poll_fn(|context| self.lock().poll_flush(context)).await?;
        self.lock().pending = frame.bytes();
        poll_fn(|context| self.lock().poll_flush(context)).await?;
        if last {
            self.lock().end()?;
        }
        Ok(())
    }

    /// Says no, and nothing after it; without effect once the direction is ended.
    pub(crate) async fn refuse(&self, refusal: &Refusal) -> Result<(), CallError> {
        if self.lock().finished {
            return Ok(());
        }
        self.send(Frame::Refusal(to_json(refusal)?), true).await
    }

    pub(crate) async fn finish(&self) -> Result<(), CallError> {
        poll_fn(|context| self.lock().poll_flush(context)).await?;
        self.lock().end()
    }

    /// Ends the direction without waiting: cleanly between two frames, by a reset within one.
    pub(super) fn drop_out(&self) {
        let mut stream = self.lock();
        if stream.pending.is_empty() {
            let _ = stream.end();
        } else {
            stream.stream.send_reset(Reason::CANCEL);
        }
    }

    /// Comes back when the peer wants no more of it, or the connection is over.
    pub(crate) async fn unwanted(&self) {
        let _ = poll_fn(|context| self.lock().stream.poll_reset(context)).await;
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        while !self.pending.is_empty() {
            self.stream.reserve_capacity(self.pending.len());
            let capacity = match self.stream.capacity() {
                0 => match ready!(self.stream.poll_capacity(context)) {
                    Some(capacity) => capacity.map_err(|error| CallError::lost(&error))?,
                    None => return Poll::Ready(Err(CallError::Lost("the stream is over".into()))),
                },
                capacity => capacity,
            };
            let piece = self.pending.split_to(capacity.min(self.pending.len()));
            let sent = self.stream.send_data(piece, false);
            sent.map_err(|error| CallError::lost(&error))?;
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self) -> Result<(), CallError> {
        if self.finished {
            return Ok(());
        }
        self.finished = true;
        let sent = self.stream.send_data(Bytes::new(), true);
        sent.map_err(|error| CallError::lost(&error))
    }
}
