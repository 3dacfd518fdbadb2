//! `/events`: the engine's stream and the swarm's own in one.
//!
//! The engine judges the parameters, so its answer comes first; one that fails passes as it is. A stream that lies wholly in
//! the past is put in order by time. In a live one the kept events of the swarm come first, and each new one where the
//! engine's stream is at the end of a line. It ends when the engine's does.

mod live;
mod twin;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use swarmrs_types::{Timestamp, json};

use super::{BROKEN_OFF, ask, pass, passing, with_body};
use crate::events::{EventFilter, Message};
use crate::forward;
use crate::handler::{Handlers, Query, unix_nanos};
use crate::refusal::refusal;
use crate::route::Route;
use crate::server::Body;

/// Begins each record of `application/json-seq`.
const RECORD: u8 = 0x1e;

/// What of the swarm's events a client gets, and how they are written.
#[derive(Debug, Clone)]
struct Wanted {
    filter: EventFilter,
    until: Option<i64>,
    records: bool,
}

impl Wanted {
    /// The event as a line of the stream, if it is wanted.
    fn line(&self, message: &Message) -> Option<Bytes> {
        let late = self.until.is_some_and(|until| message.time_nano > until);
        if late || !self.filter.lets_through(message) {
            return None;
        }
        let mut line = json::to_vec(message);
        if self.records {
            line.insert(0, RECORD);
        }
        Some(line.into())
    }
}

pub(super) async fn answer(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
) -> Result<Response<Body>, forward::Error> {
    let query = Query::parse(route.query());
    let (kept, live) = handlers.events.subscribe(unix_nanos(query.get("since")));
    let answer = ask(handlers, route, route.query(), request).await?;
    if answer.status() != StatusCode::OK {
        return Ok(pass(answer));
    }
    let wanted = Wanted {
        filter: EventFilter::new(query.get("filters")),
        until: unix_nanos(query.get("until")),
        records: is_record_stream(&answer),
    };
    let now = Timestamp::now().unix_nanos();
    if wanted.until.is_some_and(|until| i128::from(until) <= now) {
        return Ok(past(handlers, answer, &kept, &wanted).await);
    }
    let (mut head, body) = answer.into_parts();
    head.headers = passing(&head.headers);
    let body = live::body(body, &kept, live, wanted, handlers.node.networks().clone());
    Ok(Response::from_parts(head, body))
}

fn is_record_stream(answer: &Response<Incoming>) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json-seq"))
}

/// All of both, by time.
async fn past(
    handlers: &Handlers,
    answer: Response<Incoming>,
    kept: &[Arc<Message>],
    wanted: &Wanted,
) -> Response<Body> {
    let (head, body) = answer.into_parts();
    let Ok(body) = body.collect().await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, BROKEN_OFF);
    };
    let bytes = body.to_bytes();
    let engines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut lines: Vec<(i64, Bytes)> = Vec::new();
    for line in engines {
        let shown = twin::shown(bytes.slice_ref(line), &handlers.node.networks().twins);
        lines.extend(shown.map(|shown| (time_of(line), shown)));
    }
    let ours = kept.iter();
    lines.extend(ours.filter_map(|message| Some((message.time_nano, wanted.line(message)?))));
    lines.sort_by_key(|(time, _)| *time);
    let all: Vec<u8> = lines.into_iter().flat_map(|(_, line)| line).collect();
    let mut response = with_body(head, all.into());
    // The engine does not know the length either.
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

#[derive(Deserialize)]
struct Timed {
    #[serde(rename = "timeNano")]
    nanos: i64,
}

fn time_of(line: &[u8]) -> i64 {
    let line = line.strip_prefix(&[RECORD]).unwrap_or(line);
    let timed: Result<Timed, _> = serde_json::from_slice(line);
    timed.map_or(i64::MAX, |timed| timed.nanos)
}
