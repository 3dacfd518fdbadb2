//! `/services/{id}/logs` and `/tasks/{id}/logs`: the lines of all tasks in one stream.
//!
//! The head goes out at once, then each line in a frame of its own: the stock client takes one frame for one line.

mod line;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use swarmrs_core::state::find;
use swarmrs_engine::{LogOptions, Tail};
use swarmrs_node::{ClusterView, LogSelector, Node, ServiceLogs};
use swarmrs_types::{Code, Fault, ServiceId, TaskId};

use super::query::Query;
use super::request::Call;
use crate::route::ApiVersion;
use crate::server::Body;
use crate::version::version;
use line::{Details, Layout};

pub(super) async fn service(node: &Node, term: &str, call: Call) -> Result<Response<Body>, Fault> {
    let options = options(&call.query)?;
    let view = node.view().await?;
    let id: ServiceId = find(&view.state, term)?;
    let service = view.state.services().get(&id);
    let spec = service.and_then(|service| view.state.current_spec(service));
    let container = spec.and_then(|version| version.spec.task_template.container_spec.as_ref());
    let tty = container.is_some_and(|container| container.tty);
    respond(node, LogSelector::Service(id), options, tty, &call).await
}

pub(super) async fn task(node: &Node, term: &str, call: Call) -> Result<Response<Body>, Fault> {
    let options = options(&call.query)?;
    let view = node.view().await?;
    let id: TaskId = find(&view.state, term)?;
    let task = view.state.tasks().get(&id);
    let spec = task.and_then(|task| view.state.spec_of(task));
    let container = spec.and_then(|version| version.spec.task_template.container_spec.as_ref());
    let tty = container.is_some_and(|container| container.tty);
    respond(node, LogSelector::Task(id), options, tty, &call).await
}

async fn respond(
    node: &Node,
    selector: LogSelector,
    options: LogOptions,
    tty: bool,
    call: &Call,
) -> Result<Response<Body>, Fault> {
    let logs = node.logs(selector, options).await?;
    let lines = Lines {
        logs,
        node: node.clone(),
        layout: Layout {
            framed: !tty,
            details: call.query.flag("details"),
        },
        known: BTreeMap::new(),
    };
    let frames = stream::unfold(lines, async |mut lines| {
        let line = lines.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(line)), lines))
    });
    let body = StreamBody::new(frames).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    let kind = HeaderValue::from_static(content_type(tty, call.version));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// Older versions call a framed stream raw too.
fn content_type(tty: bool, asked: ApiVersion) -> &'static str {
    if !tty && asked >= version(1, 42) {
        "application/vnd.docker.multiplexed-stream"
    } else {
        "application/vnd.docker.raw-stream"
    }
}

struct Lines {
    logs: ServiceLogs,
    node: Node,
    layout: Layout,
    known: BTreeMap<TaskId, Details>,
}

impl Lines {
    async fn next(&mut self) -> Option<Bytes> {
        let (task, frame) = self.logs.next().await?;
        if self.layout.details && !self.known.contains_key(&task) {
            let details = match self.node.view().await {
                Ok(view) => details(&view, task),
                Err(_) => Details::of_task(task),
            };
            self.known.insert(task, details);
        }
        Some(self.layout.line(&frame, self.known.get(&task)))
    }
}

fn details(view: &ClusterView, id: TaskId) -> Details {
    let found = view.state.tasks().get(&id);
    found.map_or_else(
        || Details::of_task(id),
        |task| Details {
            node: task.node.map(|node| node.to_string()).unwrap_or_default(),
            service: task.service.to_string(),
            task: id.to_string(),
        },
    )
}

fn options(query: &Query) -> Result<LogOptions, Fault> {
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        let text = "must specify at least one of 'stdout' or 'stderr'";
        return Err(Fault::invalid(text));
    }
    Ok(LogOptions {
        stdout,
        stderr,
        follow: query.flag("follow"),
        since: since(query.get("since"))?,
        tail: tail(query.get("tail"))?,
        timestamps: query.flag("timestamps"),
    })
}

/// Seconds since 1970 with a fraction; 0 asks for everything.
fn since(text: &str) -> Result<Option<i64>, Fault> {
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    let read = unix_nanos(text);
    read.map(Some).ok_or_else(|| {
        Fault::invalid(format!(
            "invalid value for \"since\": strconv.ParseInt: parsing {text:?}: invalid syntax"
        ))
    })
}

/// Docker's notation of a time in a query: seconds, and up to nine digits of a fraction.
pub(crate) fn unix_nanos(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && fraction.len() <= 9;
    let seconds: i64 = seconds.parse().ok()?;
    let nanos: i64 = format!("{fraction:0<9}").parse().ok().filter(|_| digits)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn tail(text: &str) -> Result<Tail, Fault> {
    if text.is_empty() || text == "all" {
        return Ok(Tail::All);
    }
    let refused = |text: &str| Fault::daemon(Code::Unknown, text);
    let lines: i64 = text
        .parse()
        .map_err(|_| refused("tail value must be a positive integer or \"all\""))?;
    let lines = u64::try_from(lines).map_err(|_| refused("negative tail values not supported"))?;
    Ok(Tail::Last(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_two_streams_must_be_asked_for() {
        let refused = options(&Query::parse("follow=1")).unwrap_err();
        assert_eq!(
            refused.text,
            "must specify at least one of 'stdout' or 'stderr'"
        );
        let read = options(&Query::parse("stdout=1&tail=5&since=1.5&timestamps=1")).unwrap();
        let expected = LogOptions {
            stdout: true,
            since: Some(1_500_000_000),
            tail: Tail::Last(5),
            timestamps: true,
            ..LogOptions::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn numbers_that_are_none_are_refused_as_docker_does() {
        let text = |query: &str| {
            let fault = options(&Query::parse(query)).unwrap_err();
            (crate::error::status(fault.code).as_u16(), fault.text)
        };
        let (status, message) = text("stdout=1&since=yesterday");
        assert_eq!(status, 400);
        assert!(
            message.starts_with("invalid value for \"since\": "),
            "{message}"
        );
        let tail = "tail value must be a positive integer or \"all\"".to_owned();
        assert_eq!(text("stdout=1&tail=x"), (500, tail));
        let negative = "negative tail values not supported".to_owned();
        assert_eq!(text("stdout=1&tail=-1"), (500, negative));
    }

    #[test]
    fn the_content_type_is_right_from_1_42_on() {
        let multiplexed = "application/vnd.docker.multiplexed-stream";
        assert_eq!(content_type(false, version(1, 42)), multiplexed);
        let raw = "application/vnd.docker.raw-stream";
        assert_eq!(content_type(false, version(1, 41)), raw);
        assert_eq!(content_type(true, version(1, 42)), raw);
    }
}
