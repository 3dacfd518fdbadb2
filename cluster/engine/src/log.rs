//! A container's output, line by line.

mod decode;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;

use crate::call::{Call, segment};
use crate::client::Engine;
use crate::error::Error;
use crate::event::seconds;

use decode::Decoder;

/// Lines until the container ends (following) or all that is kept was told; an error if the engine is lost.
pub type LogStream = BoxStream<'static, Result<LogFrame, Error>>;

/// Which output, and how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    pub stdout: bool,
    pub stderr: bool,
    /// Stay and tell what comes.
    pub follow: bool,
    /// Nanoseconds since 1970; nothing older.
    pub since: Option<i64>,
    pub tail: Tail,
    /// Tell when each line was written.
    pub timestamps: bool,
}

/// How many of the lines already written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tail {
    #[default]
    All,
    Last(u64),
}

/// Where a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Stdout,
    Stderr,
}

/// One line, its line end included if it has one. A container with a terminal has one stream, told as `Stdout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFrame {
    pub source: Source,
    /// Nanoseconds since 1970, if timestamps were asked for.
    pub time_nano: Option<i64>,
    pub bytes: Bytes,
}

impl Engine {
    /// The output of a container. Returns when the engine has begun to answer.
    pub async fn logs(&self, id: &str, options: &LogOptions) -> Result<LogStream, Error> {
        // Engines before 23.0 do not say in their answer which of the two formats it has; the container's own setting
        // tells it on all of them.
        let tty = self.inspect_container(id).await?.tty;
        let call = options.call(id);
        let name = call.to_string();
        let body = self.open(&call).await?.into_body().into_data_stream();
        let chunks = body
            .map_err(move |error| Error::broken(&name, error))
            .boxed();
        let decoder = Decoder::new(tty, options.timestamps);
        Ok(lines(chunks, decoder))
    }
}

impl LogOptions {
    fn call(&self, id: &str) -> Call {
        let mut call = Call::get(format!("/containers/{}/logs", segment(id)));
        let flags = [
            ("stdout", self.stdout),
            ("stderr", self.stderr),
            ("follow", self.follow),
            ("timestamps", self.timestamps),
        ];
        for (key, _) in flags.into_iter().filter(|(_, set)| *set) {
            call = call.query(key, "1");
        }
        if let Some(since) = self.since {
            call = call.query("since", &seconds(since));
        }
        match self.tail {
            Tail::All => call,
            Tail::Last(lines) => call.query("tail", &lines.to_string()),
        }
    }
}

type Chunks = BoxStream<'static, Result<Bytes, Error>>;

/// Chunks as they come in, lines as they become whole; what is left at the end is a line too.
fn lines(chunks: Chunks, decoder: Decoder) -> LogStream {
    let batches = stream::unfold(Some((chunks, decoder)), async |state| {
        let (mut chunks, mut decoder) = state?;
        match chunks.next().await {
            Some(Ok(chunk)) => match decoder.push(&chunk) {
                Ok(frames) => Some((
                    frames.into_iter().map(Ok).collect::<Vec<_>>(),
                    Some((chunks, decoder)),
                )),
                Err(error) => Some((vec![Err(error)], None)),
            },
            Some(Err(error)) => Some((vec![Err(error)], None)),
            None => Some((decoder.finish().into_iter().map(Ok).collect(), None)),
        }
    });
    batches.flat_map(stream::iter).boxed()
}
