//! Log lines of tasks on other nodes: asked for by whichever manager was asked, brought by the node.
//!
//! No port listens on a worker. So the manager that has the node's session tells it that lines are wanted,
//! and the node brings them in a conversation of its own.

use crate::ca_server::managers;
use crate::ids::draw;
use crate::presence::Presence;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swarmrs_agent::LogSource;
use swarmrs_core::State;
use swarmrs_engine::{LogFrame, LogOptions, Source, Tail};
use swarmrs_rpc::message::logs::{LogLine, LogsNotice, LogsWanted, Ticket};
use swarmrs_rpc::{
    CallError, Client, Conversation, Credentials, FrameReceiver, FrameSender, Method, Notice,
    Purpose, from_json, to_json,
};
use swarmrs_types::{Code, Fault, NodeId, TaskId};
use tokio::sync::mpsc;
use tracing::debug;

/// Lines read ahead of whoever reads them.
const READ_AHEAD: usize = 256;
/// How long a node or another manager may take to begin.
const BEGIN: Duration = Duration::from_secs(5);

/// Lines as they come.
pub type Lines = mpsc::Receiver<LogFrame>;

/// Knows where the lines of each node's tasks can be had.
pub struct LogRelay {
    pub me: NodeId,
    /// Where this manager listens.
    pub address: String,
    pub own: LogSource,
    pub presence: Arc<Presence>,
    pub credentials: Credentials,
    pub expected: Expected,
}

/// Conversations that nodes were asked to begin.
#[derive(Debug, Default)]
pub struct Expected(Mutex<BTreeMap<Ticket, (NodeId, mpsc::Sender<LogFrame>)>>);

impl Expected {
    fn expect(&self, node: NodeId) -> (Ticket, Lines) {
        let ticket = Ticket(draw());
        let (sender, lines) = mpsc::channel(READ_AHEAD);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waited no longer.
        waiting.retain(|_, (_, sender)| !sender.is_closed());
        waiting.insert(ticket, (node, sender));
        (ticket, lines)
    }

    fn take(&self, ticket: Ticket, from: NodeId) -> Option<mpsc::Sender<LogFrame>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.get(&ticket) {
            Some((node, _)) if *node == from => waiting.remove(&ticket).map(|(_, sender)| sender),
            _ => None,
        }
    }
}

impl LogRelay {
    /// The lines of a task, from whichever node has it. None if nobody can say.
    pub async fn open(&self, state: &State, task: TaskId, options: &LogOptions) -> Option<Lines> {
        let node = state.tasks().get(&task)?.node?;
        let wanted = wanted(task, options);
        if let Some(lines) = self.here(node, &wanted).await {
            return Some(lines);
        }
        for manager in managers(state) {
            if manager.node_id == self.me.as_str() {
                continue;
            }
            match self.ask(&manager.address, node, &wanted).await {
                Ok(lines) => return Some(lines),
                Err(error) => debug!(%task, addr = manager.address, %error, "no lines there"),
            }
        }
        None
    }

    /// The lines, if this manager has them itself or has a session with the node that does.
    async fn here(&self, node: NodeId, wanted: &LogsWanted) -> Option<Lines> {
        if node == self.me {
            return own_lines(&self.own, wanted).await;
        }
        let (ticket, lines) = self.expected.expect(node);
        let notice = LogsNotice {
            ticket,
            to: self.address.clone(),
            wanted: wanted.clone(),
        };
        self.presence
            .tell_node(node, Notice::Logs(notice))
            .then_some(lines)
    }

    /// Another manager's lines.
    async fn ask(
        &self,
        address: &str,
        node: NodeId,
        wanted: &LogsWanted,
    ) -> Result<Lines, CallError> {
        let client = Client::new(address, self.credentials.clone(), Purpose::General);
        let mut talk = client.converse(Method::RelayLogs, BEGIN).await?;
        talk.sender.send(to_json(&(node, wanted))?).await?;
        let begun = tokio::time::timeout(BEGIN, talk.receiver.next()).await;
        begun.unwrap_or(Err(CallError::TimedOut(BEGIN)))?;
        let (sender, lines) = mpsc::channel(READ_AHEAD);
        tokio::spawn(async move {
            // The conversation lasts as long as both of its ends.
            let _asking = talk.sender;
            receive(talk.receiver, sender).await;
        });
        Ok(lines)
    }

    /// A node brings what it was asked for.
    pub async fn take(&self, from: NodeId, mut talk: Conversation) -> Result<(), Fault> {
        let unknown = || Fault::manager(Code::NotFound, "these log lines were not asked for");
        let first = talk.receiver.next().await.ok().flatten();
        let ticket = first.and_then(|frame| from_json::<Ticket>(&frame).ok());
        let sender = ticket.and_then(|ticket| self.expected.take(ticket, from));
        receive(talk.receiver, sender.ok_or_else(unknown)?).await;
        Ok(())
    }

    /// Another manager asks for what this one can have.
    pub async fn relay(&self, mut talk: Conversation) -> Result<(), Fault> {
        let missing = || Fault::manager(Code::NotFound, "no session with that node here");
        let first = talk.receiver.next().await.ok().flatten();
        let asked = first.and_then(|frame| from_json::<(NodeId, LogsWanted)>(&frame).ok());
        let (node, wanted) = asked.ok_or_else(missing)?;
        let lines = self.here(node, &wanted).await.ok_or_else(missing)?;
        // The first frame says that there will be some.
        if talk.sender.send(Default::default()).await.is_ok() {
            send(lines, &mut talk.sender).await;
        }
        Ok(())
    }
}

/// Brings the lines that a manager asked this node for.
pub async fn bring(own: LogSource, credentials: Credentials, notice: LogsNotice) {
    let client = Client::new(&notice.to, credentials, Purpose::General);
    let begun = client.converse(Method::Logs, BEGIN).await;
    let Ok(mut talk) = begun.inspect_err(|error| debug!(%error, "log lines not brought")) else {
        return;
    };
    let Ok(ticket) = to_json(&notice.ticket) else {
        return;
    };
    if talk.sender.send(ticket).await.is_err() {
        return;
    }
    if let Some(lines) = own_lines(&own, &notice.wanted).await {
        tokio::select! {
            () = send(lines, &mut talk.sender) => {}
            // Nobody wants them any more.
            _ = talk.receiver.next() => return,
        }
    }
    // Lets what is under way arrive before the stream is dropped.
    let _ = talk.sender.finish().await;
    let _ = tokio::time::timeout(BEGIN, talk.receiver.next()).await;
}

async fn own_lines(own: &LogSource, wanted: &LogsWanted) -> Option<Lines> {
    let opened = own.open(wanted.task, &options(wanted)).await;
    let opened = opened.inspect_err(|error| debug!(task = %wanted.task, %error, "no logs"));
    let mut stream = opened.ok()?;
    let (sender, lines) = mpsc::channel(READ_AHEAD);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => return,
                frame = stream.next() => {
                    let Some(Ok(frame)) = frame else { return };
                    if sender.send(frame).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    Some(lines)
}

async fn send(mut lines: Lines, to: &mut FrameSender) {
    while let Some(frame) = lines.recv().await {
        let line = LogLine {
            is_error: frame.source == Source::Stderr,
            time_nano: frame.time_nano,
            bytes: frame.bytes,
        };
        if to.send(line.frame()).await.is_err() {
            return;
        }
    }
}

async fn receive(mut from: FrameReceiver, to: mpsc::Sender<LogFrame>) {
    loop {
        let frame = tokio::select! {
            () = to.closed() => return,
            frame = from.next() => frame,
        };
        let Ok(Some(frame)) = frame else { return };
        let Some(line) = LogLine::of_frame(frame) else {
            return;
        };
        let source = match line.is_error {
            true => Source::Stderr,
            false => Source::Stdout,
        };
        let frame = LogFrame {
            source,
            time_nano: line.time_nano,
            bytes: line.bytes,
        };
        if to.send(frame).await.is_err() {
            return;
        }
    }
}

fn wanted(task: TaskId, options: &LogOptions) -> LogsWanted {
    LogsWanted {
        task,
        stdout: options.stdout,
        stderr: options.stderr,
        follow: options.follow,
        since: options.since,
        tail: match options.tail {
            Tail::All => None,
            Tail::Last(lines) => Some(lines),
        },
        timestamps: options.timestamps,
    }
}

fn options(wanted: &LogsWanted) -> LogOptions {
    LogOptions {
        stdout: wanted.stdout,
        stderr: wanted.stderr,
        follow: wanted.follow,
        since: wanted.since,
        tail: wanted.tail.map_or(Tail::All, Tail::Last),
        timestamps: wanted.timestamps,
    }
}
