//! One client's connection: request after request, until one side has enough.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::debug;

use super::answer::{self, Answered};
use super::traffic::{Gauge, Present};
use super::{Api, Busy, Shared, stopped};
use crate::forward::{Asked, Exchange, Gone, Outcome};
use crate::head::{self, HeadError, RequestHead};
use crate::refusal::last_words;
use crate::route::{Class, Route, classify};
use crate::stream::{Framing, HangUp, Pipe, Socket, UnixSocket};

/// How long a client may go on sending after it was given its last answer. Closing at once would reset the connection, and
/// the answer with it, before the client has read it.
const LINGER: Duration = Duration::from_secs(1);

/// Space for the first read of a head.
const HEAD_READ: usize = 4 * 1024;

/// What a finished request means for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next request may come.
    Next,
    /// Say that all is said, let the client finish, close.
    Close,
    /// Close now: the client is gone, or must see that its answer is incomplete.
    Drop,
}

pub(super) struct Connection<S, A> {
    client: S,
    /// What was read and belongs to no request yet.
    inbox: BytesMut,
    /// Kept from the last raw request.
    engine: Option<UnixSocket>,
    /// Made with the first request that is answered here.
    watch: Option<HangUp>,
    shared: Shared<A>,
    _present: Present,
}

/// A request as it lies before us: its head's bytes are cut from the inbox.
pub(super) struct Received {
    pub head: RequestHead,
    pub bytes: Bytes,
}

impl<S: Socket, A: Api> Connection<S, A> {
    pub(super) fn new(client: S, shared: Shared<A>) -> Self {
        Self {
            client,
            inbox: BytesMut::new(),
            engine: None,
            watch: None,
            _present: shared.traffic.connections.enter(),
            shared,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let received = match self.next_request().await {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    self.refuse(None, error.status(), &error.to_string()).await;
                    return self.linger().await;
                }
            };
            let Some(busy) = self.shared.busy.upgrade() else {
                return;
            };
            let (next, then) = self.handle(received, busy).await;
            match (next, then) {
                (Some(connection), Then::Next) => self = connection,
                (Some(connection), Then::Close) => return connection.linger().await,
                (_, Then::Drop) | (None, _) => return,
            }
        }
    }

    /// Waits for a whole head; `None` when the client is done or we are to stop.
    async fn next_request(&mut self) -> Result<Option<Received>, HeadError> {
        loop {
            let blank = self
                .inbox
                .iter()
                .take_while(|b| b"\r\n".contains(b))
                .count();
            drop(self.inbox.split_to(blank));
            if !self.inbox.is_empty()
                && let Some(head) = head::request(&self.inbox)?
            {
                let bytes = self.inbox.split_to(head.len).freeze();
                return Ok(Some(Received { head, bytes }));
            }
            if !self.read_more().await {
                return Ok(None);
            }
        }
    }

    /// Reads once; false when there will be no more. Only between requests does a shutdown cut in.
    async fn read_more(&mut self) -> bool {
        self.inbox.reserve(HEAD_READ);
        let idle = self.inbox.is_empty();
        tokio::select! {
            biased;
            () = stopped(&mut self.shared.shutdown), if idle => false,
            read = self.client.read_buf(&mut self.inbox) => matches!(read, Ok(1..)),
        }
    }

    async fn handle(mut self, received: Received, busy: Busy) -> (Option<Self>, Then) {
        let _under_way = self.shared.traffic.requests.enter();
        let route = match classify(&received.head.method, &received.head.target) {
            Ok(route) => route,
            Err(error) => {
                self.refuse(None, StatusCode::BAD_REQUEST, &error.to_string())
                    .await;
                return (Some(self), Then::Close);
            }
        };
        if received.head.http2 && !route.may_speak_http2() {
            let message = "a switch to HTTP/2 is possible on /session and /grpc only";
            self.refuse(Some(route.class), StatusCode::BAD_REQUEST, message)
                .await;
            return (Some(self), Then::Close);
        }
        if received.head.framing.clone().take(&self.inbox).is_err() {
            self.refuse(
                Some(route.class),
                StatusCode::BAD_REQUEST,
                "malformed chunked encoding",
            )
            .await;
            return (Some(self), Then::Close);
        }
        if route.is_swarmrs_api() && !self.shared.swarmrs_api {
            let message = "the API under /swarmrs is not served on TCP, unless swarmrsd is started with \
                           --swarmrs-api-on-tcp";
            self.refuse(Some(route.class), StatusCode::FORBIDDEN, message)
                .await;
            return (Some(self), Then::Close);
        }
        // Ours never reaches the engine, whatever the API says.
        let answered = match route.class {
            Class::Ours => true,
            Class::Merged | Class::Rewritten => self.shared.api.concerns(&route),
            Class::Raw => false,
        };
        if answered {
            return self.answer(received, route, busy).await;
        }
        let body = Pipe::new(
            received.bytes.clone(),
            std::mem::take(&mut self.inbox),
            received.head.framing,
        );
        let then = self.forward(&received, &route, body, busy).await;
        (Some(self), then)
    }

    /// Lets the API answer, and forwards what it hands back.
    async fn answer(
        mut self,
        received: Received,
        route: Route,
        busy: Busy,
    ) -> (Option<Self>, Then) {
        let body = std::mem::take(&mut self.inbox);
        let Shared { api, traffic, .. } = self.shared.clone();
        let watch = match self.watch.take() {
            Some(watch) => watch,
            None => match HangUp::of(&self.client) {
                Ok(watch) => watch,
                Err(_) => return (None, Then::Drop),
            },
        };
        let answered =
            answer::answer(self.client, &watch, api, traffic, &received, &route, body).await;
        self.watch = Some(watch);
        match answered {
            Answered::Next { client, inbox } => {
                self.client = client;
                self.inbox = inbox;
                (Some(self), Then::Next)
            }
            Answered::Close { client } => {
                self.client = client;
                (Some(self), Then::Close)
            }
            Answered::Forward {
                client,
                seen,
                inbox,
                rest,
            } => {
                self.client = client;
                let then = self
                    .forward(&received, &route, Pipe::new(seen, inbox, rest), busy)
                    .await;
                (Some(self), then)
            }
            Answered::Gone => (None, Then::Drop),
        }
    }

    /// Forwards one request to the engine; `request` is what was read of it.
    async fn forward(
        &mut self,
        received: &Received,
        route: &Route,
        request: Pipe,
        busy: Busy,
    ) -> Then {
        let mut request = request;
        let mut busy = Some(busy);
        let asked = asked(&received.head, route);
        // A kept connection may have been closed under us, so it carries only what may be asked again.
        let repeatable = received.head.framing == Framing::NONE
            && received.head.method.is_safe()
            && !asked.upgrade;
        let kept = self
            .engine
            .take()
            .filter(|engine| repeatable && engine.is_idle());
        if let Some(mut engine) = kept {
            let ended = exchange(
                &mut self.client,
                &mut engine,
                asked.clone(),
                request,
                &mut busy,
                &self.shared.traffic.hijacked,
            )
            .await;
            match ended {
                Err(Broken {
                    gone: Gone::EngineUnanswered,
                    leftover,
                    ..
                }) => {
                    request = Pipe::new(received.bytes.clone(), leftover, Framing::NONE);
                }
                ended => return self.conclude(route.class, ended, engine).await,
            }
        }
        let mut engine = match self.shared.engine.connect().await {
            Ok(engine) => engine,
            Err(error) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return self
                    .refuse(Some(route.class), status, &error.to_string())
                    .await;
            }
        };
        let ended = exchange(
            &mut self.client,
            &mut engine,
            asked,
            request,
            &mut busy,
            &self.shared.traffic.hijacked,
        )
        .await;
        self.conclude(route.class, ended, engine).await
    }

    async fn conclude(
        &mut self,
        class: Class,
        ended: Result<Outcome, Broken>,
        engine: UnixSocket,
    ) -> Then {
        let answered = match &ended {
            Ok(outcome) => outcome.status,
            Err(broken) => broken.answered,
        };
        if let Some(status) = answered {
            self.shared.traffic.answered(Some(class), status);
        }
        match ended {
            Ok(outcome) => {
                self.engine = outcome.keep_engine.then_some(engine);
                self.inbox = outcome.leftover;
                if outcome.keep_client {
                    Then::Next
                } else {
                    Then::Close
                }
            }
            Err(Broken {
                gone: Gone::EngineUnanswered,
                ..
            }) => {
                let message = self.shared.engine.closed().to_string();
                self.refuse(Some(class), StatusCode::SERVICE_UNAVAILABLE, &message)
                    .await
            }
            Err(Broken {
                gone: Gone::Malformed,
                answered: None,
                ..
            }) => {
                let message = "malformed chunked encoding";
                self.refuse(Some(class), StatusCode::BAD_REQUEST, message)
                    .await
            }
            Err(Broken { gone, .. }) => {
                debug!(?gone, "exchange broke off");
                Then::Drop
            }
        }
    }

    /// Answers in the proxy's own name; the connection ends with it, because the request's body may still be under way.
    async fn refuse(&mut self, class: Option<Class>, status: StatusCode, message: &str) -> Then {
        self.shared.traffic.answered(class, status.as_u16());
        match self.client.write_all(&last_words(status, message)).await {
            Ok(()) => Then::Close,
            Err(_) => Then::Drop,
        }
    }

    /// Closes, but lets a client that is still sending come to read what it was told.
    async fn linger(mut self) {
        self.engine = None;
        self.inbox.clear();
        let finish = async {
            self.client.shutdown().await?;
            while self.client.read_buf(&mut self.inbox).await? > 0 {
                self.inbox.clear();
            }
            io::Result::Ok(())
        };
        // Whether it ended, failed or took too long: the connection closes now.
        let _ = tokio::time::timeout(LINGER, finish).await;
    }
}

/// An exchange that did not end as it should.
struct Broken {
    gone: Gone,
    /// The status the client has seen.
    answered: Option<u16>,
    leftover: BytesMut,
}

fn asked(head: &RequestHead, route: &Route) -> Asked {
    Asked {
        method: head.method.clone(),
        keep_alive: head.keep_alive,
        upgrade: head.upgrade,
        may_hijack: head.method == Method::POST && route.may_hijack(),
    }
}

/// Drives one exchange. A hijacked one is counted as such and lets go of `busy`: a shutdown does not wait for it.
async fn exchange<S: Socket>(
    client: &mut S,
    engine: &mut UnixSocket,
    asked: Asked,
    request: Pipe,
    busy: &mut Option<Busy>,
    hijacked: &Gauge,
) -> Result<Outcome, Broken> {
    let mut exchange = Exchange::new(client, engine, asked, request);
    let mut present = None;
    let ended = poll_fn(|cx| {
        let polled = exchange.poll(cx);
        if exchange.is_hijacked() {
            *busy = None;
            present.get_or_insert_with(|| hijacked.enter());
        }
        polled
    });
    match ended.await {
        Ok(outcome) => Ok(outcome),
        Err(gone) => Err(Broken {
            gone,
            answered: exchange.answered(),
            leftover: exchange.into_leftover(),
        }),
    }
}
