//! Two streams of lines in one, as they come.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tracing::warn;

use super::Wanted;
use crate::events::Message;
use crate::server::Body;

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Live {
    engine: Incoming,
    swarm: Receiver<Arc<Message>>,
    wanted: Wanted,
    /// Lines of ours that wait for the engine's line to end.
    waiting: VecDeque<Bytes>,
    /// The engine's last byte ended a line.
    between_lines: bool,
    swarm_ended: bool,
}

/// The merged body.
pub(super) fn body(
    engine: Incoming,
    kept: &[Arc<Message>],
    swarm: Receiver<Arc<Message>>,
    wanted: Wanted,
) -> Body {
    let live = Live {
        engine,
        swarm,
        waiting: kept
            .iter()
            .filter_map(|message| wanted.line(message))
            .collect(),
        wanted,
        between_lines: true,
        swarm_ended: false,
    };
    let frames = stream::unfold(live, async |mut live| {
        let frame = live.next().await?;
        Some((frame.map(Frame::data), live))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Live {
    async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            if self.between_lines
                && let Some(line) = self.waiting.pop_front()
            {
                return Some(Ok(line));
            }
            tokio::select! {
                frame = self.engine.frame() => match frame? {
                    Ok(frame) => if let Ok(data) = frame.into_data() {
                        self.between_lines = data.last().is_none_or(|byte| *byte == b'\n');
                        return Some(Ok(data));
                    },
                    Err(error) => return Some(Err(error.into())),
                },
                message = self.swarm.recv(), if !self.swarm_ended => self.note(message),
            }
        }
    }

    fn note(&mut self, message: Result<Arc<Message>, RecvError>) {
        match message {
            Ok(message) => self.waiting.extend(self.wanted.line(&message)),
            Err(RecvError::Lagged(missed)) => {
                warn!(missed, "a client is too slow for the swarm's events")
            }
            Err(RecvError::Closed) => self.swarm_ended = true,
        }
    }
}
