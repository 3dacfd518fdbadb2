//! One request and its answer between a client and the engine, both directions at once.
//!
//! ```text
//!   sender:  Body ─▶ ReadAhead ─▶ Shutting ─▶ Closed        client ▶ engine
//!            │  ▲     │ └──▶ Held                 ▲
//!            │  └─────┴───────┘ hijacked          │
//!            └────▶ Discard ──────────────────────┘
//!   stage:   Head ─▶ Body ─▶ (Tail)                         engine ▶ client
//!              ▲──1xx──┘
//! ```
//!
//! The client's side goes on while the answer streams: an engine may refuse an upload long before it is through, and a client
//! may follow its request with the next one (kept, not forwarded) or with the input of a hijacked connection (forwarded once
//! the engine has agreed). A client that finishes sending is passed on as such; one that hangs up ends the exchange.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::Method;
use tokio::io::AsyncWrite;

use crate::head::{self, ResponseHead};
use crate::stream::{Flow, Framing, HangUp, Pipe, PipeError, Socket, UnixSocket};

/// Pipelined bytes that are kept while an answer is under way.
const READ_AHEAD: usize = 64 * 1024;

/// What a proxy must know of the request to judge its answer.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub method: Method,
    pub keep_alive: bool,
    /// The request had an `Upgrade` header, so 101 is an answer to it.
    pub upgrade: bool,
    /// An answer without length may turn the connection over to raw bytes.
    pub may_hijack: bool,
}

/// Why an exchange broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The client.
    Client,
    /// The engine, before a byte of its answer reached the client.
    EngineUnanswered,
    /// The engine, in the middle of its answer.
    Engine,
    /// The request's body does not follow its coding.
    Malformed,
}

/// How a whole exchange leaves its two connections.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The answer's status.
    pub status: Option<u16>,
    /// Whether the client may ask again.
    pub keep_client: bool,
    /// Whether the engine may be asked again.
    pub keep_engine: bool,
    /// What the client has sent beyond the request.
    pub leftover: BytesMut,
}

/// The client's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// The request, or a hijacked connection's input, is on its way.
    Body,
    /// The request is through; what comes now belongs to the next one.
    ReadAhead,
    /// The client has finished sending, but the engine has yet to say whether what lies read ahead is input for it.
    Held,
    /// The engine takes no more; the rest is read and dropped, so that the client comes to read its answer.
    Discard,
    /// The client has finished sending, the engine is being told.
    Shutting,
    /// Nothing more will come.
    Closed,
}

/// The engine's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Body(ResponseHead),
    /// The engine has finished sending, the client is being told and may go on sending.
    Tail,
}

pub(crate) struct Exchange<'a, S> {
    client: &'a mut S,
    engine: &'a mut UnixSocket,
    asked: Asked,
    up: Pipe,
    down: Pipe,
    sender: Sender,
    stage: Stage,
    /// The engine has agreed to raw bytes both ways.
    agreed: bool,
    /// And the client's direction has become that.
    hijacked: bool,
    /// The status of the answer that the client has been sent a byte of.
    answered: Option<u16>,
    client_watch: Option<HangUp>,
    engine_watch: Option<HangUp>,
}

impl<'a, S: Socket> Exchange<'a, S> {
    /// An exchange whose request lies in `up`, head first.
    pub(crate) fn new(
        client: &'a mut S,
        engine: &'a mut UnixSocket,
        asked: Asked,
        up: Pipe,
    ) -> Self {
        Self {
            client,
            engine,
            asked,
            up,
            down: Pipe::new(bytes::Bytes::new(), BytesMut::new(), Framing::NONE),
            sender: Sender::Body,
            stage: Stage::Head,
            agreed: false,
            hijacked: false,
            answered: None,
            client_watch: None,
            engine_watch: None,
        }
    }

    /// Whether the connection no longer speaks HTTP: then it has no end that a shutdown could wait for.
    pub(crate) fn is_hijacked(&self) -> bool {
        self.hijacked
    }

    /// The status of the answer, once the client has been sent a byte of it.
    pub(crate) fn answered(&self) -> Option<u16> {
        self.answered
    }

    /// What the client has sent beyond the request.
    pub(crate) fn into_leftover(self) -> BytesMut {
        self.up.inbox
    }

    /// Drives both directions until the exchange is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outcome, Gone>> {
        loop {
            self.poll_sender(cx)?;
            let over = match self.stage {
                Stage::Head => ready!(self.poll_head(cx))?,
                Stage::Body(head) => ready!(self.poll_body(cx, head))?,
                Stage::Tail => ready!(self.poll_tail(cx)),
            };
            if over {
                return Poll::Ready(Ok(self.finish()));
            }
        }
    }

    fn finish(&mut self) -> Outcome {
        let whole = self.sender == Sender::ReadAhead && !self.hijacked;
        let keep = match self.stage {
            Stage::Body(head) => whole && head.keep_alive && head.framing != Framing::UntilClose,
            Stage::Head | Stage::Tail => false,
        };
        Outcome {
            status: self.answered,
            keep_client: keep && self.asked.keep_alive,
            keep_engine: keep && self.down.inbox.is_empty(),
            leftover: std::mem::take(&mut self.up.inbox),
        }
    }

    /// Moves the client's direction as far as it goes. Only a client that is gone, or lies about its body, ends the exchange.
    fn poll_sender(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        loop {
            let next = match self.sender {
                Sender::ReadAhead | Sender::Held if self.agreed => Poll::Ready(self.hijack()),
                Sender::Body => self.poll_request(cx)?,
                Sender::ReadAhead if self.up.inbox.len() >= READ_AHEAD => Poll::Pending,
                Sender::ReadAhead => self.poll_more(cx, Sender::ReadAhead)?,
                Sender::Discard => {
                    self.up.inbox.clear();
                    self.poll_more(cx, Sender::Discard)?
                }
                // An engine that is gone already does not have to be told.
                Sender::Shutting => Pin::new(&mut *self.engine)
                    .poll_shutdown(cx)
                    .map(|_| Sender::Closed),
                Sender::Held | Sender::Closed => Poll::Pending,
            };
            match next {
                Poll::Ready(sender) => self.sender = sender,
                Poll::Pending => return self.check_client(cx),
            }
        }
    }

    fn poll_request(&mut self, cx: &mut Context<'_>) -> Result<Poll<Sender>, Gone> {
        match self.up.poll(cx, self.client, self.engine) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(Flow::Complete)) => Ok(Poll::Ready(Sender::ReadAhead)),
            Poll::Ready(Ok(Flow::SourceEnded)) => Ok(Poll::Ready(Sender::Shutting)),
            Poll::Ready(Err(PipeError::Write)) => Ok(Poll::Ready(Sender::Discard)),
            Poll::Ready(Err(PipeError::Read)) => Err(Gone::Client),
            Poll::Ready(Err(PipeError::Malformed)) => Err(Gone::Malformed),
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, same: Sender) -> Result<Poll<Sender>, Gone> {
        match self.up.poll_fill(cx, self.client) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0)) => Ok(Poll::Ready(match same {
                Sender::Discard => Sender::Closed,
                _ if self.asked.upgrade || self.asked.may_hijack => Sender::Held,
                _ => Sender::Shutting,
            })),
            Poll::Ready(Ok(_)) => Ok(Poll::Ready(same)),
            Poll::Ready(Err(_)) => Err(Gone::Client),
        }
    }

    /// While the client is not being read, its going is seen no other way than by watching for it.
    fn check_client(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        let read = match self.sender {
            Sender::Body => !self.up.is_stalled(),
            Sender::ReadAhead => self.up.inbox.len() < READ_AHEAD,
            Sender::Discard => true,
            Sender::Held | Sender::Shutting | Sender::Closed => false,
        };
        if read {
            return Ok(());
        }
        match poll_gone(&mut self.client_watch, &*self.client, cx) {
            Poll::Ready(()) => Err(Gone::Client),
            Poll::Pending => Ok(()),
        }
    }

    /// Reads the answer's head; never the end of the exchange.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Gone>> {
        loop {
            let parsed = head::response(&self.down.inbox, &self.asked.method);
            match parsed.map_err(|_| self.engine_gone())? {
                Some(head) => return Poll::Ready(self.begin(head).map(|()| false)),
                None => match ready!(self.down.poll_fill(cx, self.engine)) {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Poll::Ready(Err(self.engine_gone())),
                },
            }
        }
    }

    fn engine_gone(&self) -> Gone {
        match self.answered {
            Some(_) => Gone::Engine,
            None => Gone::EngineUnanswered,
        }
    }

    fn begin(&mut self, head: ResponseHead) -> Result<(), Gone> {
        let switches = head.status == 101;
        if switches && !self.asked.upgrade {
            return Err(self.engine_gone());
        }
        self.down
            .begin(head.len, head.framing)
            .map_err(|_| self.engine_gone())?;
        self.answered = Some(head.status);
        self.stage = Stage::Body(head);
        let raw = self.asked.may_hijack && head.framing == Framing::UntilClose;
        self.agreed = switches || raw;
        Ok(())
    }

    /// From here on every byte of the client is input for the engine, also those that came early.
    fn hijack(&mut self) -> Sender {
        self.agreed = false;
        self.hijacked = true;
        let early = std::mem::take(&mut self.up.inbox);
        self.up = Pipe::new(bytes::Bytes::new(), early, Framing::UntilClose);
        Sender::Body
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, head: ResponseHead) -> Poll<Result<bool, Gone>> {
        Poll::Ready(match ready!(self.down.poll(cx, self.engine, self.client)) {
            Ok(Flow::Complete) if head.status < 200 => {
                self.stage = Stage::Head;
                Ok(false)
            }
            Ok(Flow::Complete) => Ok(true),
            Ok(Flow::SourceEnded) if head.framing == Framing::UntilClose => {
                self.stage = Stage::Tail;
                Ok(false)
            }
            Ok(Flow::SourceEnded) | Err(PipeError::Read | PipeError::Malformed) => {
                Err(Gone::Engine)
            }
            Err(PipeError::Write) => Err(Gone::Client),
        })
    }

    /// The engine has said all. A hijacked connection lives on while its client has something to say to someone.
    fn poll_tail(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // A client that is gone already does not have to be told.
        let _ = ready!(Pin::new(&mut *self.client).poll_shutdown(cx));
        if !self.hijacked || matches!(self.sender, Sender::Closed | Sender::Discard) {
            return Poll::Ready(true);
        }
        ready!(poll_gone(&mut self.engine_watch, &*self.engine, cx));
        Poll::Ready(true)
    }
}

/// Whether a peer is gone, watching it from the first time this is asked. One that cannot be watched counts as gone.
fn poll_gone(
    watch: &mut Option<HangUp>,
    socket: &impl std::os::fd::AsFd,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if watch.is_none() {
        *watch = HangUp::of(socket).ok();
    }
    match watch {
        Some(watch) => watch.poll_gone(cx),
        None => Poll::Ready(()),
    }
}
