//! Two streams of lines in one, as they come.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use swarmrs_node::Networks;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tracing::warn;

use super::{Wanted, twin};
use crate::events::Message;
use crate::server::Body;

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Live {
    engine: Incoming,
    swarm: Receiver<Arc<Message>>,
    wanted: Wanted,
    networks: Arc<Networks>,
    /// Whole lines, ours and the engine's.
    waiting: VecDeque<Bytes>,
    /// The beginning of the engine's next line.
    begun: BytesMut,
    swarm_ended: bool,
}

/// The merged body.
pub(super) fn body(
    engine: Incoming,
    kept: &[Arc<Message>],
    swarm: Receiver<Arc<Message>>,
    wanted: Wanted,
    networks: Arc<Networks>,
) -> Body {
    let live = Live {
        engine,
        swarm,
        waiting: kept
            .iter()
            .filter_map(|message| wanted.line(message))
            .collect(),
        wanted,
        networks,
        begun: BytesMut::new(),
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
            if let Some(line) = self.waiting.pop_front() {
                return Some(Ok(line));
            }
            tokio::select! {
                frame = self.engine.frame() => match frame? {
                    Ok(frame) => if let Ok(data) = frame.into_data() {
                        self.cut(&data);
                    },
                    Err(error) => return Some(Err(error.into())),
                },
                message = self.swarm.recv(), if !self.swarm_ended => self.note(message),
            }
        }
    }

    /// Takes the engine's lines out of its stream.
    fn cut(&mut self, data: &[u8]) {
        self.begun.extend_from_slice(data);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line = self.begun.split_to(end + 1).freeze();
            self.waiting.extend(twin::shown(line, &self.networks.twins));
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
