//! Frames both ways over one stream of a connection.

mod outgoing;

pub(crate) use outgoing::Outgoing;

use crate::codec::{Decoder, Frame, Malformed, from_json};
use crate::{CallError, Method, Refusal};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::ResponseFuture;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Both ends of a stream.
///
/// The side that asked ends its direction by dropping the sender, and the stream by dropping both. On the side that was
/// asked the stream ends when [`Service::converse`](crate::Service::converse) comes back.
#[derive(Debug)]
pub struct Conversation {
    pub sender: FrameSender,
    pub receiver: FrameReceiver,
}

/// Sends frames.
#[derive(Debug)]
pub struct FrameSender {
    outgoing: Outgoing,
    method: Method,
    limit: usize,
    /// Whether dropping it ends the direction.
    ends: bool,
}

impl FrameSender {
    /// What the one that is asked sends, by the method's limits.
    pub(crate) fn answering(outgoing: Outgoing, method: Method) -> Self {
        FrameSender {
            outgoing,
            method,
            limit: method.answer_limit(),
            ends: false,
        }
    }

    /// What the one that asks sends.
    pub(crate) fn asking(outgoing: Outgoing, method: Method) -> Self {
        FrameSender {
            outgoing,
            method,
            limit: method.request_limit(),
            ends: true,
        }
    }

    /// Sends one frame; waits while the peer takes nothing. A frame whose sending was given up under way goes out before
    /// the next one.
    ///
    /// # Errors
    /// [`CallError::TooLong`] sends nothing and changes nothing; any other error means the stream is over.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), CallError> {
        if frame.len() > self.limit {
            return Err(CallError::TooLong {
                method: self.method,
                length: frame.len(),
            });
        }
        self.outgoing.send(Frame::Message(frame), false).await
    }

    /// Ends this direction: the peer's receiver comes to its end, and may still send.
    pub async fn finish(self) -> Result<(), CallError> {
        self.outgoing.finish().await
    }
}

impl Drop for FrameSender {
    fn drop(&mut self) {
        if self.ends {
            self.outgoing.drop_out();
        }
    }
}

/// Receives frames.
#[derive(Debug)]
pub struct FrameReceiver {
    incoming: Incoming,
    decoder: Decoder,
}

#[derive(Debug)]
enum Incoming {
    /// The answer has not begun.
    Awaited(ResponseFuture),
    Body(RecvStream),
    Ended,
}

impl FrameReceiver {
    /// What the one that is asked receives.
    pub(crate) fn answering(body: RecvStream, method: Method) -> Self {
        FrameReceiver {
            incoming: Incoming::Body(body),
            decoder: Decoder::new(method.request_limit()),
        }
    }

    /// What the one that asks receives.
    pub(crate) fn asking(answer: ResponseFuture, method: Method) -> Self {
        FrameReceiver {
            incoming: Incoming::Awaited(answer),
            decoder: Decoder::new(method.answer_limit()),
        }
    }

    /// The next frame; none when the peer has ended its direction. Safe to cancel.
    ///
    /// # Errors
    /// After any, [`CallError::Refused`] too, the stream is over.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let next = self.read().await;
        if !matches!(next, Ok(Some(_))) {
            self.incoming = Incoming::Ended;
        }
        next
    }

    async fn read(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            match self.decoder.next()? {
                Some(Frame::Message(body)) => return Ok(Some(body)),
                Some(Frame::Refusal(body)) => return Err(from_json::<Refusal>(&body)?.into()),
                None => {}
            }
            match poll_fn(|context| self.incoming.poll_piece(context)).await {
                Some(piece) => self
                    .decoder
                    .push(&piece.map_err(|error| CallError::lost(&error))?),
                None if self.decoder.is_empty() => return Ok(None),
                None => return Err(Malformed::CutShort.into()),
            }
        }
    }

    /// Waits until the peer has begun to answer; whether it refuses is known then.
    pub(crate) async fn begin(&mut self) -> Result<(), CallError> {
        let accepted = poll_fn(|context| self.incoming.poll_begin(context)).await;
        if accepted.map_err(|error| CallError::lost(&error))? {
            return Ok(());
        }
        match self.next().await? {
            Some(_) => Err(Malformed::Trailing.into()),
            None => Err(Malformed::Missing.into()),
        }
    }
}

impl Incoming {
    /// Whether the peer accepts, once that is known.
    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, h2::Error>> {
        let Incoming::Awaited(answer) = self else {
            return Poll::Ready(Ok(true));
        };
        let answer = ready!(Pin::new(answer).poll(context))?;
        let accepted = answer.status().is_success();
        *self = Incoming::Body(answer.into_body());
        Poll::Ready(Ok(accepted))
    }

    /// The next bytes. The peer may send as many more at once: what is kept is bounded by the frame's limit.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        if let Err(error) = ready!(self.poll_begin(context)) {
            return Poll::Ready(Some(Err(error)));
        }
        let Incoming::Body(body) = self else {
            return Poll::Ready(None);
        };
        let piece = ready!(body.poll_data(context));
        if let Some(Ok(bytes)) = &piece {
            let released = body.flow_control().release_capacity(bytes.len());
            if let Err(error) = released {
                return Poll::Ready(Some(Err(error)));
            }
        }
        Poll::Ready(piece)
    }
}
